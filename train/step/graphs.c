// SPDX-License-Identifier: Apache-2.0
#include "train/step/graphs.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

// ---- shapes ------------------------------------------------------------------------------------

typedef struct numbers {
    int64_t *at;
    int64_t n;
} numbers;

static void add_size(numbers *x, int64_t number)
{
    x->at[x->n++] = number;
}

static void add_document(numbers *x, const tk_document *d, bool own)
{
    add_size(x, d->text_rows);
    add_size(x, d->n_shots);
    add_size(x, d->audio_channels);
    if (own) {
        add_size(x, tk_document_targets(d, TK_VIDEO));
        add_size(x, tk_document_targets(d, TK_AUDIO));
    }
    for (int k = 0; k < d->n_shots; k++) {
        add_size(x, tk_shot_count(d, k, TK_VIDEO));
        add_size(x, tk_shot_count(d, k, TK_AUDIO));
    }
}

// Distinct noise levels of a microbatch, as its stream will count them.
static int64_t count_levels(const tk_step_document *d, int64_t n, float *level)
{
    int64_t levels = 0;
    for (int64_t i = 0; i < 3 * n; i++) {
        const tk_document *k = &d[i / 3].doc;
        const float t = (float)(i % 3 == 0 ? k->t_clean : i % 3 == 1 ? k->t_video : k->t_audio);
        int64_t at = 0;
        while (at < levels && level[at] != t) at++;
        level[at] = t;
        levels += at == levels;
    }
    return levels;
}

tk_status tk_shape_of(const tk_step_documents *d, const tk_train_config *c, bool own,
                      int data_ranks, tk_arena *a, tk_shape *out)
{
    numbers x = {0};
    float *level;
    int64_t most = 0;
    for (int64_t j = 0; j < d->n; j++) most += 7 + 2 * d->document[j].doc.n_shots;
    TK_ARENA_NEW(x.at, a, most);
    TK_ARENA_NEW(level, a, 3 * d->n);
    for (int r = 0; r < data_ranks; r++) {
        const tk_microbatches m = tk_microbatches_of(c, r, data_ranks);
        for (int64_t i = 0; i < m.n; i++) {
            const int64_t begin = tk_microbatch_begin(&m, i), end = tk_microbatch_begin(&m, i + 1);
            add_size(&x, end - begin);
            add_size(&x, count_levels(&d->document[begin], end - begin, level));
            for (int64_t j = begin; j < end; j++) add_document(&x, &d->document[j].doc, own);
        }
    }
    const XXH128_hash_t hash = XXH3_128bits(x.at, (size_t)x.n * sizeof *x.at);
    *out = (tk_shape){{hash.low64, hash.high64}};
    return TK_OK;
}

static bool are_alike(const tk_shape *a, const tk_shape *b)
{
    return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

// ---- which to keep -----------------------------------------------------------------------------

enum { SEEN = 256 };

typedef struct tk_shape_seen {
    tk_shape shape;
    int64_t last; // the step that had it, counted from 1
} tk_shape_seen;

tk_status tk_graphs_open(tk_graphs *r, tk_device *d, int64_t most, tk_arena *a)
{
    *r = (tk_graphs){.device = d, .most = (int)most};
    TK_ARENA_NEW(r->kept, a, most);
    TK_ARENA_NEW(r->seen, a, SEEN);
    return TK_OK;
}

void tk_graphs_close(tk_graphs *r)
{
    for (int i = 0; i < r->n; i++) tk_graph_close(&r->kept[i].graph);
    *r = (tk_graphs){0};
}

// The step that had the shape last, 0: none that is remembered. Now it is this one.
static int64_t came_before(tk_graphs *r, const tk_shape *s)
{
    int at = 0, oldest = 0;
    for (; at < r->n_seen && !are_alike(&r->seen[at].shape, s); at++)
        if (r->seen[at].last < r->seen[oldest].last) oldest = at;
    const bool known = at < r->n_seen;
    if (!known) at = r->n_seen < SEEN ? r->n_seen++ : oldest;
    const int64_t before = known ? r->seen[at].last : 0;
    r->seen[at] = (tk_shape_seen){*s, r->steps};
    return before;
}

static tk_step_graph *find_kept(tk_graphs *r, const tk_shape *s)
{
    for (int i = 0; i < r->n; i++)
        if (are_alike(&r->kept[i].shape, s)) return &r->kept[i];
    return NULL;
}

// A place for a shape that came before at step `before`; NULL: all have been used since.
static tk_step_graph *find_graph_place(tk_graphs *r, int64_t before)
{
    tk_step_graph *idle = &r->kept[0];
    if (r->n < r->most) return &r->kept[r->n++];
    for (int i = 1; i < r->n; i++)
        if (r->kept[i].used < idle->used) idle = &r->kept[i];
    return idle->used < before ? idle : NULL;
}

static tk_step_way choose_way(tk_graphs *r, const tk_shape *s, tk_step_graph **out)
{
    const int64_t before = came_before(r, s);
    *out = find_kept(r, s);
    if (*out) return TK_STEP_REPLAYED;
    if (before && tk_device_computes(r->device)) *out = find_graph_place(r, before);
    return *out ? TK_STEP_RECORDED : TK_STEP_ASKED;
}

// *turns: the step before was a graph and this one is not, or the other way round, or it is
// recorded: the device must have come to the end of the step before, since what NCCL does for
// graphs and beside them must not meet, and a graph that makes way must be done.
static tk_step_way choose_step(tk_graphs *r, const tk_shape *s, tk_step_graph **out, bool *turns)
{
    r->steps++;
    const tk_step_way way = choose_way(r, s, out);
    *turns = way == TK_STEP_RECORDED || r->graphs != (way != TK_STEP_ASKED);
    r->graphs = way != TK_STEP_ASKED;
    r->recorded += way == TK_STEP_RECORDED;
    r->replayed += way == TK_STEP_REPLAYED;
    if (!*out) return way;
    (*out)->shape = *s;
    (*out)->used = r->steps;
    return way;
}

// ---- doing it ----------------------------------------------------------------------------------

// With the inputs placed and not sent.
static tk_status record_step(tk_step_graph *g, tk_device *d, const tk_graphs_step *s,
                             tk_transfer *inputs)
{
    TK_TRY(tk_graph_open(&g->graph, d));
    TK_TRY(tk_transfer_place(inputs));
    g->inputs = inputs->block;
    TK_TRY(tk_graph_record(&g->graph));
    const double before = *s->extra_flops;
    TK_TRY(s->ask(s->ctx, false));
    g->extra_flops = *s->extra_flops - before;
    *s->extra_flops = before; // nothing was done
    return tk_graph_end(&g->graph);
}

// Recording asks nothing of other ranks that would have to wait: who fails says so to all.
static tk_status record_together(tk_step_graph *g, tk_device *d, const tk_graphs_step *s,
                                 tk_transfer *inputs)
{
    tk_graph_close(&g->graph); // of the shape that makes way
    tk_status st = record_step(g, d, s, inputs);
    tk_device_free(d, &inputs->block);
    st = tk_agree(s->world, st);
    if (st != TK_OK) tk_graph_close(&g->graph);
    TK_TRY(st);
    return TK_OK;
}

// Sends the inputs to where they were, and has all done.
static tk_status launch_step(tk_step_graph *g, const tk_graphs_step *s, tk_transfer *inputs)
{
    TK_TRY(tk_graph_hold(&g->graph));
    TK_TRY(tk_transfer_send_to(inputs, &g->inputs));
    TK_TRY(tk_graph_launch(&g->graph));
    *s->extra_flops += g->extra_flops;
    return s->sent(s->ctx);
}

tk_status tk_graphs_do(tk_graphs *r, const tk_graphs_step *s, tk_transfer *inputs, tk_step_way *way)
{
    tk_step_graph *g;
    bool turns;
    *way = choose_step(r, &s->shape, &g, &turns);
    tk_transfer_begin(inputs, s->host);
    TK_TRY(s->fill(s->ctx, inputs));
    if (turns) TK_TRY(s->hear(s->ctx));
    if (!g) {
        TK_TRY(tk_transfer_send(inputs));
        TK_TRY(s->sent(s->ctx));
        return s->ask(s->ctx, !turns);
    }
    if (*way == TK_STEP_RECORDED) TK_TRY(record_together(g, r->device, s, inputs));
    TK_TRY(launch_step(g, s, inputs));
    return turns ? TK_OK : s->hear(s->ctx);
}
