// SPDX-License-Identifier: Apache-2.0
// The queues of a device: work of one queue runs in the order it was asked for, work of two in any
// order that events (core/device/event.h) allow.
//
// A mark says what has been done: of each queue, all that was asked for up to one of its events.
// Marks are counted on the host, at the calls, never asked of the device, so the same calls give
// the same marks everywhere.
#pragma once
#include <stdint.h>

typedef enum tk_queue {
    TK_QUEUE_COMPUTE, // operators, and whatever nobody put elsewhere
    TK_QUEUE_COMM,    // messages between ranks
    TK_QUEUE_COPY,    // between host and device, beside the others
    TK_QUEUES
} tk_queue;

typedef struct tk_queue_mark {
    uint64_t done[TK_QUEUES]; // the queue's events that lie behind
} tk_queue_mark;
