// SPDX-License-Identifier: Apache-2.0
// What a job of a spool may say: how its clip is made, and how it is served.
#include "core/config/load.h"
#include <string.h>

static bool is_of_job(const tk_option *o)
{
    const bool worker = o->commands & TK_OPTION_WORKERS;
    return !worker && (o->commands & (TK_CMD_SAMPLE | TK_CMD_SERVE));
}

static tk_status refuse_option(tk_wrong *w, const tk_option *o, const tk_config *as_is)
{
    const char *is = tk_config_format(o, w->config, w->arena);
    const char *anyway = tk_config_format(o, as_is, w->arena);
    if (!is || !anyway) return TK_FAIL(TK_MEMORY, "out of memory for an option");
    if (!strcmp(is, anyway)) return TK_OK;
    if (o->commands & TK_OPTION_WORKERS)
        tk_wrong_add(w, o->name, "is the worker's to say, for all of its jobs; leave it out");
    else
        tk_wrong_add(w, o->name, "no clip is made by it; leave it out of a job");
    return TK_OK;
}

tk_status tk_wrong_ask_job(tk_wrong *w)
{
    tk_config as_is;
    const tk_option *o;
    tk_status st = TK_OK;
    tk_config_init(&as_is);
    for (int i = 0; (o = tk_table_row(&tk_config_table, i)) && st == TK_OK; i++)
        if (!is_of_job(o) && *tk_config_place(w->config, o->name)) st = refuse_option(w, o, &as_is);
    tk_config_free(&as_is);
    return st;
}
