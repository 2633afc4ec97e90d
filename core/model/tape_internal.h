// SPDX-License-Identifier: Apache-2.0
// Shared by tape.c and tape_ops.c only.
#pragma once
#include "core/model/tape.h"

// Something to run backward: an operator's call, or a segment to run again. Or a mark.
typedef struct tk_node {
    struct tk_node *before;
    tk_call call;
    tk_segment_fn segment; // NULL: an operator
    bool marks;            // neither: a place, by the number `mark`
    int mark;
    const void *ctx;
    tk_value *in[TK_OP_IN], *out[TK_OP_OUT];
    int n_in;
} tk_node;

tk_value *tk_tape_fail(tk_tape *t, tk_status s);     // makes the failure stick; returns NULL
tk_value *tk_tape_value(tk_tape *t, tk_tensor data); // a fresh value, listed; NULL on failure
tk_node *tk_tape_node(tk_tape *t);                   // a fresh node, newest; NULL on failure
