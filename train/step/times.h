// SPDX-License-Identifier: Apache-2.0
// Where the time of a step goes, told by the device: marks on its queue of operators, each the end
// of what came after the mark before. So the parts of a step add up to all of it, on a device that
// does its work when asked as on one that runs behind, where a part the host takes counts only as
// far as the device had nothing else to do.
//
//     tk_times_begin(&t);
//     tk_times_mark(&t, TK_PART_DATA);    // what lies between was data
//     ...
//     tk_times_read(&t, seconds);         // when the device has come past the last mark
#pragma once
#include "core/device/event.h"
#include "parallel/schedule.h"

typedef enum tk_part {
    TK_PART_DATA,    // documents, clips, uploads
    TK_PART_BETWEEN, // forwards and backwards: messages, waiting for other stages
    TK_PART_VERDICT, // on the step before
    TK_PART_REDUCE,  // sums of gradients over ranks
    TK_PART_OPTIMIZER,
    TK_PART_ACTION, // + kind of action: a forward, a backward or a half of one
    TK_PARTS = TK_PART_ACTION + TK_ACT_KINDS
} tk_part;

typedef struct tk_times {
    tk_event *event; // (most)
    tk_part *part;   // (most) what ends there; of the first: none
    int64_t n, most;
} tk_times;

// At most `most` marks. Their places come from `a`, which must live until it is closed.
tk_status tk_times_open(tk_times *t, tk_device *d, int64_t most, tk_arena *a);
void tk_times_close(tk_times *t);
tk_status tk_times_begin(tk_times *t);
tk_status tk_times_mark(tk_times *t, tk_part part);
tk_status tk_times_read(tk_times *t, double seconds[TK_PARTS]);
