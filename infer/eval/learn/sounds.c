// SPDX-License-Identifier: Apache-2.0
// What judges of sounds are shown: lines with who speaks them, shots with the set that they play
// in, as they are and as the codec lets them be heard.
#include "core/base/log.h"
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "infer/eval/learn/learn.h"
#include "infer/judges/sound/scapes.h"
#include <math.h>
#include <omp.h>

enum { LEAST = 60, SHOTS = 4, WAYS = 2 }; // clips, so that everybody speaks; of each
static const double clip_seconds = 4;

typedef struct hearing { // of line or shot k of clip i by way w at (i * SHOTS + k) * WAYS + w
    const tk_config *c;
    const tk_codec *codec;
    tk_speech *speech;
    tk_world_config world;
    tk_grid grid;
    uint64_t seed;
    bool voices, scapes;                  // are asked for
    int64_t clips, lines;                 // lines: clips * SHOTS * WAYS
    tk_voiceprint *print;                 // (lines)
    int *speaker;                         // (lines) -1: no line
    double (*feature)[TK_SCAPE_FEATURES]; // (lines)
    int *set;                             // (lines) -1: no shot
} hearing;

// A scene, its people changed so that each character speaks as often as any other.
static tk_status write_lesson(const hearing *l, int64_t i, tk_scene *s)
{
    TK_TRY(
        tk_scene_make(&l->world, &l->c->media, l->c->codec.patch_frames, l->speech, l->seed, i, s));
    for (int k = 0; k < s->n_people; k++)
        s->person[k] = (int)(i + (int64_t)k * (TK_CAST / 2)) % TK_CAST;
    return TK_OK;
}

static tk_status show_line(hearing *l, const tk_scene *s, const tk_media *clip, int line,
                           int64_t at, tk_arena *a)
{
    const tk_scene_line *said = &s->line[line];
    const double rate = (double)clip->sample_rate, end = said->t + said->seconds;
    const int64_t first = llround(fmax(0, said->t - TK_PRINT_AROUND) * rate),
                  last = llround((end + TK_PRINT_AROUND) * rate);
    const int64_t n = (last < clip->samples ? last : clip->samples) - first;
    float *x;
    if (end * rate > (double)clip->samples) return TK_OK;
    TK_ARENA_NEW(x, a, n);
    for (int64_t i = 0; i < n * clip->channels; i++)
        x[i / clip->channels] += clip->pcm[first * clip->channels + i] / (float)clip->channels;
    l->speaker[at] = s->person[said->person];
    return tk_voiceprint_of(x, n, clip->sample_rate, a, &l->print[at]);
}

static tk_status show_scape(hearing *l, const tk_scene *s, const tk_media *clip, int shot,
                            int64_t at, tk_arena *a)
{
    const int64_t first = llround(s->shot[shot].start * (double)clip->sample_rate);
    int64_t end =
        llround((s->shot[shot].start + s->shot[shot].seconds) * (double)clip->sample_rate);
    if (end > clip->samples) end = clip->samples;
    l->set[at] = (int)s->set;
    return tk_scape_of(clip->pcm + first * clip->channels, end - first, clip->channels,
                       clip->sample_rate, a, l->feature[at]);
}

static tk_status show_sounds(hearing *l, const tk_scene *s, const tk_media *clip, int64_t i,
                             int way)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = TK_OK;
    for (int k = 0; k < s->n_lines && k < SHOTS && l->voices && st == TK_OK; k++)
        st = show_line(l, s, clip, k, (i * SHOTS + k) * WAYS + way, &a);
    for (int k = 0; k < s->n_shots && l->scapes && st == TK_OK; k++)
        st = show_scape(l, s, clip, k, (i * SHOTS + k) * WAYS + way, &a);
    tk_arena_free(&a);
    return st;
}

static tk_status hear_lesson(hearing *l, int64_t i)
{
    tk_scene s;
    TK_TRY(write_lesson(l, i, &s));
    tk_media clip = tk_media_shape(&l->c->media, 0, l->grid.samples);
    TK_TRY(tk_media_alloc(&clip));
    tk_status st = tk_film_sound(&s, &l->c->media, l->speech, clip.samples, clip.pcm);
    if (st == TK_OK) st = show_sounds(l, &s, &clip, i, 0);
    if (st == TK_OK && l->codec) st = tk_media_through_codec(l->codec, &l->grid, &clip);
    if (st == TK_OK && l->codec) st = show_sounds(l, &s, &clip, i, 1);
    tk_media_free(&clip);
    return st;
}

// Moves what there is to the front of the arrays; how many.
static int64_t gather_scapes(hearing *l)
{
    int64_t n = 0;
    for (int64_t i = 0; i < l->lines; i++) {
        if (l->set[i] < 0 || isnan(l->feature[i][0])) continue;
        for (int k = 0; k < TK_SCAPE_FEATURES; k++) l->feature[n][k] = l->feature[i][k];
        l->set[n++] = l->set[i];
    }
    return n;
}

static int gather_lines(hearing *l)
{
    int n = 0;
    for (int64_t i = 0; i < l->lines; i++) {
        if (l->speaker[i] < 0) continue;
        l->print[n] = l->print[i];
        l->speaker[n++] = l->speaker[i];
    }
    return n;
}

static tk_status new_lessons(hearing *l, tk_arena *a)
{
    l->lines = l->clips * SHOTS * WAYS;
    TK_ARENA_NEW(l->print, a, l->lines);
    TK_ARENA_NEW(l->speaker, a, l->lines);
    TK_ARENA_NEW(l->feature, a, l->lines);
    TK_ARENA_NEW(l->set, a, l->lines);
    for (int64_t i = 0; i < l->lines; i++) l->speaker[i] = l->set[i] = -1;
    return TK_OK;
}

tk_status tk_learn_words(tk_learned *out)
{
    const char *word[TK_WORDS];
    for (int k = 0; k < TK_WORDS; k++) word[k] = tk_word_text(k);
    return tk_ear_open(word, TK_WORDS, &out->ear);
}

static tk_status learn_from_sounds(hearing *l, tk_arena *a, tk_learned *out)
{
    tk_team team = {TK_OK, ""};
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < l->clips; i++) {
        if (!tk_team_failed(&team)) tk_team_report(&team, hear_lesson(l, i));
        if (omp_get_thread_num() == 0) tk_alive();
    }
    TK_TRY(tk_team_result(&team));
    if (l->scapes) {
        const int64_t n = gather_scapes(l);
        TK_TRY(tk_classes_learn(n, TK_SCAPE_FEATURES, TK_SETS, l->feature[0], l->set, 1e-2, a,
                                &out->scapes));
    }
    if (!l->voices) return TK_OK;
    TK_TRY(tk_learn_words(out));
    const int n = gather_lines(l);
    return tk_speakers_learn(l->print, l->speaker, n, TK_CAST, a, &out->speakers);
}

tk_status tk_learn_sounds(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                          tk_learned *out)
{
    const tk_codec_info info =
        codec ? *tk_codec_get_info(codec) : tk_codec_planned(&c->codec, &c->media);
    const bool heard = c->media.sample_rate >= TK_PRINT_RATE;
    if (speech && !heard)
        tk_log("nobody judges what is said: media.sample_rate is below %d", TK_PRINT_RATE);
    hearing l = {.c = c, .codec = codec, .speech = speech, .world = c->world};
    l.voices = speech && heard, l.scapes = c->world.sets > 1;
    if (!l.voices && !l.scapes) return TK_OK;
    l.clips = c->eval.shown > LEAST ? c->eval.shown : LEAST;
    l.world.seconds = clip_seconds, l.world.max_shots = SHOTS;
    l.world.held_out = TK_HELD_WITH; // judges know all there is
    l.seed = tk_rng_u64(tk_rng_key((uint64_t)c->world.seed, TK_RNG_EXAMPLES, 0), 2);
    TK_TRY(tk_grid_of(&info, "media", tk_scene_frames(&l.world, &c->media, c->codec.patch_frames),
                      c->media.height, c->media.width, TK_GRID_WHOLE, &l.grid));
    tk_arena own;
    tk_arena_init(&own, 0);
    tk_status st = new_lessons(&l, &own);
    if (st == TK_OK) st = learn_from_sounds(&l, a, out);
    tk_arena_free(&own);
    return st;
}

void tk_learned_close(tk_learned *l)
{
    tk_ear_close(l->ear);
    l->ear = NULL;
}
