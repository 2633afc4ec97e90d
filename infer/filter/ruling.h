// SPDX-License-Identifier: Apache-2.0
// Decisions: the texts of one clip held against the policy, on behalf of who asks for it.
//
//     TK_TRY(tk_ruling_open(&config.filter, &request, &f));   // f NULL: there is no policy
//     TK_TRY(tk_ruling_text(f, "a.yaml:3:5: shots[0].prompt", text)); ...
//     TK_TRY(tk_ruling_verdict(f));                           // TK_INPUT with all that is refused
//     tk_ruling_close(f);
//
// Who asks is who owns the files, as the kernel says, never what they say of themselves. Each
// decision is added to the log as a line of JSON; what cannot be logged does not go on.
#pragma once
#include "core/config/config.h"
#include "infer/filter/policy.h"

typedef struct tk_ruling_request {
    const char *clip;         // that is asked for, in the log
    const char *const *files; // (n_files) that ask for it: all their owners must have a role
    int n_files;
    const int64_t *uid; // who asks where this process wrote the files on their behalf; NULL: nobody
    bool dry;           // nothing will be made: nothing is logged
    // Whether who has this handle, without the @, lends face and voice to this clip; NULL: nobody
    // does. Asked for people to whom the policy gives a handle, the others cannot consent.
    bool (*consents)(void *ctx, const char *handle);
    void *ctx;
} tk_ruling_request;

typedef struct tk_ruling tk_ruling;

// TK_INPUT where the policy is not right, or cannot be kept by this build, or where a log is
// missing that is needed: nothing is to be made then. A request's strings and ctx outlive the
// filter.
tk_status tk_ruling_open(const tk_filter_config *c, const tk_ruling_request *r, tk_ruling **out);
void tk_ruling_close(tk_ruling *f); // NULL is fine

const tk_policy *tk_ruling_policy(const tk_ruling *f);
// `place`: of the text, in messages. TK_IO where a decision cannot be logged. Long texts are looked
// at in pieces that overlap. f NULL: fine, as in the next four.
tk_status tk_ruling_text(tk_ruling *f, const char *place, const char *text);
// What runs from the end of one text into another that follows it, and is in neither by itself.
tk_status tk_ruling_seam(tk_ruling *f, const char *place, const char *before, const char *after);
// What is given, a file. consents: what speaks for it, as the log calls it; NULL: nobody who is in
// it is known to consent.
tk_status tk_ruling_given(tk_ruling *f, const char *place, tk_policy_given kind, const char *file,
                          const char *consents);
// How much was refused by now.
int tk_ruling_refuses(const tk_ruling *f);
// The end: TK_INPUT with a line for each refusal, else the log says that all went through.
tk_status tk_ruling_verdict(tk_ruling *f);
