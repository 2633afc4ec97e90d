// SPDX-License-Identifier: Apache-2.0
// The queues of a device: work of one queue runs in the order it was asked for, work of two in any
// order that events (core/device/event.h) allow.
//
// A mark says what has been done: of each queue, all that was asked for up to one of its events.
// Marks are counted on the host, at the calls, never asked of the device, so the same calls give
// the same marks everywhere.
//
// Messages between ranks have a queue for each thing they serve: who waits on one of them, for a
// peer that is late, holds up nothing of another. One thread asks for all of it, on every rank in a
// part of one and the same order (parallel/mesh.h says why that never ends in a circle).
#pragma once
#include <stdint.h>

typedef enum tk_queue {
    TK_QUEUE_COMPUTE,  // operators, and whatever nobody put elsewhere
    TK_QUEUE_TENSOR,   // rows and columns between tensor ranks
    TK_QUEUE_FORWARD,  // rows from one pipeline stage to the next
    TK_QUEUE_BACKWARD, // their gradients, to the stage before
    TK_QUEUE_DATA,     // gradients and weights, between those that hold the same
    TK_QUEUE_COPY,     // between host and device, beside the others
    TK_QUEUES
} tk_queue;

typedef struct tk_queue_mark {
    uint64_t done[TK_QUEUES]; // the queue's events that lie behind
} tk_queue_mark;
