// SPDX-License-Identifier: Apache-2.0
#include "parallel/schedule.h"
#include <stdio.h>

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

const char *tk_schedule_name(tk_schedule_kind kind)
{
    static const char *const names[] = {"1f1b", "interleaved", "zb-h1", "forward"};
    return names[kind];
}

static tk_status check_kind(tk_schedule_kind kind, int stages, int chunks, int64_t micro)
{
    if (stages < 1 || chunks < 1 || micro < 0)
        return TK_FAIL(TK_INTERNAL, "a schedule of %d stages, %d chunks and %lld microbatches",
                       stages, chunks, (long long)micro);
    if (chunks == 1 || kind == TK_SCHEDULE_INTERLEAVED || kind == TK_SCHEDULE_FORWARD) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "parallel.chunks is %d, but parallel.schedule %s gives a stage one run of "
                   "blocks; set parallel.schedule=interleaved or parallel.chunks=1",
                   chunks, tk_schedule_name(kind));
}

// ---- making ------------------------------------------------------------------------------------

// Those of microbatches that fill up the last round are left out.
static void put_actions(const tk_schedule *s, tk_stage_plan *p, tk_action_kind kind, int64_t micro,
                        int chunk)
{
    if (micro < s->micro) p->action[p->n++] = (tk_action){kind, chunk, micro};
}

// The k-th forward or backward of every stage: rounds of `stages` microbatches, in each round chunk
// after chunk; backward from the last chunk.
static void put_nth(const tk_schedule *s, tk_stage_plan *p, tk_action_kind kind, int64_t k)
{
    const int64_t round = (int64_t)s->stages * s->chunks;
    const int chunk = (int)(k % round / s->stages);
    put_actions(s, p, kind, k / round * s->stages + k % s->stages,
                kind == TK_ACT_FORWARD ? chunk : s->chunks - 1 - chunk);
}

// The k-th backward of a stage; weights come `delay` backwards later.
static void put_backward(const tk_schedule *s, tk_stage_plan *p, int64_t k, int64_t delay)
{
    if (s->kind != TK_SCHEDULE_ZB_H1) {
        put_nth(s, p, TK_ACT_BACKWARD, k);
        return;
    }
    put_nth(s, p, TK_ACT_INPUTS, k);
    if (k >= delay) put_nth(s, p, TK_ACT_WEIGHTS, k - delay);
}

// `ahead` forwards, then forward and backward in turn, then the backwards that are left.
static void fill_in_turn(const tk_schedule *s, tk_stage_plan *p, int64_t ahead, int64_t delay)
{
    const int64_t rounds = (s->micro + s->stages - 1) / s->stages;
    const int64_t total = rounds * s->stages * s->chunks;
    ahead = smaller(ahead, total);
    for (int64_t k = 0; k < ahead; k++) put_nth(s, p, TK_ACT_FORWARD, k);
    for (int64_t k = ahead; k < total; k++) {
        put_nth(s, p, TK_ACT_FORWARD, k);
        put_backward(s, p, k - ahead, delay);
    }
    for (int64_t k = total - ahead; k < total; k++) put_backward(s, p, k, delay);
    if (s->kind != TK_SCHEDULE_ZB_H1) return;
    for (int64_t k = total > delay ? total - delay : 0; k < total; k++)
        put_nth(s, p, TK_ACT_WEIGHTS, k);
}

static void fill_stage(const tk_schedule *s, int stage)
{
    tk_stage_plan *p = &s->stage[stage];
    const int64_t after = s->stages - stage - 1;
    int64_t ahead = after, delay = 0;
    if (s->kind == TK_SCHEDULE_FORWARD) {
        const int64_t rounds = (s->micro + s->stages - 1) / s->stages;
        for (int64_t k = 0; k < rounds * s->stages * s->chunks; k++)
            put_nth(s, p, TK_ACT_FORWARD, k);
        p->most = s->micro * s->chunks;
        return;
    }
    if (s->chunks > 1) ahead = 2 * after + (int64_t)(s->chunks - 1) * s->stages;
    if (s->kind == TK_SCHEDULE_ZB_H1) delay = stage;
    fill_in_turn(s, p, ahead, delay);
    p->most = smaller(ahead + delay + 1, s->micro * s->chunks);
}

static tk_status make_plans(tk_schedule *s)
{
    TK_ARENA_NEW(s->stage, &s->arena, s->stages);
    for (int i = 0; i < s->stages; i++) {
        TK_ARENA_NEW(s->stage[i].action, &s->arena, 3 * s->micro * s->chunks + 1);
        fill_stage(s, i);
    }
    return TK_OK;
}

tk_status tk_schedule_make(tk_schedule *s, tk_schedule_kind kind, int stages, int chunks,
                           int64_t micro)
{
    *s = (tk_schedule){.kind = kind, .stages = stages, .chunks = chunks, .micro = micro};
    TK_TRY(check_kind(kind, stages, chunks, micro));
    tk_arena_init(&s->arena, 0);
    const tk_status st = make_plans(s);
    if (st != TK_OK) tk_schedule_free(s);
    return st;
}

void tk_schedule_free(tk_schedule *s)
{
    tk_arena_free(&s->arena);
    *s = (tk_schedule){0};
}

// ---- what depends on what ----------------------------------------------------------------------

bool tk_schedule_feeds(const tk_schedule *s, int stage, const tk_action *a, int *to, tk_action *fed)
{
    if (a->kind == TK_ACT_WEIGHTS) return false;
    const int run = a->chunk * s->stages + stage + (a->kind == TK_ACT_FORWARD ? 1 : -1);
    if (run < 0 || run >= s->stages * s->chunks) return false;
    *to = run % s->stages;
    *fed = (tk_action){a->kind, run / s->stages, a->micro};
    return true;
}

bool tk_schedule_waits(const tk_schedule *s, int stage, const tk_action *a, int *from)
{
    if (a->kind == TK_ACT_WEIGHTS) return false;
    const int run = a->chunk * s->stages + stage + (a->kind == TK_ACT_FORWARD ? -1 : 1);
    if (run < 0 || run >= s->stages * s->chunks) return false;
    *from = run % s->stages;
    return true;
}

void tk_action_print(const tk_action *a, char *out, size_t size)
{
    static const char *const words[TK_ACT_KINDS] = {"forward", "backward", "backward for inputs",
                                                    "backward for weights"};
    snprintf(out, size, "%s of microbatch %lld, chunk %d", words[a->kind], (long long)a->micro,
             a->chunk);
}
