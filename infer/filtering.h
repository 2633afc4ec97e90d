// SPDX-License-Identifier: Apache-2.0
// What a storyboard says and is given, and what is said in its clip, held against filter.policy
// (infer/filter/ruling.h).
#pragma once
#include "infer/output/jobs.h"

// Collective, before anything is made: the texts of all storyboards that are not finished, the
// captions of clips of ours that they cite and, where the policy listens, what is said in the
// sounds that they are given. TK_INPUT with a line for each refusal, of all of them, and where the
// policy listens and words cannot be heard. uid: of whom this process asks for, on rank 0; NULL: of
// whose the files are. dry: nothing will be made, and nothing is logged.
tk_status tk_filter_jobs(const tk_jobs *jobs, tk_comm *world, const int64_t *uid, bool dry);

// What is said in a clip while it is written:
//
//     TK_TRY(tk_hearing_open(job, uid, &h));             // h NULL: no policy listens; fine below
//     TK_TRY(tk_hearing_add(h, first, n, pcm)); ...      // all samples, in order, as often as you
//     like TK_TRY(tk_hearing_verdict(h));                     // before the clip is there
//     tk_hearing_close(h);
typedef struct tk_hearing tk_hearing;
// Of rank 0 of who makes the clip; job outlives it. TK_INPUT as above.
tk_status tk_hearing_open(const tk_job *job, const int64_t *uid, tk_hearing **out);
// pcm (n, channels of the story). What was heard already is left out.
tk_status tk_hearing_add(tk_hearing *h, int64_t first, int64_t n, const float *pcm);
// TK_INPUT with what is refused.
tk_status tk_hearing_verdict(tk_hearing *h);
// Whether anything was refused by now.
bool tk_hearing_refuses(const tk_hearing *h);
void tk_hearing_close(tk_hearing *h);
