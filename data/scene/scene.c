// SPDX-License-Identifier: Apache-2.0
// A scene from its index: set, style and cast are drawn, the clip is cut into shots, and beats fill
// them (data/scene/script.c).
#include "data/scene/scene.h"
#include "core/base/log.h"
#include "data/codec/grid.h"
#include "data/scene/camera.h"
#include "data/scene/people.h"
#include "data/scene/plot.h"
#include <math.h>

static const double shot_least = 0.75; // seconds

static tk_codec_info clock_of_scene(const tk_media_config *m, int64_t patch_frames)
{
    return (tk_codec_info){.patch_frames = patch_frames, .fps = m->fps};
}

int64_t tk_scene_frames(const tk_world_config *s, const tk_media_config *m, int64_t patch_frames)
{
    const tk_codec_info clock = clock_of_scene(m, patch_frames);
    const int64_t latent = tk_grid_latents(&clock, s->seconds);
    return tk_grid_frame(&clock, latent < 1 ? 1 : latent);
}

// ---- cuts --------------------------------------------------------------------------------------

// About equally long: cut[0] = 0, cut[n] = latent.
static void cut_evenly(tk_draws *d, int64_t latent, int64_t least, int n, int64_t *cut)
{
    for (int k = 1; k <= n; k++) cut[k] = latent * k / n;
    for (int k = 1; k < n; k++) {
        const int64_t at = cut[k] + (tk_draw_chance(d, 0.4) ? tk_draw_below(d, 3) - 1 : 0);
        if (at - cut[k - 1] >= least && cut[k + 1] - at >= least) cut[k] = at;
    }
}

// Of any length: all ways to cut are equally likely. What is left when each shot has the least is
// a row of `rest` latent frames; the n - 1 cuts take n - 1 of its rest + n - 1 places, in order.
static void cut_anywhere(tk_draws *d, int64_t latent, int64_t least, int n, int64_t *cut)
{
    const int64_t rest = latent - n * least;
    int64_t place = 0, open = rest + n - 1; // places left, from this one on
    for (int k = 1; k < n; place++, open--)
        if (tk_draw_below(d, (int)open) < n - k) {
            cut[k] = k * least + place - (k - 1);
            k++;
        }
    cut[n] = latent;
}

// As many shots as fit in most clips, fewer in some.
static void cut_into_shots(const tk_world_config *c, const tk_media_config *m, int64_t patch_frames,
                           tk_draws *d, tk_scene *s)
{
    const tk_codec_info clock = clock_of_scene(m, patch_frames);
    const double tick = tk_grid_tick(&clock);
    const int64_t latent = tk_grid_latent(&clock, tk_scene_frames(c, m, patch_frames));
    int64_t least = (int64_t)ceil(shot_least / tick - 1e-6);
    if (least < 1) least = 1;
    int64_t most = latent / least;
    if (most > c->max_shots) most = c->max_shots;
    const double u = tk_draw(d, 0, 1);
    s->n_shots = most < 1 ? 1 : (int)most;
    if (s->n_shots > 1 && u < 0.30) s->n_shots--;
    if (s->n_shots > 1 && u < 0.12) s->n_shots--;
    int64_t cut[TK_SCENE_SHOTS + 1] = {0};
    (c->cuts == TK_CUTS_ANY ? cut_anywhere : cut_evenly)(d, latent, least, s->n_shots, cut);
    for (int k = 0; k < s->n_shots; k++) {
        s->shot[k].start = (double)cut[k] * tick;
        s->shot[k].seconds = (double)(cut[k + 1] - cut[k]) * tick;
    }
}

// World configs without world.restyle draw nothing more than the style.
static void draw_styles(const tk_world_config *c, tk_draws *d, tk_scene *s)
{
    const int styles = (int)c->styles;
    tk_style style = (tk_style)tk_draw_below(d, styles);
    for (int k = 0; k < TK_SCENE_SHOTS; k++) {
        const bool again = k > 0 && c->restyle > 0 && tk_draw_chance(d, c->restyle);
        if (again && styles > 1 && tk_draw_chance(d, 0.5))
            style = (tk_style)(((int)style + 1 + tk_draw_below(d, styles - 1)) % styles);
        s->shot[k].style = style;
        s->shot[k].tells = k == 0 || again;
    }
}

// ---- who and what there is ---------------------------------------------------------------------

typedef enum held { HELD_SET, HELD_FACE, HELD_PAIR, HELD } held; // what training does not see

// What of the held-out things this clip must have; HELD: nothing.
static held draw_held(const tk_world_config *c, tk_draws *d)
{
    const bool may[HELD] = {c->sets > TK_HELD_SET, c->people > 0, c->things > 0};
    if (c->held_out != TK_HELD_ONLY) return HELD;
    held one = (held)tk_draw_below(d, HELD);
    while (!may[one]) one = (one + 1) % HELD;
    return one;
}

static void draw_people(const tk_world_config *c, tk_draws *d, held must, int n, tk_scene *s)
{
    const int cast = c->held_out == TK_HELD_WITHOUT ? TK_CAST_TRAINED : TK_CAST;
    for (int i = 0; i < n; i++) {
        do s->person[i] = tk_draw_below(d, cast);
        while (i > 0 && s->person[i] == s->person[0]);
    }
    if (must == HELD_FACE && n > 0 && s->person[0] < TK_CAST_TRAINED &&
        (n < 2 || s->person[1] < TK_CAST_TRAINED))
        s->person[0] = TK_CAST_TRAINED + tk_draw_below(d, TK_CAST - TK_CAST_TRAINED);
    if (c->strangers > 0 && n > 0 && must != HELD_FACE && tk_draw_chance(d, c->strangers)) {
        s->person[tk_draw_below(d, n)] = TK_STRANGER;
        s->stranger = tk_plot_stranger(d);
    }
    for (int i = 0; i < n; i++) s->clothes[i] = s->person[i];
}

// Water, a ramp, light.
static void furnish(tk_plot *p, bool ramp)
{
    tk_scene *s = p->s;
    s->water_from = INFINITY;
    s->light = 0.7 * (tk_draw_below(&p->d, 3) - 1);
    if (s->set == TK_SET_BEACH) {
        s->water_from = tk_draw_mark(&p->d, -0.1 * p->stage, 0.3 * p->stage);
        s->bed = -1.2;
    } else if (ramp) {
        s->ramp = true;
        s->ramp_x = -tk_draw_mark(&p->d, 0.80 * p->stage, 0.92 * p->stage);
        s->ramp_y = tk_draw_mark(&p->d, 0.15 * p->stage, 0.25 * p->stage);
        s->ramp_end = s->ramp_x + s->ramp_y / tan(0.55);
    }
}

static bool draft(tk_plot *p, int64_t patch_frames)
{
    tk_scene *s = p->s;
    tk_draws *d = &p->d;
    const tk_world_config *c = p->c;
    const bool without = c->held_out == TK_HELD_WITHOUT;
    const int sets = without && c->sets > TK_HELD_SET ? TK_HELD_SET : (int)c->sets;
    const held must = draw_held(c, d);
    p->pair = must == HELD_PAIR;
    s->set = (tk_set)tk_draw_below(d, sets);
    if (must == HELD_SET) s->set = TK_HELD_SET;
    draw_styles(c, d, s);
    int people = tk_draw_below(d, (int)c->people + 1),
        things = tk_draw_below(d, (int)c->things + 1);
    if (must == HELD_FACE && people == 0) people = 1;
    if (must == HELD_PAIR && things == 0) things = 1;
    if (people == 0 && things == 0) people = c->people > 0, things = c->people == 0;
    cut_into_shots(c, p->m, patch_frames, d, s);
    p->end = s->shot[s->n_shots - 1].start + s->shot[s->n_shots - 1].seconds;
    p->stage = 0.5 * tk_camera_span(p->m, TK_SIZE_WIDE);
    p->things = things;
    draw_people(c, d, must, people, s);
    const bool carries = people > 0 && things > 0 && tk_draw_chance(d, 0.5);
    furnish(p, things > carries && !p->pair && tk_draw_chance(d, 0.4));
    return tk_plot_people(p, people, carries) && tk_plot_write(p);
}

static void sort_events(tk_scene *s)
{
    for (int i = 1; i < s->n_events; i++) {
        const tk_scene_event e = s->event[i];
        int j = i;
        for (; j > 0 && s->event[j - 1].t > e.t; j--) s->event[j] = s->event[j - 1];
        s->event[j] = e;
    }
}

// Whether what had to be in the clip is in it.
static bool is_as_held_out(const tk_world_config *c, const tk_scene *s)
{
    bool any = s->set == TK_HELD_SET;
    for (int i = 0; i < s->n_people; i++) any |= tk_is_held_out(s->person[i]);
    for (int i = 0; i < s->n_things; i++)
        any |= s->thing[i].kind == TK_HELD_KIND && s->thing[i].colour == TK_HELD_COLOUR;
    return c->held_out != TK_HELD_ONLY || any;
}

enum { LEAST_RATE = 8000 };

bool tk_scene_speaks(const tk_world_config *c, const tk_media_config *m)
{
    return c->speech && c->people > 0 && m->sample_rate >= LEAST_RATE;
}

tk_status tk_scene_open_speech(const tk_world_config *c, const tk_media_config *m, tk_speech **out)
{
    *out = NULL;
    if (!c->speech || c->people == 0) return TK_OK;
    if (!tk_scene_speaks(c, m)) {
        tk_log("nobody speaks in the world's clips: media.sample_rate is below %d", LEAST_RATE);
        return TK_OK;
    }
    TK_TRY(tk_flite_open());
    return tk_speech_open(m->sample_rate, out);
}

tk_status tk_scene_make(const tk_world_config *c, const tk_media_config *m, int64_t patch_frames,
                        tk_speech *speech, uint64_t seed, int64_t index, tk_scene *out)
{
    enum { DRAFTS = 100 };
    tk_plot p = {.c = c, .m = m, .s = out, .speech = speech};
    p.d.key = tk_rng_key(seed, TK_RNG_WORLD, (uint64_t)index);
    if (c->people == 0 && c->things == 0)
        return TK_FAIL(TK_INPUT,
                       "world.things and world.people are both 0: there is nothing to film");
    for (int i = 0; i < DRAFTS; i++) {
        *out = (tk_scene){.seed = seed, .index = index, .silent = !c->soundscapes};
        const bool fits = draft(&p, patch_frames);
        TK_TRY(p.status);
        if (!fits || !is_as_held_out(c, out)) continue;
        sort_events(out);
        return TK_OK;
    }
    return TK_FAIL(TK_INTERNAL, "no scene fits clip %lld of world %llu", (long long)index,
                   (unsigned long long)seed);
}
