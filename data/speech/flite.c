// SPDX-License-Identifier: Apache-2.0
#include "data/speech/flite.h"
#include <flite/flite.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

cst_voice *register_cmu_us_slt(const char *voxdir);
cst_voice *register_cmu_us_rms(const char *voxdir);
cst_voice *register_cmu_us_awb(const char *voxdir);
cst_voice *register_cmu_us_kal16(const char *voxdir);

enum { FLITE_RATE = 16000 }; // samples a second, of all its speakers

static const struct {
    const char *name;
    cst_voice *(*make)(const char *voxdir);
} speakers[] = {{"slt", register_cmu_us_slt},
                {"rms", register_cmu_us_rms},
                {"awb", register_cmu_us_awb},
                {"kal16", register_cmu_us_kal16}};
enum { SPEAKERS = sizeof speakers / sizeof *speakers };

static pthread_mutex_t flite_lock = PTHREAD_MUTEX_INITIALIZER;

// ---- noise ----

static _Thread_local bool breathing; // this thread is within flite
static _Thread_local uint64_t breath;

// The process's rand(), so that flite's calls find it: for a thread within flite the stream of the
// utterance, for everybody else what the C library's own does.
int rand(void)
{
    if (!breathing) return (int)random();
    breath = breath * 6364136223846793005u + 1442695040888963407u;
    return (int)(breath >> 33);
}

// ---- speaking ----

// The speaker with pitch and pace of v. Under the lock.
static tk_status find_speaker(const tk_voice *v, cst_voice **out)
{
    static cst_voice *made[SPEAKERS];
    int k = 0;
    while (k < SPEAKERS && strcmp(speakers[k].name, v->speaker) != 0) k++;
    if (k == SPEAKERS) return TK_FAIL(TK_INTERNAL, "flite has no speaker \"%s\"", v->speaker);
    if (!made[k]) {
        flite_init();
        made[k] = speakers[k].make(NULL);
        if (!made[k]) return TK_FAIL(TK_MEMORY, "flite's speaker %s cannot be made", v->speaker);
    }
    cst_features *f = made[k]->features;
    flite_feat_set_float(f, "int_f0_target_mean", v->pitch / v->size);
    if (v->spread > 0)
        flite_feat_set_float(f, "int_f0_target_stddev", v->spread);
    else
        flite_feat_remove(f, "int_f0_target_stddev");
    flite_feat_set_float(f, "duration_stretch", v->stretch * v->size);
    *out = made[k];
    return TK_OK;
}

static bool is_pause(const cst_item *s)
{
    return strcmp(item_name(s), "pau") == 0;
}

// Phones between the first and the last pause, from 0 on; *first = where they began.
static tk_status take_phones(const cst_utterance *u, const char *text, tk_arena *a,
                             tk_utterance *out, double *first)
{
    const cst_item *s = relation_head(utt_relation(u, "Segment"));
    int n = 0, spoken = 0;
    for (const cst_item *i = s; i; i = item_next(i)) n++;
    TK_ARENA_NEW(out->phone, a, n);
    double begin = 0;
    out->phones = 0;
    for (; s; s = item_next(s)) {
        const double end = item_feat_float(s, "end");
        if (out->phones == 0) *first = begin;
        if (out->phones || !is_pause(s)) {
            tk_phone *p = &out->phone[out->phones++];
            strncpy(p->name, item_name(s), sizeof p->name - 1);
            p->begin = begin - *first;
            p->end = end - *first;
            if (!is_pause(s)) spoken = out->phones;
        }
        begin = end;
    }
    out->phones = spoken;
    return spoken ? TK_OK : TK_FAIL(TK_INPUT, "flite finds nothing to say in \"%s\"", text);
}

static tk_status take_samples(const cst_wave *w, double first, tk_arena *a, tk_utterance *out)
{
    if (w->sample_rate != FLITE_RATE)
        return TK_FAIL(TK_INTERNAL, "flite speaks at %d samples a second, not at %d",
                       w->sample_rate, FLITE_RATE);
    const int64_t from = lrint(first * FLITE_RATE);
    int64_t end = lrint((first + out->phone[out->phones - 1].end) * FLITE_RATE);
    if (end > w->num_samples) end = w->num_samples;
    out->samples = end - from;
    TK_ARENA_NEW(out->pcm, a, out->samples);
    for (int64_t i = 0; i < out->samples; i++) out->pcm[i] = (float)w->samples[from + i] / 32768.0F;
    return TK_OK;
}

// A smaller head: the same samples, sooner.
static void change_size(double size, tk_utterance *u)
{
    u->rate = lrint(FLITE_RATE * size);
    for (int p = 0; p < u->phones; p++) {
        u->phone[p].begin *= (double)FLITE_RATE / (double)u->rate;
        u->phone[p].end *= (double)FLITE_RATE / (double)u->rate;
    }
}

static tk_status say_locked(const tk_voice *v, const char *text, tk_arena *a, tk_utterance *out)
{
    cst_voice *voice = NULL;
    TK_TRY(find_speaker(v, &voice));
    breath = 1;
    breathing = true;
    cst_utterance *u = flite_synth_text(text, voice);
    breathing = false;
    if (!u) return TK_FAIL(TK_MEMORY, "flite cannot say \"%s\"", text);
    double first = 0;
    tk_status st = take_phones(u, text, a, out, &first);
    if (st == TK_OK) st = take_samples(utt_wave(u), first, a, out);
    if (st == TK_OK) change_size(v->size, out);
    delete_utterance(u);
    return st;
}

tk_status tk_flite_open(void)
{
    return TK_OK;
}

tk_status tk_flite_say(const tk_voice *v, const char *text, tk_arena *a, tk_utterance *out)
{
    pthread_mutex_lock(&flite_lock);
    const tk_status st = say_locked(v, text, a, out);
    pthread_mutex_unlock(&flite_lock);
    return st;
}
