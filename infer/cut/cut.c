// SPDX-License-Identifier: Apache-2.0
#include "infer/cut/cut.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static int64_t whole_frames(double seconds, int64_t fps)
{
    const int64_t n = llrint(seconds * (double)fps);
    return n == 0 && seconds > 0 ? 1 : n;
}

// A frame is never part of two of these, and something of each shot is seen as it is.
static void check_transitions(tk_wrong *w, const tk_cut *c, int i, double before)
{
    const tk_cut_shot *s = &c->shot[i];
    const int64_t out = i + 1 < c->n ? c->shot[i + 1].dissolve : 0;
    char name[48];
    if (i == 0 && before > 0)
        tk_wrong_add(w, "shots[0].dissolve", "no shot is before it; fade_in comes out of black");
    snprintf(name, sizeof name, "shots[%d].fade_in", i);
    if (s->dissolve && s->fade_in)
        tk_wrong_add(w, name, "it dissolves already out of the shot before");
    snprintf(name, sizeof name, "shots[%d].fade_out", i);
    if (out && s->fade_out) tk_wrong_add(w, name, "the next shot dissolves out of it already");
    snprintf(name, sizeof name, "shots[%d]", i);
    if (s->dissolve + s->fade_in + out + s->fade_out >= s->frames)
        tk_wrong_add(w, name,
                     "its %" PRId64 " frames are too few for what it begins and ends with "
                     "(dissolve, fade_in, fade_out): %" PRId64 " and %" PRId64,
                     s->frames, s->dissolve + s->fade_in, out + s->fade_out);
}

tk_status tk_cut_plan(tk_wrong *w, const tk_storyboard *b, const tk_story *s,
                      const tk_codec_info *k, tk_arena *a, tk_cut *out)
{
    *out = (tk_cut){
        .n = s->n_shots, .fps = s->fps, .channels = s->channels, .samples = s->grid.samples};
    TK_ARENA_NEW(out->shot, a, out->n);
    for (int i = 0; i < out->n; i++) {
        const tk_story_shot *made = &s->shot[i];
        const tk_shot_config *asked = &b->shots[i];
        const int64_t from = tk_grid_frame(k, made->first_latent);
        const int64_t end = tk_grid_frame(k, made->first_latent + made->latents);
        const int64_t dissolve = i ? whole_frames(asked->dissolve, s->fps) : 0;
        out->shot[i] = (tk_cut_shot){.from = from,
                                     .frames = end - from,
                                     .at = out->frames - dissolve,
                                     .dissolve = dissolve,
                                     .fade_in = whole_frames(asked->fade_in, s->fps),
                                     .fade_out = whole_frames(asked->fade_out, s->fps),
                                     .prompt = asked->prompt};
        out->frames += end - from - dissolve;
        out->samples -= tk_clock_sample(dissolve, s->sample_rate, s->fps);
    }
    for (int i = 0; i < out->n; i++) check_transitions(w, out, i, b->shots[i].dissolve);
    return TK_OK;
}
