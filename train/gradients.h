// SPDX-License-Identifier: Apache-2.0
// Sums of gradients over the mesh. Backward leaves on each rank: whole gradients of its sharded
// weights, partial ones of weights that tensor ranks or pipeline stages hold alike, all of them
// partial over data ranks.
#pragma once
#include "core/model.h"
#include "parallel/mesh.h"

// Adds up over tensor ranks (weights held whole) and pipeline stages (weights on all stages). Data
// is the caller's.
tk_status tk_gradients_sum(tk_mesh *mesh, tk_model *m);
// Of the ranks that hold the same gradient of `s` after all sums, exactly one (data rank 0) answers
// true.
bool tk_gradient_owner(const tk_mesh *mesh, const tk_param_spec *s);
