// SPDX-License-Identifier: Apache-2.0
// What a storyboard says and is given, held against filter.policy (infer/filter/ruling.h).
#pragma once
#include "infer/output/jobs.h"

// Collective, before anything is made: the texts of all storyboards that are not finished, and the
// captions of clips of ours that they cite. TK_INPUT with a line for each refusal, of all of them.
// uid: of whom this process asks for, on rank 0; NULL: of whose the files are. dry: nothing will be
// made, and nothing is logged.
tk_status tk_filter_jobs(const tk_jobs *jobs, tk_comm *world, const int64_t *uid, bool dry);
