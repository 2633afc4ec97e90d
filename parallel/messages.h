// SPDX-License-Identifier: Apache-2.0
// What the stages of a schedule send each other, as data: a list per stage, in groups, in an order
// in which two queues, one for each direction, may take them one after another. So a transport
// whose calls run in order, each blocking those behind it on its queue until the peer makes the
// matching one, never waits in a circle.
//
// The order is that in which messages move when the schedule is run with a channel between every
// two stages: a send blocks its stage until the receive is posted, and receives are posted
// TK_SCHEDULE_AHEAD actions ahead. Every stage's list is a part of that one order.
#pragma once
#include "parallel/schedule.h"

// A stage posts the receives of the next two actions before it runs one: fewer, and interleaved
// stages whose sends block until they are received wait for each other in a circle.
enum { TK_SCHEDULE_AHEAD = 2 };

typedef struct tk_message {
    bool sends;       // the result of `action`; else it receives its input
    int peer;         // the stage to, or from
    tk_action action; // of this stage
    int64_t at; // asked for before the stage's action of this number; behind the last: after it
    bool ends;  // its group, of one direction: sends, then one receive or none
} tk_message;

// Its direction: rows go to the next run of blocks, gradients to the one before.
static inline bool tk_message_is_forward(const tk_message *m)
{
    return m->action.kind == TK_ACT_FORWARD;
}

typedef struct tk_message_list {
    tk_message *message; // (n)
    int64_t n;
} tk_message_list;

// out: (stages), in the schedule's arena. TK_INTERNAL naming stage and action where stages that
// send and receive so wait in a circle.
tk_status tk_messages_make(tk_schedule *s, tk_message_list **out);
// Runs the lists on two queues a stage, in order: a group begins when the group before it in its
// direction is done and the actions before its `at` are, and is done when all its messages are; an
// action begins when the group of its input is done. Where messages move alone, all groups before
// are to be done first, in both directions. TK_INTERNAL naming stage and action where that comes to
// an end too early.
tk_status tk_messages_check(tk_schedule *s, const tk_message_list *lists, bool alone);
