// SPDX-License-Identifier: Apache-2.0
// The memory that sampling will need on a rank, told before it takes any (parallel/forecast.h): two
// steps of the windows with most rows are gone through, of each of eight sizes; and where
// storyboards are made at once, of steps with the longest windows of each.
#pragma once
#include "infer/sampler/session.h"
#include "infer/story/window.h"
#include "parallel/forecast.h"

typedef struct tk_stories { // that a session is to make
    void *ctx;
    int64_t n;
    // Storyboard i: its options, resolved, and what it is called. What it points to lives in `a` or
    // as long as the stories.
    tk_status (*get)(void *ctx, int64_t i, tk_arena *a, tk_config *out, const char **name);
    // Its references where they are not those of its files; NULL: they are. Only sizes count.
    tk_status (*refer)(void *ctx, int64_t i, tk_arena *a, tk_references *out);
    bool fixed;   // in window and size, which may be other options else
    bool at_once; // as documents of one stream, those that may be
} tk_stories;

// What the session's rank needs for them, with the layout *p. Of storyboards that cannot be
// planned, which they tell in their turn, nothing.
tk_status tk_stories_forecast(const tk_stories *s, const tk_session *session,
                              const tk_parallel_config *p, tk_forecast *out);

// Takes it, of the device and of the host, so that windows take none; before the weights are read,
// or, between windows, what is needed more than before. Where the device has memory anyway, nothing
// is done. TK_MEMORY where it has less, in words of which other options would fit.
tk_status tk_stories_take_memory(const tk_stories *s, tk_session *session,
                                 const tk_parallel_config *p);
