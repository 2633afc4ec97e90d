// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/measure/clip.h"
#include "infer/judges/sight/frames.h"
#include "infer/judges/sound/onsets.h"

// Cuts found within a frame of those asked for, and those where most changes.
static void count_cuts(tk_clip *c, const tk_frames *frames, int64_t *found)
{
    int64_t asked[TK_SCENE_SHOTS], largest[TK_SCENE_SHOTS];
    const int n_asked = c->scene->n_shots - 1;
    for (int k = 0; k < n_asked; k++)
        asked[k] = llround(c->scene->shot[k + 1].start * c->media->fps);
    const int64_t n = tk_frames_shots(frames, found);
    if (n == 0) return;
    tk_cuts_found match = tk_frames_match_cuts(n - 1, found + 1, n_asked, asked, 1);
    tk_figures_count(c->counted, TK_FIG_CUTS, match.hits, match.of);
    if (n_asked == 0) return;
    match = tk_frames_match_cuts(tk_frames_largest(frames, n_asked, largest), largest, n_asked,
                                 asked, 1);
    tk_figures_count(c->counted, TK_FIG_LARGEST, match.hits, match.of);
}

static tk_status measure_cuts(tk_clip *c, tk_arena *a)
{
    const tk_media *m = c->media;
    tk_frames frames = {0};
    int64_t *found;
    tk_status st = TK_OK;
    TK_ARENA_NEW(found, a, m->frames + 1);
    for (int64_t f = 0; f < m->frames && st == TK_OK; f++)
        st = tk_frames_add(&frames, m->rgb + f * m->height * m->width * 3, m->height, m->width);
    if (st == TK_OK) count_cuts(c, &frames, found);
    tk_frames_free(&frames);
    return st;
}

// ---- how it is filmed --------------------------------------------------------------------------

// Style and set are asked of every shot, where there are several: what is seen goes on, whether it
// is said again or not.
static tk_status measure_settings(tk_clip *c)
{
    const tk_setting counts = c->learned->settings.counts;
    tk_series set = {0};
    for (int h = 0; h < c->scene->n_shots && counts.size > 0; h++) {
        const tk_setting asked = tk_setting_of(c->scene, h);
        tk_setting_look look;
        tk_setting found;
        int64_t first, n;
        tk_frames_of(c->scene, c->media, h, &first, &n);
        if (n <= 0) continue;
        TK_TRY(tk_setting_look_at(tk_clip_pictures(c, first), n, c->media->height, c->media->width,
                                  &look));
        TK_TRY(tk_settings_find(&c->learned->settings, &look, &found));
        tk_clip_turn(c, h, h);
        if (counts.style > 1) tk_figures_count(c->f, TK_FIG_STYLE, found.style == asked.style, 1);
        if (counts.set > 1) tk_figures_count(c->f, TK_FIG_SET, found.set == asked.set, 1);
        if (counts.set > 1) tk_series_put(&set, h, found.set == asked.set);
        tk_figures_count(c->f, TK_FIG_SIZE, found.size == asked.size, 1);
    }
    tk_series_count(c, &set, TK_FIG_SAME_SET, TK_FIG_STORY_SET);
    return TK_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

void tk_series_count(tk_clip *c, const tk_series *s, tk_figure cut, tk_figure story)
{
    int first = -1, last = -1;
    for (int h = 0; h < c->scene->n_shots; h++) {
        if (!s->asked[h]) continue;
        if (first < 0) first = last = h;
        tk_clip_turn(c, last, h);
        if (last < h) tk_figures_count(c->f, cut, s->found[last] && s->found[h], 1);
        last = h;
    }
    if (c->scene->n_shots < TK_SCENE_SHOTS || last - first < TK_SCENE_SHOTS / 2) return;
    tk_clip_turn(c, first, last);
    tk_figures_count(c->f, story, s->found[first] && s->found[last], 1);
}

tk_status tk_measure_clip(const tk_learned *l, const tk_scene *s, const tk_media *m,
                          const bool *made, tk_figures *f)
{
    tk_clip c = {.learned = l, .scene = s, .media = m, .made = made, .counted = f, .f = f};
    tk_arena a;
    TK_TRY(tk_onsets_of(m->pcm, m->samples, m->channels, m->sample_rate, TK_CLIP_ONSETS, c.onset,
                        &c.n_onsets));
    tk_arena_init(&a, 0);
    tk_status st = tk_measure_things(&c, &a);
    if (st == TK_OK) st = tk_measure_people(&c, &a);
    if (st == TK_OK) st = measure_settings(&c);
    if (st == TK_OK) st = measure_cuts(&c, &a);
    if (st == TK_OK) st = tk_measure_sounds(&c, &a);
    tk_arena_free(&a);
    return st;
}
