// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/people/clothes.h"
#include "infer/judges/people/windows.h"
#include <string.h>

// Cells of a trunk, a head's half height being 1: from under the chin on.
static const double top = 1.10, cell = 0.30;

tk_status tk_clothes_look(const tk_head *head, const uint8_t *rgb, int64_t height, int64_t width,
                          float seen[TK_CLOTHES_SEEN])
{
    tk_sums s;
    TK_TRY(tk_sums_of(rgb, height, width, &s));
    tk_sums_cells(&s, head->x - 0.5 * TK_CLOTHES_WIDE * cell * head->r, head->y + top * head->r,
                  cell * head->r, TK_CLOTHES_HIGH, TK_CLOTHES_WIDE, seen);
    tk_free(s.at);
    return TK_OK;
}

static tk_status learn_style_of_clothes(int64_t n, const tk_clothes_example *e, int style,
                                        tk_arena *a, tk_classes *out)
{
    double *x;
    int *label;
    int64_t shown = 0;
    TK_ARENA_NEW(x, a, n * TK_CLOTHES_SEEN);
    TK_ARENA_NEW(label, a, n);
    for (int64_t i = 0; i < n; i++) {
        if (e[i].style != style) continue;
        for (int k = 0; k < TK_CLOTHES_SEEN; k++)
            x[shown * TK_CLOTHES_SEEN + k] = (double)e[i].seen[k];
        label[shown++] = e[i].clothes;
    }
    return tk_classes_learn(shown, TK_CLOTHES_SEEN, TK_CLOTHES, x, label, 0.05, a, out);
}

tk_status tk_clothes_learn(int64_t n, const tk_clothes_example *e, int styles, tk_arena *a,
                           tk_clothes *out)
{
    out->styles = styles;
    TK_ARENA_NEW(out->of, a, styles);
    for (int q = 0; q < styles; q++) TK_TRY(learn_style_of_clothes(n, e, q, a, &out->of[q]));
    return TK_OK;
}

tk_status tk_clothes_watch(const tk_clothes *c, int style, const tk_head_way *way,
                           const uint8_t *rgb, int64_t height, int64_t width,
                           double sure[TK_CLOTHES], int *worn)
{
    int best = 0;
    memset(sure, 0, TK_CLOTHES * sizeof *sure);
    for (int i = 0; i < way->n; i++) {
        float seen[TK_CLOTHES_SEEN];
        double x[TK_CLOTHES_SEEN], odds[TK_CLOTHES];
        TK_TRY(tk_clothes_look(&way->head[i], rgb + way->frame[i] * height * width * 3, height,
                               width, seen));
        for (int k = 0; k < TK_CLOTHES_SEEN; k++) x[k] = (double)seen[k];
        if (tk_classes_find(&c->of[style], x, odds) < 0) continue;
        for (int k = 0; k < TK_CLOTHES; k++) sure[k] += odds[k];
    }
    for (int k = 1; k < TK_CLOTHES; k++)
        if (sure[k] > sure[best]) best = k;
    *worn = sure[best] > 0 ? best : -1;
    return TK_OK;
}
