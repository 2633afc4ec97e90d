// SPDX-License-Identifier: Apache-2.0
// Held-out clips of an evaluation: scenes asked of a model as storyboards, filmed, passed through
// the codec and measured, each by whichever replica is free. Internal to infer/eval.
#pragma once
#include "data/scene/scene.h"
#include "infer/eval/figures.h"
#include "infer/eval/learn/learn.h"
#include "infer/story/forecast.h"
#include "infer/story/story.h"
#include "parallel/mpi/deal.h"

// Made by the model, and made with references to other people (eval.references); the first and the
// last telling of long stories (eval.long); the scenes themselves, and those through the codec; by
// an untrained model.
typedef enum tk_eval_column {
    TK_EVAL_MODEL,
    TK_EVAL_WRONG,
    TK_EVAL_FIRST,
    TK_EVAL_LAST,
    TK_EVAL_TRUTH,
    TK_EVAL_CEILING,
    TK_EVAL_FLOOR,
    TK_EVAL_COLUMNS
} tk_eval_column;
extern const char *const tk_eval_column_name[TK_EVAL_COLUMNS];

typedef struct tk_eval { // under way
    tk_comm *world;
    tk_config config; // the checkpoint's, under the config file's, under the overrides
    tk_trained trained;
    const char *report; // where the figures go
    tk_mesh mesh;
    tk_session session;
    tk_deal *deal;
    tk_speech *speech; // NULL: nobody speaks
    tk_learned learned;
    tk_figures column[TK_EVAL_COLUMNS];
    double *score; // (clips) of the model's, what part of what was asked for was found
    tk_arena arena;
} tk_eval;

// ---- one clip ----

typedef struct tk_eval_clip {
    tk_scene scene;
    tk_config story; // its shot list as a storyboard
    tk_story plan;
} tk_eval_clip;

// Clip i with its captions, those that name people by tags where eval.references is on, or without
// any: then shots have their marks alone, as where training drops captions.
typedef enum tk_eval_captions {
    TK_CAPTIONS_NONE,
    TK_CAPTIONS_PLAIN,
    TK_CAPTIONS_CITED
} tk_eval_captions;
tk_status tk_eval_scene(const tk_eval *e, int64_t i, tk_scene *s);
tk_status tk_eval_plan(const tk_eval *e, int64_t i, tk_eval_captions captions, tk_arena *a,
                       tk_eval_clip *out);
tk_eval_captions tk_eval_captions_of(const tk_eval *e); // as clips are asked of the model
// What the model is given of the scene's people.
tk_status tk_eval_refer(const tk_eval *e, const tk_scene *s, bool wrong, tk_arena *a,
                        tk_references *out);
// The scene's pictures and samples on the plan's grid; the caller frees them (tk_media_free).
tk_status tk_eval_film(const tk_eval *e, const tk_scene *s, const tk_story *plan, tk_media *out);
tk_status tk_eval_encode(const tk_eval *e, const tk_media *m, const tk_story *plan, tk_arena *a,
                         tk_latents *out);

// ---- all clips ----

// All of them, as they are asked of the model. `e` must outlive what is returned.
tk_stories tk_eval_stories(tk_eval *e);
// Collective over the world. Truth is measured with the ceiling, the first telling with the last.
tk_status tk_eval_fill(tk_eval *e, tk_eval_column column);
// Collective: the model's best and worst clips, sampled again, as contact sheets.
tk_status tk_eval_draw(tk_eval *e);
// "eval.json" -> "eval-best-1.png", "eval-worst-1.png", ...; NULL: out of memory.
const char *tk_eval_picture(const tk_eval *e, int k, tk_arena *a);

// Collective: sums over ranks.
tk_status tk_eval_sum(const tk_eval *e, tk_figures *f);
// Steps of all windows of n clips, those named or the first ones, as they are sampled for a column.
tk_status tk_eval_count_steps(const tk_eval *e, tk_eval_column column, int64_t n,
                              const int64_t *clips, int64_t *steps);
// For a story task's step_done: the deal counts it.
tk_status tk_eval_step(void *deal, int64_t left);
// Of a replica's failure while work is dealt out: the other replicas may be at work for long, and
// what they would make is of no use any more, so one that fails says so and takes them down.
tk_status tk_eval_failed(const tk_eval *e, tk_status st);
