// SPDX-License-Identifier: Apache-2.0
#include "infer/cut/cut.h"

tk_status tk_cut_plan(const tk_storyboard *b, const tk_story *s, const tk_codec_info *k,
                      tk_arena *a, tk_cut *out)
{
    *out = (tk_cut){.n = s->n_shots, .fps = s->fps, .channels = s->channels};
    TK_ARENA_NEW(out->shot, a, out->n);
    for (int i = 0; i < out->n; i++) {
        const tk_story_shot *made = &s->shot[i];
        const int64_t from = tk_grid_frame(k, made->first_latent);
        const int64_t end = tk_grid_frame(k, made->first_latent + made->latents);
        out->shot[i] = (tk_cut_shot){from, end - from, out->frames, b->shots[i].prompt};
        out->frames += end - from;
    }
    return TK_OK;
}
