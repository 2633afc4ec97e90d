// SPDX-License-Identifier: Apache-2.0
// Plans for people.
#pragma once
#include "train/plan/search.h"

void tk_layout_print(const tk_plan_of *of, const tk_layout_plan *l, int64_t parameters);
// The best ten, and of those that do not fit the ten that would be fastest.
void tk_search_print(const tk_plan_of *of, const tk_search *s);
// What an asterisk means; nothing where no figure is assumed.
void tk_machine_print_assumed(const tk_machine *m, const char *file);
