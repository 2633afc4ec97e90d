// SPDX-License-Identifier: Apache-2.0
// The sound of a file that has nothing else: see data/media/media.h.
#include "data/media/media.h"
#include "data/media/sound.h"
#include <string.h>

static tk_status count_tracks(const char *path, enum AVMediaType kind, int *n)
{
    tk_track t;
    *n = 0;
    TK_TRY(tk_track_open(path, AVMEDIA_TYPE_AUDIO, 0, &t));
    for (unsigned i = 0; i < t.format->nb_streams; i++) {
        const AVStream *s = t.format->streams[i];
        *n += s->codecpar->codec_type == kind && !tk_track_is_cover(s);
    }
    tk_track_close(&t);
    return TK_OK;
}

tk_status tk_media_has_pictures(const char *path, bool *yes)
{
    int n;
    const tk_status st = count_tracks(path, AVMEDIA_TYPE_VIDEO, &n);
    *yes = n > 0;
    return st;
}

tk_status tk_media_sounds(const char *path, int *n)
{
    return count_tracks(path, AVMEDIA_TYPE_AUDIO, n);
}

typedef struct listening {
    const char *path;
    int number; // of the sound track
    tk_media_heard heard;
    void *ctx;
    int64_t samples; // so far
} listening;

// A second at a time, until the sound ends. pcm: scratch of a second.
static tk_status hear_to_the_end(tk_sound *s, int64_t most, float *pcm, listening *h)
{
    int64_t n = 0;
    while (h->samples < most && !(s->end && s->held <= n)) {
        n = s->rate < most - h->samples ? s->rate : most - h->samples;
        TK_TRY(tk_sound_pull(s, h->samples, n, pcm));
        const bool last = s->end && s->held < n;
        const int64_t got = last ? s->held : n;
        if (got > 0) TK_TRY(h->heard(h->ctx, pcm, got));
        h->samples += got;
        if (last) break;
    }
    return tk_track_check_damage(&s->track);
}

static tk_status hear_sound(tk_sound *s, const tk_media_config *m, double max_seconds, listening *h)
{
    float *pcm;
    TK_TRY(tk_sound_open(h->path, h->number, m->sample_rate, m->channels, s));
    if (!s->track.stream) return TK_FAIL(TK_INPUT, "%s has no sound", h->path);
    TK_NEW(pcm, m->sample_rate * m->channels);
    const tk_status st =
        hear_to_the_end(s, (int64_t)(max_seconds * (double)m->sample_rate), pcm, h);
    tk_free(pcm);
    TK_TRY(st);
    return h->samples ? TK_OK : TK_FAIL(TK_INPUT, "%s: its sound is empty", h->path);
}

tk_status tk_media_hear_on(const char *path, int number, const tk_media_config *m,
                           double max_seconds, tk_media_heard heard, void *ctx)
{
    tk_sound s = {0};
    listening h = {path, number, heard, ctx, 0};
    if (!(max_seconds > 0) || max_seconds > 1e6)
        return TK_FAIL(TK_INPUT, "%s: cannot read %g seconds of it", path, max_seconds);
    const tk_status st = hear_sound(&s, m, max_seconds, &h);
    tk_sound_close(&s);
    return st;
}

typedef struct heard_all { // all that was heard
    const char *path;
    tk_media *m;
} heard_all;

static tk_status keep_sound(void *ctx, const float *pcm, int64_t n)
{
    const heard_all *k = ctx;
    tk_media *m = k->m;
    const int64_t have = m->samples * m->channels, more = n * m->channels;
    float *grown =
        tk_realloc(m->pcm, (size_t)have * sizeof *grown, (size_t)(have + more) * sizeof *grown);
    if (!grown) return TK_FAIL(TK_MEMORY, "out of memory for the sound of %s", k->path);
    memcpy(grown + have, pcm, (size_t)more * sizeof *grown);
    m->pcm = grown;
    m->samples += n;
    return TK_OK;
}

tk_status tk_media_hear(const char *path, const tk_media_config *m, double max_seconds,
                        tk_media *out)
{
    heard_all k = {path, out};
    *out = tk_media_shape(m, 0, 0);
    const tk_status st = tk_media_hear_on(path, 0, m, max_seconds, keep_sound, &k);
    if (st != TK_OK) tk_media_free(out);
    return st;
}
