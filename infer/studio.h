// SPDX-License-Identifier: Apache-2.0
// A storyboard's clip, made by ranks that share it: the one road of `talkie sample` and `talkie
// serve`.
//
//     s.parallel = ...; tk_studio_layout(&s.parallel, world->size, jobs);
//     tk_mesh_open(&s.mesh, world, &s.parallel, TK_AXIS_TENSOR);
//     tk_studio_open(&s, trained, ema, &stories);   // device, memory, weights
//     tk_studio_make(&s, &job); ...                 // any number, of that checkpoint
//     tk_session_close(&s.session); tk_mesh_close(&s.mesh);
#pragma once
#include "infer/output/jobs.h"
#include "infer/reel/files.h"
#include "infer/reel/owner.h"
#include "infer/story/forecast.h"

enum { TK_STUDIO_MOST = 64 }; // storyboards at once

typedef struct tk_studio_place { // a storyboard at work
    tk_job *job;                 // NULL: none
    int window;                  // the next to be made; as many as there are: all are
    tk_reel_owner owner; // of rank 0: nobody else makes this clip, but a spool's, which nobody can
    tk_reel_files reel;
    tk_stored_rows stored; // where all its latents lie there already, in place of the reel
    tk_references refs;
    tk_story_text text;
    tk_story_given given; // where it gives
    tk_story_task task;
    double begun;
    tk_arena arena;
} tk_studio_place;

typedef struct tk_studio {
    tk_parallel_config parallel;
    tk_mesh mesh;
    tk_session session;
    bool (*step_done)(void *ctx); // after each step, on every rank; true, on any, asks to stop
    bool (*writing)(void *ctx);   // on its first rank, between parts of a clip: true asks to stop
    void *ctx;
    tk_studio_place *const *place; // at work now,
    int n_places;
    bool taken[TK_STUDIO_MOST]; // ... and whether the round has them
    tk_studio_place *refused;   // of them, that somebody is lent to no longer: why it failed
    double stepped;             // when its last step was done
} tk_studio;

// Degrees that were asked for stand. Else one storyboard is shared by all ranks; several are spread
// over as many data ranks as divide the world.
void tk_studio_layout(tk_parallel_config *p, int64_t world, int64_t jobs);

// Collective over the mesh's world. After a failure the session is to be closed.
tk_status tk_studio_open(tk_studio *s, const tk_trained *t, bool ema, const tk_stories *all);
// The same in two steps: the device, which tells what the stories need; their memory and weights.
tk_status tk_studio_open_device(tk_studio *s, const tk_trained *t, bool ema);
tk_status tk_studio_load(tk_studio *s, const tk_stories *all);
// Memory for the stories beside what the studio has: between windows, of one that is open.
tk_status tk_studio_make_room(tk_studio *s, const tk_stories *all);
// Bytes of its device that this rank needs for the stories.
tk_status tk_studio_need(const tk_studio *s, const tk_stories *all, size_t *bytes);

// Collective over the mesh's replica. TK_STOPPED where somebody asked to stop, by a signal or by
// step_done: finished windows are kept beside the output, and the next call goes on from them.
// TK_INPUT, and finished windows are gone, where somebody's cameo is lent to it no longer, and
// where the policy refuses what is said in it: then there is no clip either.
tk_status tk_studio_make(tk_studio *s, tk_job *job);

// The same for several at once, in steps: begin takes up a job, round makes the next window of the
// first place and of those that may be with it, as documents of one stream (s->taken), finish
// writes the clip of one of which no window is missing. leave ends with one, whatever came before
// but a begin that failed. Who lends to one of the places is asked before a round, after it and
// before a clip is written; where that is what fails, s->refused is the place, and windows of the
// others that are there by then stay.
tk_status tk_studio_begin(tk_studio *s, tk_job *job, tk_studio_place *p);
tk_status tk_studio_round(tk_studio *s, int n, tk_studio_place *const *place);
tk_status tk_studio_finish(tk_studio *s, tk_studio_place *const *p);
void tk_studio_leave(tk_studio_place *p);
