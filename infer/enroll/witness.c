// SPDX-License-Identifier: Apache-2.0
#include "infer/enroll/witness.h"
#include "data/speech/voices.h"
#include "infer/judges/sound/pitch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// Fixed on clips of which none is in any figure (docs/cameo.md).
static const double faces_least = 0.75; // of the looks in which a face is seen
static const double crowd_sure = 0.6;   // of the surest face, another one of half its size
static const double aside_sure = 6;     // and one that does not lie on it,
static const double aside_least = 2.4;  // ... but so many of its half heights away
static const double lips_least = 0.78;  // correlation
static const double apart_most = 5.8;   // between words of one voice
static const double late_most = 1.0;    // frames between lips and sound
static const int beside_most = 10;      // hundredths of a second of a voice beside the words

// Each word of the vocabulary, by each voice of the cast.
static tk_status hear_voices(tk_witness *w)
{
    enum { EXAMPLES = TK_WORDS * TK_VOICES };
    int word[EXAMPLES], voice[EXAMPLES];
    tk_timbre *t;
    TK_ARENA_NEW(t, &w->arena, EXAMPLES);
    for (int i = 0; i < EXAMPLES; i++) {
        tk_line said;
        word[i] = i % TK_WORDS, voice[i] = i / TK_WORDS;
        TK_TRY(tk_speak(w->speech, voice[i], tk_word_text(word[i]), &w->arena, &said));
        TK_TRY(tk_timbre_of(said.pcm, said.samples, &w->arena, &t[i]));
    }
    return tk_timbres_learn(t, word, voice, EXAMPLES, TK_WORDS, TK_VOICES, &w->arena, &w->voices);
}

tk_status tk_witness_open(tk_witness *w)
{
    memset(w, 0, sizeof *w);
    tk_arena_init(&w->arena, 0);
    tk_config *c = &w->config;
    tk_config_init(c);
    c->media = (tk_media_config){.width = TK_WITNESS_SIDE,
                                 .height = TK_WITNESS_SIDE,
                                 .fps = TK_WITNESS_FPS,
                                 .sample_rate = TK_WITNESS_RATE,
                                 .channels = 1};
    c->world.styles = 1;
    c->world.speech = 1;
    c->world.soundscapes = 0;
    c->world.held_out = TK_HELD_WITH; // all figures and sets
    c->eval.shown = 200;
    TK_TRY(tk_speech_open(TK_WITNESS_RATE, &w->speech));
    TK_TRY(tk_learn(c, NULL, w->speech, &w->arena, &w->learned));
    TK_TRY(tk_learn_people(c, NULL, w->speech, &w->arena, &w->learned));
    if (w->speech) TK_TRY(tk_learn_words(&w->learned));
    if (w->learned.ear) return hear_voices(w);
    return TK_FAIL(TK_INPUT, "no word can be heard here (a build without speech, or without "
                             "pocketsphinx): nobody can be enrolled by a challenge");
}

void tk_witness_close(tk_witness *w)
{
    tk_learned_close(&w->learned);
    tk_speech_close(w->speech);
    tk_config_free(&w->config);
    tk_arena_free(&w->arena);
}

// ---- the face ----------------------------------------------------------------------------------

// What looks a little like a face is seen in many a backdrop, and on every face.
static bool is_someone_else(const tk_head *h, const tk_head *first)
{
    const double away = hypot(h->x - first->x, h->y - first->y) / fmax(h->r, first->r);
    return (h->sure > crowd_sure * first->sure && 2 * h->r > first->r) ||
           (h->sure > aside_sure && away > aside_least);
}

static bool is_crowd(int n, const tk_head *h)
{
    for (int i = 1; i < n; i++)
        if (is_someone_else(&h[i], &h[0])) return true;
    return false;
}

static void note_faces(const tk_head_sightings *s, tk_testimony *out)
{
    double best = -INFINITY;
    out->looks = s->n;
    for (int k = 0; k < s->n; k++) {
        out->faces += s->heads[k] > 0;
        out->crowds += is_crowd(s->heads[k], s->head[k]);
        if (s->heads[k] == 0) continue;
        const tk_head *h = &s->head[k][0];
        const double sure = h->sure + (h->turn == 1 ? 1000 : 0); // to the camera first
        if (sure <= best) continue;
        best = sure;
        out->frame = s->frame[k];
        out->head = *h;
    }
}

static tk_status watch_face(const tk_witness *w, const tk_media *m, tk_arena *a, tk_testimony *out)
{
    tk_head_sightings seen;
    tk_head_way way;
    double sure[TK_HEAD_PEOPLE];
    tk_lips_clip clip = {.rgb = m->rgb, .height = m->height, .width = m->width, .fps = m->fps};
    TK_TRY(tk_heads_watch(&w->learned.heads, TK_STYLE_NATURAL, m->rgb, m->frames, &seen));
    note_faces(&seen, out);
    tk_heads_follow(&seen, tk_heads_who(&seen, sure), &way);
    if (way.n == 0) tk_heads_follow(&seen, -1, &way);
    if (way.n == 0) return TK_OK;
    TK_TRY(tk_lips_listen(m->pcm, m->samples, m->channels, m->sample_rate, a, &clip.sound));
    return tk_lips_watch(&w->learned.lips, TK_STYLE_NATURAL, &way, &clip, 0, m->frames, &out->lips);
}

// ---- the words, and the voice ------------------------------------------------------------------

// The timbre of what is said from `begin` to `end`, seconds.
static tk_status hear_timbre(const tk_media *m, double begin, double end, tk_arena *a,
                             tk_timbre *out)
{
    const double edge = 0.02, rate = (double)m->sample_rate;
    int64_t from = llround((begin - edge) * rate), to = llround((end + edge) * rate);
    if (from < 0) from = 0;
    if (to > m->samples) to = m->samples;
    return tk_timbre_of(m->pcm + from, to - from, a, out);
}

static bool is_in_word(const tk_heard *h, double t)
{
    const double edge = 0.05;
    for (int k = 0; k < h->words; k++)
        if (t > h->word[k].begin - edge && t < h->word[k].end + edge) return true;
    return false;
}

// Voiced frames beside the words: two that follow closely are heard as one piece of sound, of
// which a recognizer of single words takes but one.
static tk_status hear_beside(const tk_media *m, const tk_heard *h, tk_arena *a, int *frames)
{
    const float quiet = 0.1F;
    float loudest = 0;
    tk_pitch p;
    TK_TRY(tk_pitch_of(m->pcm, m->samples, m->sample_rate, a, &p));
    for (int64_t f = 0; f < p.frames; f++)
        if (p.hz[f] > 0) loudest = fmaxf(loudest, p.level[f]);
    for (int64_t f = 0; f < p.frames; f++)
        *frames += p.hz[f] > 0 && p.level[f] > quiet * loudest &&
                   !is_in_word(h, ((double)f + 0.5) / TK_PITCH_HOP);
    return TK_OK;
}

static tk_status hear_words(const tk_witness *w, const tk_media *m, const tk_challenge *c,
                            tk_arena *a, tk_testimony *out)
{
    tk_heard h;
    TK_TRY(tk_ear_hear(w->learned.ear, m->pcm, m->samples, m->channels, m->sample_rate, a, &h));
    out->words = h.words;
    out->others = h.others;
    TK_TRY(hear_beside(m, &h, a, &out->beside));
    out->said = h.words == TK_CHALLENGE_WORDS;
    for (int k = 0; k < TK_CHALLENGE_WORDS && out->said; k++) {
        out->said = h.word[k].word == c->word[k];
        out->begin[k] = h.word[k].begin, out->end[k] = h.word[k].end;
    }
    tk_timbre voice[TK_CHALLENGE_WORDS];
    for (int k = 0; k < TK_CHALLENGE_WORDS && out->said; k++)
        TK_TRY(hear_timbre(m, out->begin[k], out->end[k], a, &voice[k]));
    if (out->said) out->apart = tk_timbres_apart(&w->voices, voice, c->word, TK_CHALLENGE_WORDS);
    return TK_OK;
}

// ---- believed or not ---------------------------------------------------------------------------

static void believe(tk_testimony *t)
{
    const double late = 1000 * late_most / TK_WITNESS_FPS;
    const char *why = "";
    if (t->faces < faces_least * t->looks)
        why = "no face is seen most of the time (of a figure of the world: of nobody else is one "
              "known)";
    else if (t->crowds > 1)
        why = "more than one face is seen";
    else if (t->words + t->others == 0)
        why = "nothing is said";
    else if (!t->said)
        why = "what is said is not the challenge, or more than it";
    else if (t->others || t->beside > beside_most)
        why = "more is heard than the challenge";
    else if (t->lips.judged == 0)
        why = "the lips are too small to be read, or turned away";
    else if (t->lips.together < lips_least || fabs(t->lips.late_ms) > late)
        why = "the lips do not go with the words";
    else if (!(t->apart <= apart_most))
        why = "the words are not all of one voice";
    snprintf(t->fault, sizeof t->fault, "%s", why);
}

tk_status tk_witness_watch(const tk_witness *w, const tk_media *film, const tk_challenge *c,
                           tk_testimony *out)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    *out = (tk_testimony){.looks = 0};
    tk_status st = watch_face(w, film, &a, out);
    if (st == TK_OK) st = hear_words(w, film, c, &a, out);
    if (st == TK_OK) believe(out);
    tk_arena_free(&a);
    return st;
}
