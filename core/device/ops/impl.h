// SPDX-License-Identifier: Apache-2.0
// What the table and its dispatch share, and accessors of the backends that live in host memory.
#pragma once
#include "core/device/ops/ops.h"

extern const tk_kernel tk_ref_kernels[TK_OP_COUNT];
extern const tk_kernel tk_cpu_kernels[TK_OP_COUNT];
extern const tk_device_ops tk_device_dry;  // opened by tk_device_open_dry
extern const tk_device_ops tk_device_cuda; // only where TK_CUDA is defined

// ops.c, for call.c: the types of a backward call; a tensor that is not as it should be.
tk_status tk_op_gradient_types(const tk_call *c);
tk_status tk_op_wrong(const tk_call *c, const char *what, int k, const tk_tensor *got,
                      const tk_tensor *wanted);

static inline float *tk_f32(const tk_tensor *t)
{
    return (float *)t->data;
}
static inline const int32_t *tk_i32(const tk_tensor *t)
{
    return (const int32_t *)t->data;
}
// Whether the gradient of input k is wanted.
static inline bool tk_wants(const tk_call *c, int k)
{
    return c->din[k].data != NULL;
}

// Fused operators as calls of their parts (parts.c), for devices without a kernel for them, in the
// order to be run. `between`, of the shape of in[0]: what the first gives the second.
enum { TK_PARTS_MOST = 2 };
bool tk_op_has_parts(tk_op op);
void tk_op_parts(const tk_call *c, bool back, const tk_tensor *between,
                 tk_call part[TK_PARTS_MOST]);

// An operator that is no collective, by its kernel or its parts (dispatch.c). What is asked of it
// is right: whoever makes calls of operators checks them (call.c), or makes them of checked ones.
tk_status tk_op_run(tk_device *d, const tk_call *c, bool back);

// Collectives are made of communicator and copies (collective.c), for every device alike: tables of
// kernels have none. The gradient is written, whatever c->add says.
bool tk_op_is_collective(tk_op op);
tk_status tk_op_collective(tk_device *d, const tk_call *c, bool back);

// Products and collectives in one (rows.c), made of both for every device alike.
bool tk_op_is_of_rows(tk_op op);
tk_status tk_op_of_rows(tk_device *d, const tk_call *c, bool back);
