// SPDX-License-Identifier: Apache-2.0
#include "infer/story/forecast.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- other options -----------------------------------------------------------------------------

enum { HALF_A_WINDOW, A_QUARTER, NO_GUIDANCE, HALF_THE_SIDES, TENSOR, PIPELINE, WAYS };

typedef struct change { // what is changed in all storyboards
    double window;      // at most so many seconds; 0: as it is
    int64_t size[2];    // 0: as it is
    bool no_guidance;
    tk_parallel_config parallel;
} change;

static void make_change(const change *by, tk_config *c)
{
    const double window = c->sample.window > 0 ? c->sample.window : c->world.seconds;
    if (by->window > 0 && by->window < window) c->sample.window = by->window;
    for (int i = 0; i < 2 && by->size[0]; i++) c->story.size[i] = by->size[i];
    if (by->no_guidance) c->sample.guidance = 1;
}

// ---- the largest windows -----------------------------------------------------------------------

// Looked at: a few rows less may take more where blocks of the pool fit together less well.
enum { LARGEST = 8 };

enum { ROWS, VIDEO_ROWS, TEXT_ROWS, TEXT_ROWS_WITHOUT, STEPS, SIZES };

typedef struct large_window {
    int64_t size[SIZES];
    int64_t story;
    int window;
} large_window;

typedef struct largest {
    large_window window[LARGEST]; // no two of one size; those with most rows come first
    int n;
} largest;

typedef struct planned { // a storyboard
    tk_config config;
    const char *name;
    tk_story story;
    tk_references refs;
    tk_story_text text;
    tk_story_given given; // where it gives
    bool gives;
} planned;

static tk_status plan_story(const tk_stories *s, const tk_trained *t, const change *by, int64_t i,
                            tk_arena *a, planned *out)
{
    const tk_codec *codec = t->meta.codec;
    TK_TRY(s->get(s->ctx, i, a, &out->config, &out->name));
    make_change(by, &out->config);
    TK_TRY(tk_story_plan(&out->config, codec, a, &out->story));
    TK_TRY(tk_story_text_look(&out->config, t, a, &out->text));
    out->gives = tk_story_gives(&out->config.story);
    if (out->gives)
        TK_TRY(tk_story_given_lay(&out->config, &out->story, tk_codec_get_info(codec), a,
                                  &out->given));
    if (s->refer) return s->refer(s->ctx, i, a, &out->refs);
    return tk_references_measure(&out->config, &out->story, tk_codec_get_info(codec), a,
                                 &out->refs);
}

static tk_status plan_window(const planned *p, const tk_trained *t, int i, tk_arena *a,
                             tk_sample_task *out)
{
    const tk_story_task task = {.config = &p->config,
                                .story = &p->story,
                                .refs = &p->refs,
                                .text = &p->text,
                                .given = p->gives ? &p->given : NULL};
    return tk_window_task(&task, tk_codec_get_info(t->meta.codec), i, NULL, a, out);
}

static void measure_task(const tk_sample_task *t, large_window *w)
{
    tk_document d = t->doc;
    for (int i = 0; i < tk_sample_branches(t->guidance); i++) {
        int64_t count[TK_MODALITIES];
        d.text_rows = w->size[TEXT_ROWS + i] = t->text_rows[i];
        w->size[ROWS] += tk_document_rows(&d, count);
        w->size[VIDEO_ROWS] += count[TK_VIDEO];
    }
    w->size[STEPS] = t->steps;
}

static void insert_window(largest *all, const large_window *w)
{
    int at = 0;
    while (at < all->n && all->window[at].size[ROWS] > w->size[ROWS]) at++;
    for (int i = at; i < all->n && all->window[i].size[ROWS] == w->size[ROWS]; i++)
        if (!memcmp(all->window[i].size, w->size, sizeof w->size)) return;
    if (at == LARGEST) return;
    all->n += all->n < LARGEST;
    for (int i = all->n - 1; i > at; i--) all->window[i] = all->window[i - 1];
    all->window[at] = *w;
}

// Those of a storyboard's windows that are made come among *all. What is laid out of one goes
// before the next is, so that a long storyboard takes no more than a short one.
static tk_status look_at_windows(const planned *p, const tk_trained *t, int64_t story, tk_arena *a,
                                 largest *all)
{
    for (int k = 0; k < p->story.n_windows; k++) {
        tk_sample_task task;
        large_window w = {.story = story, .window = k};
        if (p->gives && !tk_story_window_makes(&p->given, &p->story, &p->story.windows[k]))
            continue;
        tk_arena_reset(a);
        TK_TRY(plan_window(p, t, k, a, &task));
        measure_task(&task, &w);
        insert_window(all, &w);
    }
    return TK_OK;
}

static tk_status find_largest_of(const planned *p, const tk_trained *t, int64_t story, largest *all)
{
    tk_arena of_window;
    tk_arena_init(&of_window, 0);
    const tk_status st = look_at_windows(p, t, story, &of_window, all);
    tk_arena_free(&of_window);
    return st;
}

static int by_making(const void *x, const void *y)
{
    const large_window *a = x, *b = y;
    if (a->story != b->story) return a->story < b->story ? -1 : 1;
    return a->window < b->window ? -1 : a->window > b->window;
}

// n: the storyboards that can be made.
static tk_status find_largest(const tk_stories *s, const tk_trained *t, const change *by,
                              tk_arena *a, largest *all, int64_t *n)
{
    *all = (largest){0};
    *n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        planned p;
        tk_arena_reset(a);
        const tk_status st = plan_story(s, t, by, i, a, &p);
        if (st == TK_INPUT) tk_status_clear();
        if (st != TK_OK && st != TK_INPUT) return st;
        if (st == TK_INPUT) continue;
        TK_TRY(find_largest_of(&p, t, i, all));
        ++*n;
    }
    return TK_OK;
}

// ---- going through them ------------------------------------------------------------------------

typedef struct forecasting {
    const tk_stories *stories;
    const tk_session *session;
    change asked;
    char name[128];  // of the window with most rows
    double window;   // seconds of its story's
    int64_t half[2]; // sides of its picture
    int64_t planned; // storyboards that can be made as asked
} forecasting;

static void describe_largest(forecasting *f, const planned *p, const large_window *w)
{
    const tk_codec_info *k = tk_codec_get_info(f->session->trained->meta.codec);
    f->window = p->story.window;
    f->half[0] = tk_grid_side(k, p->story.grid.width / 2);
    f->half[1] = tk_grid_side(k, p->story.grid.height / 2);
    snprintf(f->name, sizeof f->name, "sampling shots[%d] of %s",
             p->story.windows[w->window].target, p->name);
}

// In the order of making.
static tk_status sample_windows(forecasting *f, const change *by, largest *all, tk_sampler *on,
                                tk_arena *a)
{
    const tk_trained *t = f->session->trained;
    const large_window first = all->window[0];
    float *const nothing[TK_MODALITIES] = {0};
    qsort(all->window, (size_t)all->n, sizeof *all->window, by_making);
    for (int i = 0; i < all->n; i++) {
        planned p;
        tk_sample_task task;
        tk_arena_reset(a);
        TK_TRY(plan_story(f->stories, t, by, all->window[i].story, a, &p));
        TK_TRY(plan_window(&p, t, all->window[i].window, a, &task));
        if (by == &f->asked && by_making(&all->window[i], &first) == 0)
            describe_largest(f, &p, &first);
        TK_TRY(tk_sampler_run(on, &task, nothing, NULL, NULL));
    }
    return TK_OK;
}

enum { AT_ONCE = 4 };
typedef struct longest { // of a storyboard's windows that are made, those with most rows, in order
    tk_sample_task task[AT_ONCE];
    int n;
} longest;

static tk_status find_longest(const planned *p, const tk_trained *t, int64_t story, tk_arena *a,
                              longest *out)
{
    largest all = {0};
    *out = (longest){0};
    TK_TRY(find_largest_of(p, t, story, &all));
    for (; out->n < all.n && out->n < AT_ONCE; out->n++)
        TK_TRY(plan_window(p, t, all.window[out->n].window, a, &out->task[out->n]));
    return TK_OK;
}

// Those of n tasks that may be with the i-th, in one step, unless an earlier one was with it.
static tk_status sample_with_others(tk_sampler *on, int n, const tk_sample_task *const *task, int i,
                                    bool *done, tk_arena *a)
{
    static float *const nothing[TK_MODALITIES];
    const tk_sample_task **group;
    float *const **rows;
    int m = 0;
    TK_ARENA_NEW(group, a, n);
    TK_ARENA_NEW(rows, a, n);
    for (int k = i; k < n && !done[i]; k++) {
        if (k > i && (done[k] || !tk_sampler_together(on, task[i], task[k]))) continue;
        rows[m] = nothing;
        group[m++] = task[k];
        done[k] = k > i;
    }
    return m < 2 ? TK_OK : tk_sampler_run_all(on, m, group, rows, NULL, NULL);
}

// The longest windows of all, then the second longest, ...: a few rows less may take more.
static tk_status sample_at_once(forecasting *f, const change *by, tk_sampler *on, tk_arena *a)
{
    const tk_trained *t = f->session->trained;
    const int64_t n = f->stories->n;
    const tk_sample_task **task;
    longest *of;
    planned *p;
    bool *done;
    tk_arena_reset(a);
    TK_ARENA_NEW(p, a, n);
    TK_ARENA_NEW(of, a, n);
    TK_ARENA_NEW(task, a, n);
    TK_ARENA_NEW(done, a, n);
    for (int64_t i = 0; i < n; i++) {
        TK_TRY(plan_story(f->stories, t, by, i, a, &p[i]));
        TK_TRY(find_longest(&p[i], t, i, a, &of[i]));
    }
    for (int k = 0; k < AT_ONCE; k++) {
        int m = 0;
        bool any = false;
        for (int64_t i = 0; i < n; i++) {
            any |= of[i].n > k;
            if (of[i].n) task[m++] = &of[i].task[k < of[i].n ? k : of[i].n - 1];
        }
        for (int i = 0; i < m; i++) done[i] = false;
        for (int i = 0; i < m && any; i++) TK_TRY(sample_with_others(on, m, task, i, done, a));
    }
    return TK_OK;
}

static tk_status sample_dry(forecasting *f, const change *by, largest *all, tk_dry_rank *r,
                            tk_arena *a, tk_forecast *out)
{
    const tk_model_part part = tk_sampler_part(&r->mesh, &r->device);
    tk_sampler sampler;
    tk_model model = {0};
    tk_sampler_open(&sampler, &r->mesh, &r->device, &model);
    tk_status st = tk_model_open(&model, &f->session->trained->config.model, &part);
    if (st == TK_OK) st = sample_windows(f, by, all, &sampler, a);
    if (st == TK_OK && f->stories->at_once) st = sample_at_once(f, by, &sampler, a);
    tk_dry_rank_tell(r, out);
    out->staging = sampler.host.most;
    tk_sampler_close(&sampler);
    if (model.device) tk_model_close(&model);
    return st;
}

static tk_status forecast_in(forecasting *f, const change *by, int rank, tk_arena *a,
                             tk_forecast *out)
{
    largest all;
    int64_t n;
    tk_dry_rank r;
    TK_TRY(find_largest(f->stories, f->session->trained, by, a, &all, &n));
    if (by == &f->asked) f->planned = n;
    if (!n || n < f->planned) return TK_OK;
    TK_TRY(tk_dry_rank_open(&r, &by->parallel, rank, &f->session->device));
    const tk_status st = sample_dry(f, by, &all, &r, a, out);
    tk_dry_rank_close(&r);
    return st;
}

static tk_status forecast_rank(forecasting *f, const change *by, int rank, tk_forecast *out)
{
    tk_arena a;
    *out = (tk_forecast){0};
    tk_arena_init(&a, 0);
    const tk_status st = forecast_in(f, by, rank, &a, out);
    tk_arena_free(&a);
    return st;
}

tk_status tk_stories_forecast(const tk_stories *s, const tk_session *session,
                              const tk_parallel_config *p, tk_forecast *out)
{
    forecasting f = {.stories = s, .session = session, .asked = {.parallel = *p}};
    return forecast_rank(&f, &f.asked, session->mesh->world.rank, out);
}

// ---- taking it ---------------------------------------------------------------------------------

// Way k, if there is one: false else.
static bool choose_change(const forecasting *f, int k, change *by, char words[TK_FORECAST_WORDS])
{
    const tk_model_config *m = &f->session->trained->config.model;
    *by = f->asked;
    switch (k) {
    case HALF_A_WINDOW:
    case A_QUARTER:
        snprintf(words, TK_FORECAST_WORDS, "sample.window=%.3g",
                 f->window / (k == A_QUARTER ? 4 : 2));
        by->window = atof(strchr(words, '=') + 1);
        return !f->stories->fixed;
    case NO_GUIDANCE:
        snprintf(words, TK_FORECAST_WORDS, "sample.guidance=1");
        by->no_guidance = true;
        return f->asked.parallel.guidance <= 1;
    case HALF_THE_SIDES:
        snprintf(words, TK_FORECAST_WORDS, "size=[%" PRId64 ", %" PRId64 "]", f->half[0],
                 f->half[1]);
        memcpy(by->size, f->half, sizeof by->size);
        return !f->stories->fixed;
    case TENSOR:
        snprintf(words, TK_FORECAST_WORDS, "twice as many tensor ranks");
        by->parallel.tensor *= 2;
        return by->parallel.tensor <= m->heads;
    default:
        snprintf(words, TK_FORECAST_WORDS, "twice as many pipeline ranks");
        by->parallel.pipeline *= 2;
        return by->parallel.pipeline <= m->layers;
    }
}

// The bytes of the first rank and of the last of a replica, whichever are more.
static tk_status need_of_change(void *ctx, int k, char words[TK_FORECAST_WORDS], size_t *bytes)
{
    forecasting *f = ctx;
    change by;
    tk_forecast first, last;
    if (!choose_change(f, k, &by, words)) return TK_OK;
    TK_TRY(forecast_rank(f, &by, 0, &first));
    const tk_parallel_config *p = &by.parallel;
    TK_TRY(forecast_rank(f, &by, (int)(p->tensor * p->pipeline * p->guidance) - 1, &last));
    *bytes = first.pool > last.pool ? first.pool : last.pool;
    return TK_OK;
}

tk_status tk_stories_take_memory(const tk_stories *s, tk_session *session,
                                 const tk_parallel_config *p)
{
    forecasting f = {.stories = s, .session = session, .asked = {.parallel = *p}};
    const tk_forecast_ways ways = {.ctx = &f,
                                   .n = s->at_once ? 0 : WAYS, // fewer at once is one
                                   .need = need_of_change,
                                   .none = "No single option makes it fit; more ranks for a "
                                           "storyboard, shorter shots or a smaller size do"};
    const int rank = session->mesh->world.rank;
    tk_forecast need;
    if (!tk_device_maps(&session->device)) return TK_OK;
    TK_TRY(forecast_rank(&f, &f.asked, rank, &need));
    TK_TRY(tk_forecast_take(&need, f.name, rank, &ways, &session->device));
    if (session->sampler.host.head) return TK_OK; // that of the host takes more as it is needed
    return tk_staging_reserve(&session->sampler.host, need.staging);
}
