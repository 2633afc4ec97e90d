// SPDX-License-Identifier: Apache-2.0
// Work dealt out: items 0 .. n - 1, each to the group of ranks that asks next, so that none stands
// idle while items are left. Which group gets which item is chance: nothing that comes of an item
// may depend on it. Groups that found nothing left wait for the others however long those work.
//
// World rank 0 holds the counter and answers while it waits or works (tk_alive); it also shows the
// progress of all groups together.
#pragma once
#include "core/base/log.h"
#include "core/comm/comm.h"

typedef struct tk_deal tk_deal;

// Collective over world, which `group` is a part of; world's rank 0 is the first of its group.
// steps: that all items take together, in `unit`; shown as progress of `what`.
tk_status tk_deal_open(tk_comm *world, tk_comm *group, int64_t n, const char *what,
                       const char *unit, int64_t steps, tk_deal **out);
// Collective over the group: its next item, -1 when none are left.
tk_status tk_deal_next(tk_deal *d, int64_t *item);
// As tk_deal_next, for short items: the next ones, items *first .. *first + *n - 1. *n is at most
// `most`, less towards the end, so that all groups end together; 0 when none are left.
tk_status tk_deal_next_few(tk_deal *d, int64_t most, int64_t *first, int64_t *n);
void tk_deal_step(void *deal); // this group did a step; any rank may call it, the first one's count
int64_t tk_deal_done(const tk_deal *d); // steps counted on this rank
// Collective over world, also after failures: waits for all, agrees on `st`, frees. Once a group
// has failed no more items are dealt: the others end with those they have.
tk_status tk_deal_close(tk_deal *d, tk_status st);
