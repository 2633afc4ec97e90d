// SPDX-License-Identifier: Apache-2.0
#include "core/device/trace.h"
#include "core/device/ledger.h"
#include <stdatomic.h>

static atomic_int_fast64_t calls;   // of all devices so far
static atomic_int_fast64_t fail_in; // 1 = the next one fails; 0 = none

void tk_trace_fail_at(int64_t nth)
{
    atomic_store(&fail_in, nth > 0 ? nth : 0);
}

int64_t tk_trace_count(void)
{
    return atomic_load(&calls);
}

const char *tk_trace_name(tk_trace_kind kind)
{
    static const char *const names[TK_TRACE_KINDS] = {
        [TK_TRACE_NEW] = "allocation",
        [TK_TRACE_UPLOAD] = "upload",
        [TK_TRACE_DOWNLOAD] = "download",
        [TK_TRACE_COPY] = "copy",
        [TK_TRACE_ZERO] = "zero",
        [TK_TRACE_OPERATOR] = "operator",
        [TK_TRACE_COLLECTIVE] = "collective",
        [TK_TRACE_MESSAGE] = "message",
        [TK_TRACE_EVENT] = "event",
        [TK_TRACE_WAIT] = "wait of a queue",
        [TK_TRACE_HOST_WAIT] = "wait",
        [TK_TRACE_SYNC] = "wait for everything",
        [TK_TRACE_GRAPH] = "graph",
    };
    return names[kind];
}

static bool must_fail(void)
{
    int_fast64_t n = atomic_load(&fail_in);
    do {
        if (n == 0) return false;
    } while (!atomic_compare_exchange_weak(&fail_in, &n, n - 1));
    return n == 1;
}

// Moves of bytes; operators and what goes between ranks are told where more is known of them.
static void note_move(tk_device *d, tk_trace_kind kind, int64_t bytes)
{
    tk_work w = {.kind = TK_WORK_TRANSFER};
    switch (kind) {
    case TK_TRACE_UPLOAD:
        w.written = bytes;
        break;
    case TK_TRACE_DOWNLOAD:
        w.read = bytes;
        break;
    case TK_TRACE_COPY:
        w.kind = TK_WORK_COPY;
        w.read = w.written = bytes;
        break;
    case TK_TRACE_ZERO:
        w.kind = TK_WORK_ZERO;
        w.written = bytes;
        break;
    default:
        return;
    }
    tk_ledger_note(d, d->queue, &w);
}

tk_status tk_trace_call(tk_device *d, tk_trace_kind kind, size_t bytes)
{
    note_move(d, kind, (int64_t)bytes);
    d->trace.calls[kind]++;
    d->trace.bytes[kind] += (int64_t)bytes;
    atomic_fetch_add(&calls, 1);
    if (!must_fail()) return TK_OK;
    return TK_FAIL(kind == TK_TRACE_NEW ? TK_MEMORY : TK_INTERNAL,
                   "device %s: %s of %zu bytes fails, as a test wants it to", d->ops->name,
                   tk_trace_name(kind), bytes);
}
