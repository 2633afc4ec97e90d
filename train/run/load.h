// SPDX-License-Identifier: Apache-2.0
// What a run begins with: the state of a checkpoint, or its weights alone.
#pragma once
#include "train/step/trainer.h"

// Collective. From the newest checkpoint of a run directory, or a checkpoint itself: *from is its
// path, which lives in `a`, *step how many steps it has done. With `whole_state` all that a run
// goes on from; which options have changed is said, and TK_INPUT where they would make another run
// of it, unless train.changes allows that. TK_INPUT: its codec is not that of the trainer's clips.
// TK_INPUT as well: without `whole_state`, its weights are of another model than the config's, and
// the options that say so; but one that adds weights to a model may be new to them (model.shots),
// and these begin as in a new model.
tk_status tk_run_load(tk_trainer *t, const char *where, bool whole_state, tk_arena *a, char **from,
                      int64_t *step);
// TK_INPUT, with what differs, unless a config that is stored at `path` has the model of `c`.
tk_status tk_run_same_model(const tk_config *c, const char *path, const char *stored, tk_arena *a);
// Whether the weights that train.from names, if any, are of the config's model. Reads headers
// alone.
tk_status tk_run_look(const tk_config *c, tk_arena *a);
