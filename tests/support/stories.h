// SPDX-License-Identifier: Apache-2.0
// A storyboard and a small model to sample it, shared by the ranks of a test.
#pragma once
#include "core/comm/comm.h"
#include "infer/story/shots.h"

enum { STORIES_VIDEO = 5, STORIES_AUDIO = 6 }; // channels of rows

// A checkpoint of random weights, or of a model whose velocity is nothing; given: model.given, and
// options of the model that follow it. Every rank holds all.
void stories_save_model(tk_comm *world, const char *to, bool random, const char *given);

// Three shots of 0.5 s in windows of 1 s: two made together, the third with one as memory; a
// picture, which rank 0 writes to `picture`, as reference. Memory comes from `a`.
void stories_plan(const tk_comm *world, char *picture, tk_arena *a, tk_config *config,
                  tk_story *story);
int64_t stories_numbers(const tk_story *s, int modality); // of its latents; text: none
