// SPDX-License-Identifier: Apache-2.0
// Tasks of training (train/step/tasks.h) as an evaluation asks for them: of a clip a part is given
// and the rest made, and whether the given part was of use is told from the made one.
//
// Given are the clip's own rows, right, or those of another clip, wrong. Either way what was made
// is put in its place among the clip's own rows and judged there: sound beside the clip's picture,
// a shot after the clip's shots. So both are judged alike, and a model that does not look at what
// it is given makes the same of both. Beside them stand the truth, the clip's own rows in all
// places, and chance, rows of the other clip where rows were to be made: what a maker of perfect
// clips finds who sees nothing of what is given.
//
// Prompts are empty, each shot its mark alone, as where training drops captions: what agrees with
// the clip can have come from nothing but what was given. Where pictures are made to sounds,
// captions are told: of what, they say, and figures ask when, which they do not say.
#pragma once
#include "data/scene/scene.h"
#include "infer/eval/figures.h"
#include "infer/story/given.h"
#include "infer/story/story.h"

typedef struct tk_asked_task { // a row of the table
    tk_task task;
    bool captions, voices;    // whether captions are told; whether figures are of speech
    const char *words;        // what is made of what
    const tk_figure *figures; // (n) by which it is judged
    int n;
} tk_asked_task;
enum { TK_ASKED_TASKS = 6 };
extern const tk_asked_task tk_asked_tasks[TK_ASKED_TASKS];

// What of a clip is given and what made. Must stay where it is.
typedef struct tk_asked_parts {
    tk_story_given given;      // rows are the caller's
    bool made[TK_SCENE_SHOTS]; // shots of which nearly all that is judged is made
    int64_t hide, show; // latent frames: a picture that is given is not judged, shown instead
                        // is the one beside it; -1: none
} tk_asked_parts;

// `can`: whether the clip can be asked so. What is given is told in `a`.
tk_status tk_asked_parts_of(const tk_asked_task *t, const tk_story *plan, const tk_codec_info *k,
                            tk_arena *a, tk_asked_parts *out, bool *can);
// Of the clip's own rows those that are given, the others of `made`; as they are judged.
tk_status tk_asked_join(const tk_asked_parts *p, const tk_story *plan, const tk_codec_info *k,
                        const tk_latents *own, const tk_latents *made, tk_arena *a,
                        tk_latents *out);
// Of those by which the task is judged, what *f says is added.
void tk_asked_count(const tk_asked_task *t, const tk_figures *f, tk_figures *to);

// Of the scenes from index `from` on the one, out of some, whose cuts lie nearest to those of *s.
tk_status tk_asked_other(const tk_config *c, tk_speech *speech, const tk_scene *s, int64_t from,
                         tk_scene *out);
// Scenes are looked at for each clip, so that clip i may begin at i times as many.
enum { TK_ASKED_OTHERS = 32 };
