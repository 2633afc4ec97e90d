// SPDX-License-Identifier: Apache-2.0
// Sounds: words, whose voice says them, steps, and the soundscape, shot by shot.
#include "infer/eval/measure/clip.h"
#include "infer/judges/sound/onsets.h"
#include "infer/judges/sound/scapes.h"
#include "infer/judges/sound/voice.h"
#include "infer/judges/sound/words.h"

static const double late = 0.1; // seconds that a word may begin before its shot or end after
static const double voiced_least = 0.3; // seconds of speech, for a voice to be known
static const double stride_least = 0.28, stride_most = 0.52; // seconds from step to step
static const double tick = 0.06;                             // seconds: two steps are farther apart
static const double window = 0.01,
                    rings = 0.02; // seconds: onsets are told to; a step that is heard

typedef struct extract { // of a clip's sound
    int64_t first, samples;
} extract;

static extract extract_of(const tk_clip *c, double from, double end)
{
    const tk_media *m = c->media;
    extract p = {llround(from * (double)m->sample_rate), llround(end * (double)m->sample_rate)};
    if (p.first < 0) p.first = 0;
    if (p.samples > m->samples) p.samples = m->samples;
    p.samples = p.samples > p.first ? p.samples - p.first : 0;
    return p;
}

static const float *samples_of(const tk_clip *c, extract p)
{
    return c->media->pcm + p.first * c->media->channels;
}

// ---- words -------------------------------------------------------------------------------------

// Of the words heard in the clip those that begin in shot h.
static tk_heard heard_in(const tk_heard *all, const tk_shot *h)
{
    tk_heard out = {0};
    for (int i = 0; i < all->words; i++) {
        const double t = all->word[i].begin;
        if (t < h->start - late || t >= h->start + h->seconds - late) continue;
        if (!out.words++) out.word = all->word + i;
    }
    return out;
}

static void measure_words(tk_clip *c, const tk_shot *h, const tk_heard *heard)
{
    const tk_scene_line *l = &c->scene->line[h->first_line];
    if (h->n_lines == 0) {
        tk_figures_count(c->f, TK_FIG_QUIET, heard->words == 0, 1);
        return;
    }
    const int hits = tk_heard_match(heard, l->word, l->n);
    tk_figures_count(c->f, TK_FIG_WORDS, hits, l->n);
    tk_figures_count(c->f, TK_FIG_LINES, hits == l->n && heard->words == l->n, 1);
}

// ---- voices ------------------------------------------------------------------------------------

// Who says what is heard in shot h: from its first word to its last, else all of it.
static tk_status find_voice(const tk_clip *c, const tk_shot *h, const tk_heard *heard, tk_arena *a,
                            int *who)
{
    const int n = heard->words;
    const double from = n ? heard->word[0].begin - TK_PRINT_AROUND : h->start,
                 end = n ? heard->word[n - 1].end + TK_PRINT_AROUND : h->start + h->seconds;
    const extract p = extract_of(c, from, fmax(end, from + voiced_least));
    float *x;
    tk_voiceprint print;
    TK_ARENA_NEW(x, a, p.samples);
    for (int64_t i = 0; i < p.samples * c->media->channels; i++)
        x[i / c->media->channels] += samples_of(c, p)[i] / (float)c->media->channels;
    TK_TRY(tk_voiceprint_of(x, p.samples, c->media->sample_rate, a, &print));
    *who = tk_speakers_who(c->learned->speakers, &print);
    return TK_OK;
}

static tk_status measure_speech(tk_clip *c, tk_arena *a)
{
    tk_series voice[TK_SCENE_PEOPLE] = {0};
    tk_heard all;
    if (!c->learned->ear) return TK_OK;
    TK_TRY(tk_ear_hear(c->learned->ear, c->media->pcm, c->media->samples, c->media->channels,
                       c->media->sample_rate, a, &all));
    for (int k = 0; k < c->scene->n_shots; k++) {
        const tk_shot *h = &c->scene->shot[k];
        const tk_heard heard = heard_in(&all, h);
        int who = -1;
        tk_clip_turn(c, k, k);
        measure_words(c, h, &heard);
        if (h->n_lines == 0) continue;
        const int speaker = c->scene->line[h->first_line].person;
        TK_TRY(find_voice(c, h, &heard, a, &who));
        const bool right = who == c->scene->person[speaker];
        tk_figures_count(c->f, TK_FIG_VOICE, right, 1);
        tk_series_put(&voice[speaker], k, right);
    }
    for (int i = 0; i < c->scene->n_people; i++)
        tk_series_count(c, &voice[i], TK_FIG_SAME_VOICE, TK_FIG_STORY_VOICE);
    return TK_OK;
}

// ---- steps -------------------------------------------------------------------------------------

// Steps that are to be heard in shot h up to `end`; -1 where something else is to be heard too.
static int steps_asked(const tk_scene *s, const tk_shot *h, double end)
{
    int n = 0;
    for (int i = 0; i < s->n_events; i++) {
        const tk_scene_event *e = &s->event[i];
        if (e->t < h->start || e->t >= end - rings) continue;
        if (e->kind != TK_EVENT_STEP) return -1;
        n++;
    }
    return n;
}

// Whether sound i begins a stride after or before another.
static bool in_stride(int n, const double *at, int i)
{
    for (int k = 0; k < n; k++) {
        const double apart = fabs(at[k] - at[i]);
        if (apart >= stride_least && apart <= stride_most) return true;
    }
    return false;
}

// Seconds at which sounds begin in shot h up to `end`, over what is heard before them.
static tk_status hear_onsets(const tk_clip *c, const tk_shot *h, double end, double *at, int *n)
{
    const extract p = extract_of(c, h->start - tick, end);
    int all;
    TK_TRY(tk_onsets_of(samples_of(c, p), p.samples, c->media->channels, c->media->sample_rate,
                        TK_CLIP_ONSETS, at, &all));
    *n = 0;
    for (int i = 0; i < all; i++) {
        const double t = (double)p.first / (double)c->media->sample_rate + at[i];
        if (t > h->start - window) at[(*n)++] = t;
    }
    return TK_OK;
}

// Steps heard at a walking pace, of those asked for or heard.
static tk_status measure_steps(tk_clip *c, const tk_shot *h)
{
    double at[TK_CLIP_ONSETS], end = h->start + h->seconds;
    int n = 0, hits = 0;
    if (h->beat != TK_BEAT_WALK) return TK_OK;
    if (h->n_lines) end = fmin(end, c->scene->line[h->first_line].t - tick);
    const int asked = steps_asked(c->scene, h, end);
    if (asked < 2) return TK_OK;
    TK_TRY(hear_onsets(c, h, end, at, &n));
    for (int i = 0; i < n; i++) hits += in_stride(n, at, i);
    tk_figures_count(c->f, TK_FIG_STEPS, hits < asked ? hits : asked, n > asked ? n : asked);
    return TK_OK;
}

// ---- soundscapes -------------------------------------------------------------------------------

static tk_status measure_scapes(tk_clip *c, tk_arena *a)
{
    tk_series scape = {0};
    for (int k = 0; k < c->scene->n_shots && c->learned->scapes.classes > 1; k++) {
        const tk_shot *h = &c->scene->shot[k];
        const extract p = extract_of(c, h->start, h->start + h->seconds);
        double feature[TK_SCAPE_FEATURES];
        TK_TRY(tk_scape_of(samples_of(c, p), p.samples, c->media->channels, c->media->sample_rate,
                           a, feature));
        const bool right =
            tk_classes_find(&c->learned->scapes, feature, NULL) == (int)c->scene->set;
        tk_clip_turn(c, k, k);
        tk_figures_count(c->f, TK_FIG_SCAPE, right, 1);
        tk_series_put(&scape, k, right);
    }
    tk_series_count(c, &scape, TK_FIG_SAME_SCAPE, TK_FIG_STORY_SCAPE);
    return TK_OK;
}

tk_status tk_measure_sounds(tk_clip *c, tk_arena *a)
{
    TK_TRY(measure_speech(c, a));
    for (int k = 0; k < c->scene->n_shots; k++) {
        tk_clip_turn(c, k, k);
        TK_TRY(measure_steps(c, &c->scene->shot[k]));
    }
    return measure_scapes(c, a);
}
