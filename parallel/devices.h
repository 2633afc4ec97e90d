// SPDX-License-Identifier: Apache-2.0
// Which device every rank computes on: chosen together, before any memory is taken.
#pragma once
#include "parallel/mesh.h"

// What one rank found; every rank gets those of all.
typedef struct tk_rank_cards {
    char host[64];
    int cards;     // accelerators that it may use
    char why[320]; // 0 cards: why none
    int card;      // the one for this rank, if any: its number on the host, modulo `cards`
    tk_card is;
} tk_rank_cards;

// Opens the device of option `device` on every rank of m's world and attaches it (tk_mesh_attach).
// "auto" is cuda where every rank has a card, cpu where none has; which, and of "cuda" the cards,
// is said once; as is who does attention, the same on all (tk_device_attend). bytes: of the pool,
// as tk_device_open. Collective; what goes wrong is agreed on. TK_INPUT: some ranks have a card and
// others not, none was found where one was asked for, or several ranks would share one without
// parallel.share_gpu.
tk_status tk_devices_open(tk_mesh *m, const tk_parallel_config *p, size_t bytes, tk_device *d);

// What is decided from what all found, without asking anybody: kind CUDA or CPU for AUTO,
// others as they are.
tk_status tk_devices_decide(const tk_rank_cards *all, int n, int64_t asked, bool share,
                            tk_device_kind *kind);

// Whether ranks of rank 0's host have cards of their own and see no others, so that NCCL cannot
// send between them directly.
bool tk_devices_isolated(const tk_rank_cards *all, int n);
