// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/tasks/tasks.h"
#include "infer/eval/cited.h"
#include "infer/eval/measure/measure.h"
#include <stdio.h>
#include <string.h>

static const char *const column_name[TK_ASKED_COLUMNS] = {"right", "wrong", "truth", "chance"};

// ---- which -------------------------------------------------------------------------------------

static tk_status take_name(const char *name, tk_asked_figures *out)
{
    char known[256] = "all";
    bool any = false;
    for (int t = 0; t < TK_ASKED_TASKS; t++) {
        const char *own = tk_task_name[tk_asked_tasks[t].task];
        const bool meant = !strcmp(name, "all") || !strcmp(name, own);
        const size_t n = strlen(known);
        out->asked[t] |= meant;
        any |= meant;
        snprintf(known + n, sizeof known - n, ", %s", own);
    }
    if (any) return TK_OK;
    return TK_FAIL(TK_INPUT, "eval.tasks: \"%s\" is no task that gives a part of a clip: %s", name,
                   known);
}

tk_status tk_asked_read(const tk_eval_config *c, tk_asked_figures *out)
{
    for (int64_t i = 0; i < c->n_tasks; i++) TK_TRY(take_name(c->tasks[i], out));
    return TK_OK;
}

static int count_tasks(const tk_asked_figures *f)
{
    int n = 0;
    for (int t = 0; t < TK_ASKED_TASKS; t++) n += f->asked[t];
    return n;
}

// ---- one clip ----------------------------------------------------------------------------------

typedef struct asked_clip {
    tk_eval *e;
    int64_t i;
    tk_arena *a;
    tk_eval_clip clip[2];  // without captions and with them
    tk_latents own, other; // rows of the clip, and of another
} asked_clip;

static tk_status film_latents(const asked_clip *c, const tk_scene *s, tk_latents *out)
{
    const tk_story *plan = &c->clip[0].plan;
    tk_media m;
    TK_TRY(tk_eval_film(c->e, s, plan, &m));
    const tk_status st = tk_eval_encode(c->e, &m, plan, c->a, out);
    tk_media_free(&m);
    return st;
}

static tk_status open_clip(asked_clip *c)
{
    const tk_eval_config *k = &c->e->config.eval;
    const int64_t from = k->first + k->clips + c->i * TK_ASKED_OTHERS;
    const tk_scene *s = &c->clip[0].scene;
    tk_scene *other;
    TK_ARENA_NEW(other, c->a, 1);
    TK_TRY(tk_eval_plan(c->e, c->i, TK_CAPTIONS_NONE, c->a, &c->clip[0]));
    TK_TRY(tk_eval_plan(c->e, c->i, TK_CAPTIONS_PLAIN, c->a, &c->clip[1]));
    TK_TRY(tk_asked_other(&c->e->config, c->e->speech, s, from, other));
    TK_TRY(film_latents(c, s, &c->own));
    return film_latents(c, other, &c->other);
}

// What was made, or stands for it, judged in its place.
static tk_status judge_joined(const asked_clip *c, const tk_asked_task *t, const tk_asked_parts *p,
                              const tk_latents *made, tk_figures *to)
{
    const tk_eval *e = c->e;
    const tk_story *plan = &c->clip[0].plan;
    const tk_codec *codec = e->trained.meta.codec;
    tk_learned judges = e->learned;
    tk_figures f = {0};
    tk_latents x;
    tk_media m;
    if (!t->voices) judges.ear = NULL; // what takes long and is not asked
    TK_TRY(tk_asked_join(p, plan, tk_codec_get_info(codec), &c->own, made, c->a, &x));
    TK_TRY(tk_story_decode(plan, codec, &x, &m));
    const tk_status st = tk_measure_clip(&judges, &c->clip[0].scene, &m, p->made, &f);
    tk_media_free(&m);
    if (e->config.world.held_out == TK_HELD_ONLY) tk_keep_held_out(&c->clip[0].scene, &f);
    tk_asked_count(t, &f, to);
    return st;
}

// Collective over the replica: of rows of `given`.
static tk_status make_rest(const asked_clip *c, const tk_asked_task *t, tk_asked_parts *p,
                           const tk_latents *given, tk_latents *out)
{
    const tk_eval_clip *clip = &c->clip[t->captions];
    const tk_references none = {0};
    const tk_story_task task = {.config = &clip->story,
                                .story = &clip->plan,
                                .refs = &none,
                                .given = &p->given,
                                .step_done = tk_eval_step,
                                .ctx = c->e->deal};
    p->given.rows[TK_VIDEO] = given->rows[TK_VIDEO];
    p->given.rows[TK_AUDIO] = given->rows[TK_AUDIO];
    return tk_story_sample(&c->e->session, &task, c->a, out);
}

static tk_status judge_columns(const asked_clip *c, const tk_asked_task *t, const tk_asked_parts *p,
                               const tk_latents made[TK_ASKED_COLUMNS], tk_figures *to)
{
    for (int k = 0; k < TK_ASKED_COLUMNS; k++) TK_TRY(judge_joined(c, t, p, &made[k], &to[k]));
    return TK_OK;
}

static void skip_steps(const asked_clip *c)
{
    const int64_t steps = c->clip[0].plan.n_windows * c->e->config.sample.steps;
    for (int64_t k = 0; k < 2 * steps; k++) tk_deal_step(c->e->deal);
}

static tk_status parts_of_task(const asked_clip *c, const tk_asked_task *t, tk_asked_parts **out,
                               bool *can)
{
    const tk_codec_info *k = tk_codec_get_info(c->e->trained.meta.codec);
    TK_ARENA_NEW(*out, c->a, 1);
    return tk_asked_parts_of(t, &c->clip[0].plan, k, c->a, *out, can);
}

// Collective over the replica.
static tk_status ask_task(const asked_clip *c, const tk_asked_task *t, tk_figures *to)
{
    tk_comm *replica = &c->e->mesh.replica;
    tk_latents made[TK_ASKED_COLUMNS] = {[TK_ASKED_TRUTH] = c->own, [TK_ASKED_CHANCE] = c->other};
    tk_asked_parts *p;
    bool can = false;
    TK_TRY(tk_agree(replica, parts_of_task(c, t, &p, &can)));
    if (!can) {
        skip_steps(c);
        return TK_OK;
    }
    TK_TRY(make_rest(c, t, p, &c->own, &made[TK_ASKED_RIGHT]));
    TK_TRY(make_rest(c, t, p, &c->other, &made[TK_ASKED_WRONG]));
    return tk_agree(replica, replica->rank ? TK_OK : judge_columns(c, t, p, made, to));
}

static tk_status ask_clip(tk_eval *e, int64_t i, tk_asked_figures *f)
{
    tk_arena a;
    tk_arena_init(&a, 1 << 20);
    asked_clip c = {.e = e, .i = i, .a = &a};
    tk_status st = tk_agree(&e->mesh.replica, open_clip(&c));
    for (int t = 0; t < TK_ASKED_TASKS && st == TK_OK; t++)
        if (f->asked[t]) st = ask_task(&c, &tk_asked_tasks[t], f->column[t]);
    tk_arena_free(&a);
    return st;
}

// ---- all of them -------------------------------------------------------------------------------

tk_status tk_asked_fill(tk_eval *e, tk_asked_figures *f)
{
    const int64_t n = e->config.eval.clips;
    const int tasks = count_tasks(f);
    int64_t i = 0, steps;
    if (tasks == 0) return TK_OK;
    tk_status st = tk_eval_count_steps(e, TK_EVAL_MODEL, n, NULL, &steps);
    TK_TRY(tk_agree(e->world, st));
    TK_TRY(
        tk_deal_open(e->world, &e->mesh.replica, n, "tasks", "steps", steps * tasks * 2, &e->deal));
    while (st == TK_OK && (st = tk_deal_next(e->deal, &i)) == TK_OK && i >= 0)
        st = ask_clip(e, i, f);
    TK_TRY(tk_deal_close(e->deal, tk_eval_failed(e, st)));
    for (int t = 0; t < TK_ASKED_TASKS; t++)
        for (int k = 0; k < TK_ASKED_COLUMNS; k++) TK_TRY(tk_eval_sum(e, &f->column[t][k]));
    return TK_OK;
}

static void side_by_side(const tk_asked_figures *f, int t,
                         tk_column_of_figures list[TK_ASKED_COLUMNS])
{
    for (int k = 0; k < TK_ASKED_COLUMNS; k++)
        list[k] = (tk_column_of_figures){column_name[k], &f->column[t][k]};
}

static const char *told_captions(const tk_asked_task *t)
{
    return t->captions ? "captions are told" : "no captions";
}

void tk_asked_print(const tk_asked_figures *f)
{
    tk_column_of_figures list[TK_ASKED_COLUMNS];
    if (count_tasks(f) > 0)
        printf(
            "\nTasks. Made of a part of the clip (right) or of another clip (wrong), and judged in "
            "the clip; beside\nthe clip itself (truth) and the other clip's in place of what was "
            "to be made (chance).\n");
    for (int t = 0; t < TK_ASKED_TASKS; t++) {
        const tk_asked_task *task = &tk_asked_tasks[t];
        if (!f->asked[t]) continue;
        printf("\n%s: %s; %s\n", tk_task_name[task->task], task->words, told_captions(task));
        side_by_side(f, t, list);
        tk_figures_print(TK_ASKED_COLUMNS, list);
    }
}

json_t *tk_asked_report(const tk_asked_figures *f)
{
    tk_column_of_figures list[TK_ASKED_COLUMNS];
    if (count_tasks(f) == 0) return NULL;
    json_t *all = json_object();
    for (int t = 0; t < TK_ASKED_TASKS && all; t++) {
        const tk_asked_task *task = &tk_asked_tasks[t];
        if (!f->asked[t]) continue;
        side_by_side(f, t, list);
        json_object_set_new(all, tk_task_name[task->task],
                            json_pack("{s:s, s:b, s:o}", "what", task->words, "captions",
                                      (int)task->captions, "figures",
                                      tk_figures_report(TK_ASKED_COLUMNS, list)));
    }
    return all;
}
