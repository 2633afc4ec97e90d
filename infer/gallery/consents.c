// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/consents.h"
#include <string.h>

// Consents of before do not come back with a new enrolment.
static tk_status say_why(const tk_lender *p, const char *paper, tk_arena *a, const char **why)
{
    const tk_standing x = tk_lender_standing(p, paper);
    if (x == TK_STANDING_NOW) return TK_OK;
    *why = tk_arena_printf(a, "@%s, who is in it, %s", p->who.name,
                           !p->enrolled ? "has revoked"
                           : x == TK_STANDING_PAST
                               ? "has revoked since, and enrolled anew"
                               : "is so by a consent that this store does not know");
    return *why ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a cameo");
}

static tk_status ask_person(const tk_cameo_store *s, const char *title, const char *paper,
                            tk_arena *a, const char **why)
{
    tk_handle who;
    tk_lender p = {.folder = {-1, -1, ""}};
    tk_arena scratch;
    tk_arena_init(&scratch, 0);
    tk_status st = tk_handle_read(title, &who);
    if (st == TK_OK) st = tk_lender_open(s, &who, false, &scratch, &p);
    if (st == TK_OK) st = say_why(&p, paper, a, why);
    tk_lender_close(&p);
    tk_arena_free(&scratch);
    if (st != TK_INPUT) return st;
    *why = tk_arena_printf(a, "nobody can tell whether somebody in it still consents: %s",
                           tk_status_message());
    tk_status_clear();
    return *why ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a cameo");
}

static bool names_person(const tk_told_manifest *m, const char *title)
{
    for (int k = 0; k < m->n; k++)
        if (tk_people_is_person(&m->ingredient[k]) && !strcmp(m->ingredient[k].title, title))
            return true;
    return false;
}

tk_status tk_gallery_ask_people(const tk_cameo_store *s, const tk_proof *p, tk_arena *a,
                                const char **why)
{
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < p->manifest[i].n && !*why; k++) {
            const tk_told_ingredient *x = &p->manifest[i].ingredient[k];
            if (!tk_people_is_person(x) || (i && names_person(&p->manifest[0], x->title))) continue;
            TK_TRY(ask_person(s, x->title, tk_people_paper(x), a, why));
        }
    return TK_OK;
}
