// SPDX-License-Identifier: Apache-2.0
// Memory that NCCL knows, so that it moves what lies there without copies of its own.
//
// Two rules of NCCL decide how. What one rank hands over in registered memory, all must: so there
// is one block, as large on each rank, and what does not fit into it is refused and goes nowhere
// else. And with windows (ncclCommWindowRegister, NCCL_WIN_COLL_SYMMETRIC) a buffer must lie
// equally far from the begin of the block on all ranks. Shares of rows and of weights are uneven
// here, and a pool gives places by what a rank holds, so buffers lie at other places on each. A
// plain registration leaves them free: where NCCL needs equal places (multicast of NVLink SHARP) it
// compares them itself, on all ranks alike, and does without where they differ.
#include "core/base/log.h"
#include "parallel/nccl/internal.h"

static tk_status take_block(tk_device *d, size_t bytes, void **out)
{
    size_t available = 0, total = 0;
    const ncclResult_t r = tk_nccl.MemAlloc(out, bytes);
    if (r == ncclSuccess) return TK_OK;
    *out = NULL;
    TK_TRY(tk_device_memory(d, &available, &total));
    return TK_FAIL(available < bytes ? TK_MEMORY : TK_COMM,
                   "parallel.register_buffers: NCCL cannot take %.1f MiB for what is sent: %s; "
                   "%.1f of the GPU's %.1f MiB are free",
                   (double)bytes / 0x1p20, tk_nccl.GetErrorString(r), (double)available / 0x1p20,
                   (double)total / 0x1p20);
}

static tk_status register_block(tk_nccl_impl *m, void *block, size_t bytes)
{
    tk_nccl_begin(m, "registering memory");
    TK_TRY(tk_nccl_check(m, tk_nccl.CommRegister(m->comm, block, bytes, &m->known)));
    if (m->known) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "parallel.register_buffers=true, but NCCL registers nothing here: "
                   "NCCL_LOCAL_REGISTER=0 or NCCL_P2P_USE_CUDA_MEMCPY=1 is in its environment; "
                   "take that out, or set parallel.register_buffers=false");
}

static tk_status register_everywhere(tk_device *d, void *block, size_t bytes)
{
    for (tk_nccl_impl *m = tk_nccl_watched(); m; m = m->next)
        if (m->device == d) TK_TRY(register_block(m, block, bytes));
    return tk_device_register(d, block, bytes);
}

tk_status tk_nccl_register(tk_device_comm *world, size_t bytes)
{
    tk_nccl_impl *m = tk_nccl_of(world);
    TK_TRY(tk_agree(world->host, take_block(world->device, bytes, &m->memory)));
    TK_TRY(tk_agree(world->host, register_everywhere(world->device, m->memory, bytes)));
    tk_log("registered %.1f MiB with NCCL on each rank, for what is sent", (double)bytes / 0x1p20);
    return TK_OK;
}

void tk_nccl_forget_memory(tk_nccl_impl *m)
{
    if (m->known) (void)tk_nccl.CommDeregister(m->comm, m->known);
    m->known = NULL;
}

void tk_nccl_free_memory(tk_nccl_impl *m)
{
    if (!m->memory) return;
    tk_device_unregister(m->device);
    (void)tk_nccl.MemFree(m->memory);
    m->memory = NULL;
}
