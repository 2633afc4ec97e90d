// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/cudnn/cut.h"
#include <stdio.h>

static int64_t floor_to_power(int64_t n)
{
    return n > 0 ? (int64_t)1 << (63 - __builtin_clzll((uint64_t)n)) : 0;
}

static int64_t class_of(int64_t rows)
{
    enum { LEAST = 128, BITS = 4 };
    if (rows <= LEAST) return LEAST;
    const int64_t part = floor_to_power(rows - 1) >> BITS, step = part > LEAST ? part : LEAST;
    return (rows + step - 1) / step * step;
}

static bool no(char *why, size_t room, const char *words)
{
    snprintf(why, room, "%s", words);
    return false;
}

static bool begins_right(const tk_tensor *t)
{
    enum { ROW = 16 };
    return (uintptr_t)t->data % ROW == 0;
}

static bool takes(const tk_call *c, bool back, char *why, size_t room)
{
    const tk_tensor *all[] = {&c->in[0],   &c->in[1],  &c->in[2],  &c->out[0],
                              &c->dout[0], &c->din[0], &c->din[1], &c->din[2]};
    if ((back ? c->dout[0] : c->out[0]).dtype != TK_BF16)
        return no(why, room, "its attention is in bf16, and this is in fp32 (train.precision)");
    if (!tk_cudnn_knows_channels(c->i[0])) {
        snprintf(why, room,
                 "it knows heads of 16, 32, ... 256 channels, these have %lld "
                 "(model.head_dim)",
                 (long long)c->i[0]);
        return false;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!begins_right(all[i]))
            return no(why, room, "rows do not begin at multiples of 16 bytes");
    return true;
}

// The most heads at once, of those that divide all, `fit` at most.
static int64_t heads_at_once(int64_t heads, int64_t fit)
{
    int64_t n = fit < heads ? fit : heads;
    while (heads % n) n--;
    return n;
}

// One head of one document at a time takes `each` bytes that grow.
static bool cut_to(tk_cudnn_cut *cut, int64_t budget, char *why, size_t room)
{
    tk_cudnn_shape *s = &cut->largest;
    tk_cudnn_shape one = *s;
    one.documents = one.heads = 1;
    const int64_t each = tk_cudnn_quadratic(&one), heads = s->heads;
    const int64_t rest = tk_cudnn_workspace(s) - tk_cudnn_quadratic(s);
    const int64_t fit = each ? (budget - rest) / each : s->documents * heads;
    if (each && budget < tk_cudnn_workspace(&one)) {
        snprintf(why, room,
                 "the gradient of one head of a document of %lld rows takes %.0f MiB of workspace, "
                 "and attention_workspace is %lld MiB (train.deterministic=false takes little)",
                 (long long)s->ask, (double)tk_cudnn_workspace(&one) / 0x1p20,
                 (long long)(budget >> 20));
        return false;
    }
    if (fit < heads) {
        s->documents = 1;
        s->heads = heads_at_once(heads, fit > 0 ? fit : 1);
    } else
        s->documents = floor_to_power(fit / heads < s->documents ? fit / heads : s->documents);
    return true;
}

bool tk_cudnn_cut_of(const tk_call *c, bool back, const tk_attention_way *way, tk_cudnn_cut *out,
                     char *why, size_t room)
{
    const int64_t heads = tk_cols(&c->in[0]) / c->i[0];
    if (!takes(c, back, why, room)) return false;
    *out = (tk_cudnn_cut){.documents = c->i[5],
                          .largest = {.way = !back            ? TK_CUDNN_FORE
                                             : way->any_order ? TK_CUDNN_BACK_ANY_ORDER
                                                              : TK_CUDNN_BACK,
                                      .documents = c->i[5] ? floor_to_power(c->i[5]) : 1,
                                      .heads = heads,
                                      .channels = c->i[0],
                                      .all_heads = heads,
                                      .ask = class_of(c->i[1]),
                                      .asked = class_of(c->i[2])}};
    return cut_to(out, way->workspace, why, room);
}

int64_t tk_cudnn_next(const tk_cudnn_cut *cut, int64_t left)
{
    const int64_t most = cut->largest.documents;
    return left >= most ? most : floor_to_power(left);
}
