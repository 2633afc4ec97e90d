// SPDX-License-Identifier: Apache-2.0
// A ledger: everything that a dry device is asked for, told piece by piece to whoever prices it.
//
// Prices are seconds. They move the clocks of the device's queues, and events carry them from queue
// to queue: so what tells where a real step's time goes (train/step/times.h) tells of a planned
// one's too, with what runs beside what. Without a ledger all clocks stand.
//
//     d.ledger = &(tk_ledger){.price = price, .ctx = &prices};
#pragma once
#include "core/device/ops/ops.h"

typedef enum tk_work_kind {
    TK_WORK_OPERATOR,
    TK_WORK_COPY, // within the device
    TK_WORK_ZERO,
    TK_WORK_TRANSFER, // to or from the host
    TK_WORK_ALL_REDUCE,
    TK_WORK_ALL_GATHER,
    TK_WORK_REDUCE_SCATTER,
    TK_WORK_BROADCAST,
    TK_WORK_SEND,
    TK_WORK_KINDS
} tk_work_kind;

typedef struct tk_work {
    tk_work_kind kind;
    const tk_call *call; // of operators
    bool back;
    double flops;               // of products and attention
    int64_t read, written;      // bytes of device memory, the least that must be
    const tk_device_comm *comm; // of what goes between ranks,
    int64_t bytes;              // ... and the bytes of all its parts together
    int64_t sent;               // ... that this rank hands over, as comm->bytes_sent counts
    int peer;                   // ... of a send
} tk_work;

typedef struct tk_ledger {
    double (*price)(void *ctx, const tk_work *w); // seconds
    void *ctx;
    double clock[TK_QUEUES];  // seconds: when what was asked for so far is done
    double waited[TK_QUEUES]; // that the queue of operators stood still, by the queue waited for
} tk_ledger;

// Prices the work, on queue q of a device that has a ledger; else nothing.
void tk_ledger_note(tk_device *d, tk_queue q, const tk_work *w);
// Its price alone (0 without a ledger), where a clock moves by it later.
double tk_ledger_price(tk_device *d, const tk_work *w);

// Queue q waits for something of queue `of` that is there at that time of the clock.
void tk_ledger_wait(tk_ledger *l, tk_queue q, tk_queue of, double at);

// FLOPs of a call: of its products, a multiply-add counted as two.
double tk_op_flops(const tk_call *c, bool back);
// Bytes that a call must read and write at least: each tensor that it needs once, of tables and
// sources of rows what is used.
void tk_op_traffic(const tk_call *c, bool back, int64_t *read, int64_t *written);
