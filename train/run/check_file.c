// SPDX-License-Identifier: Apache-2.0
#include "train/run/check_file.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "train/run/rundir.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TEXT = 64 << 20 };

// The step of a line; -1 if it is not one of ours.
static int64_t step_of_line(const char *line, size_t bytes)
{
    json_t *o = json_loadb(line, bytes, 0, NULL);
    const json_t *step = json_object_get(o, "step");
    const int64_t at = json_is_integer(step) ? json_integer_value(step) : -1;
    json_decref(o);
    return at;
}

// Ends the text where a line is not ours, or of a later step. Returns the step of the last line
// left; 0: none is.
static int64_t cut_text(char *text, int64_t step)
{
    int64_t before = 0;
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        const int64_t at = end ? step_of_line(line, (size_t)(end - line)) : -1;
        if (at <= before || at > step) {
            *line = 0;
            return before;
        }
        before = at;
        line = end + 1;
    }
    return before;
}

tk_status tk_check_file_open(tk_check_file *h, const tk_owner *o, int64_t step)
{
    size_t bytes;
    *h = (tk_check_file){.owner = o, .text = ""};
    tk_arena_init(&h->arena, 0);
    const char *path = tk_arena_printf(&h->arena, "%s/check.jsonl", o->dir);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (access(path, F_OK)) return TK_OK;
    TK_TRY(tk_file_read(path, MOST_TEXT, &h->arena, &h->text, &bytes));
    h->step = cut_text(h->text, step);
    return TK_OK;
}

int64_t tk_check_file_step(const tk_check_file *h)
{
    return h->step;
}

static json_t *losses_json(const double loss[TK_CHECK_LEVELS][2], int m)
{
    json_t *all = json_array();
    for (int i = 0; i < TK_CHECK_LEVELS; i++) json_array_append_new(all, json_real(loss[i][m]));
    return all;
}

static json_t *make_check_line(int64_t step, const tk_check_losses *x)
{
    json_t *o = json_object(), *levels = json_array(), *tasks = json_object();
    json_object_set_new(o, "step", json_integer(step));
    for (int i = 0; i < TK_CHECK_LEVELS; i++)
        json_array_append_new(levels, json_real(tk_check_level[i]));
    json_object_set_new(o, "levels", levels);
    for (int t = 0; t < TK_TASKS; t++)
        if (x->clips[t])
            json_object_set_new(tasks, tk_task_name[t],
                                json_pack("{s:I, s:f, s:o, s:o}", "clips", (json_int_t)x->clips[t],
                                          "loss", x->mean[t], "video", losses_json(x->loss[t], 0),
                                          "audio", losses_json(x->loss[t], 1)));
    json_object_set_new(o, "tasks", tasks);
    return o;
}

static void say_losses(int64_t step, const tk_check_losses *x)
{
    char words[512];
    size_t n = 0;
    for (int t = 0; t < TK_TASKS && n < sizeof words - 48; t++)
        if (x->clips[t])
            n += (size_t)snprintf(words + n, sizeof words - n, "%s%s %.4f", n ? ", " : "",
                                  tk_task_name[t], x->mean[t]);
    tk_log("held-out loss after step %lld: %s", (long long)step, words);
}

tk_status tk_check_file_add(tk_check_file *h, int64_t step, const tk_check_losses *x)
{
    json_t *o = make_check_line(step, x);
    char *line = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(o);
    char *text = line ? tk_arena_printf(&h->arena, "%s%s\n", h->text, line) : NULL;
    free(line); // style: allow, jansson's
    if (!text) return TK_FAIL(TK_MEMORY, "out of memory for held-out losses");
    h->text = text;
    h->step = step;
    say_losses(step, x);
    return tk_rundir_text(h->owner, "check.jsonl", text);
}

void tk_check_file_close(tk_check_file *h)
{
    if (h->owner) tk_arena_free(&h->arena);
    *h = (tk_check_file){0};
}
