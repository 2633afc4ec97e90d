// SPDX-License-Identifier: Apache-2.0
// What the two files of the deferred device share; nobody else includes this.
#pragma once
#include "core/device/event.h"
#include "core/device/ops/ops.h"
#include "tests/support/deferred.h"

typedef struct ticket {  // of an event
    int64_t asked, done; // recordings
    double at;           // of the last that is done
    struct ticket *next;
} ticket;

typedef struct message {
    bool sends;
    void *x;
    int64_t n;
    tk_dtype type;
    int peer;
} message;

typedef struct work {
    enum {
        UPLOAD,
        DOWNLOAD,
        COPY,
        COPY_2D,
        ZERO,
        POISON,
        FORE,
        BACK,
        REDUCE,
        GATHER,
        SCATTER,
        BROADCAST,
        MESSAGES,
        ADD_PARTS,
        RECORD,
        WAIT
    } what;
    void *to;
    const void *from;
    int64_t n;                           // bytes (of a row), or elements of a collective
    size_t to_stride, from_stride, rows; // COPY_2D
    void *seen;                          // UPLOAD: the host's bytes when it was asked for
    tk_call call;
    void *scratch;   // of the call
    int64_t *counts; // a copy: arguments are read when work is asked for
    tk_device_comm *comm;
    tk_parts parts; // ADD_PARTS
    int64_t turn;   // among the collectives, from 1; 0: moves nothing between ranks
    tk_dtype type;
    tk_reduce how;
    int root;
    message *group; // (n) MESSAGES
    ticket *event;
    int64_t recording; // of it
} work;

// On a queue, or on the device's queue of the moment, after which some work may be done.
void deferred_push(tk_queue q, work w);
tk_status deferred_ask(work w);
bool deferred_left_out(void); // counts a wait, and says whether to leave it out
ticket *deferred_ticket(void);
void *deferred_copy(const void *x, size_t bytes); // freed with the work

// Of the communicators.
void deferred_mesh(tk_mesh *m, tk_device *d);
tk_status deferred_exchange(const work *w); // MESSAGES
