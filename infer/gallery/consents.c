// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/consents.h"

// Consents of before do not come back with a new enrolment.
static tk_status say_why(const tk_lender *p, int64_t time, tk_arena *a, const char **why)
{
    if (p->enrolled && p->since <= time) return TK_OK;
    *why = tk_arena_printf(a, "@%s, who is in it, %s", p->who.name,
                           p->enrolled ? "has revoked since, and enrolled anew" : "has revoked");
    return *why ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a cameo");
}

static tk_status ask_person(const tk_cameo_store *s, const char *title, int64_t time, tk_arena *a,
                            const char **why)
{
    tk_handle who;
    tk_lender p = {.folder = {-1, -1, ""}};
    tk_arena scratch;
    tk_arena_init(&scratch, 0);
    tk_status st = tk_handle_read(title, &who);
    if (st == TK_OK) st = tk_lender_open(s, &who, false, &scratch, &p);
    if (st == TK_OK) st = say_why(&p, time, a, why);
    tk_lender_close(&p);
    tk_arena_free(&scratch);
    if (st != TK_INPUT) return st;
    *why = tk_arena_printf(a, "nobody can tell whether somebody in it still consents: %s",
                           tk_status_message());
    tk_status_clear();
    return *why ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a cameo");
}

tk_status tk_gallery_ask_people(const tk_cameo_store *s, const tk_proof *p, int64_t time,
                                tk_arena *a, const char **why)
{
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < p->manifest[i].n && !*why; k++) {
            const tk_told_ingredient *x = &p->manifest[i].ingredient[k];
            if (tk_people_is_person(x)) TK_TRY(ask_person(s, x->title, time, a, why));
        }
    return TK_OK;
}
