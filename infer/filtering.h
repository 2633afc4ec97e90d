// SPDX-License-Identifier: Apache-2.0
// What a storyboard says and is given, and what is said and can be read in its clip, held against
// filter.policy (infer/filter/ruling.h).
#pragma once
#include "infer/output/jobs.h"

// Collective, before anything is made: the texts of all storyboards that are not finished, the
// captions of clips of ours that they cite and, where the policy listens or reads, what is said in
// the sounds and can be read in the pictures that they are given. TK_INPUT with a line for each
// refusal, of all of them, and where the policy asks for what cannot be heard or read. uid: of whom
// this process asks for, on rank 0; NULL: of whose the files are. dry: nothing will be made, and
// nothing is logged.
tk_status tk_filter_jobs(const tk_jobs *jobs, tk_comm *world, const int64_t *uid, bool dry);

// A clip is looked at while it is written:
//
//     TK_TRY(tk_review_open(job, uid, &r));         // r NULL: no policy asks for it
//     TK_TRY(tk_review_hear(r, first, n, pcm)); ... // all samples of the film, in order
//     TK_TRY(tk_review_see(r, frame, rgb)); ...     // all pictures likewise
//     TK_TRY(tk_review_verdict(r));                 // before the clip is there
//     tk_review_close(r);
typedef struct tk_review tk_review;
// Of rank 0 of who makes the clip; job outlives it. TK_INPUT as above.
tk_status tk_review_open(const tk_job *job, const int64_t *uid, tk_review **out);
// pcm (n, channels of the story). What was heard already is left out.
tk_status tk_review_hear(tk_review *r, int64_t first, int64_t n, const float *pcm);
// rgb (height, width, 3) of the story. Of TK_SENSES_PICTURES a second, and of the last one, what
// was not seen before.
tk_status tk_review_see(tk_review *r, int64_t frame, const uint8_t *rgb);
// TK_INPUT with what is refused; TK_INTERNAL where the clip was not seen and heard to its end.
tk_status tk_review_verdict(tk_review *r);
// Whether anything was refused by now.
bool tk_review_refuses(const tk_review *r);
void tk_review_close(tk_review *r);
