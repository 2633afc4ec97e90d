// SPDX-License-Identifier: Apache-2.0
// The tasks that training mixes, by the weights of the section `tasks`: each is nothing but which
// rows of a clip are given. A task is a row of the table in tasks.c.
//
// Shots [first, the last] of a document are its clip's own that are to be made; those before are
// given as memory or are references. What a task gives are rows of them; its size and place are
// drawn anew for each document. What storyboards give, they give by the same calls.
#pragma once
#include "core/model/given.h"
#include "core/numbers/rng.h"
#include "data/codec/grid.h"

extern const char *const tk_task_name[TK_TASKS]; // as in the config: "keyframe"

// The task of document j of the step that `key` is of (TK_RNG_TASK): a pure function of both.
tk_task tk_task_choose(const tk_tasks_config *c, tk_key key, int64_t j);

typedef struct tk_task_document { // that a task is to be done with
    tk_document *doc;             // its shots laid out
    int first;                    // see above
    int memory;                   // shots given before it, references not counted
    int references;               // that the clip cites
    const tk_codec_info *codec;
} tk_task_document;
bool tk_task_can(tk_task t, const tk_task_document *d);
// Gives what the task gives; masks live in the arena, where there are any. TK_MEMORY.
tk_status tk_task_give(tk_task t, const tk_task_document *d, tk_key key, int64_t j, tk_arena *a);

// ---- what is given, for all who give; TK_MEMORY ----

tk_status tk_give_modality(tk_given *g, int modality);
tk_status tk_give_frame(tk_given *g, int64_t frame); // latent frame
// All but picture and sound of latent frames [begin, end); the sound that begins in them.
tk_status tk_give_but_span(tk_given *g, const tk_codec_info *k, int64_t begin, int64_t end);
// All but the picture in the box.
tk_status tk_give_but_region(tk_given *g, const tk_given_box *box);
