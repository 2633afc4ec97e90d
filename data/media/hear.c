// SPDX-License-Identifier: Apache-2.0
// The sound of a file that has nothing else: see data/media/media.h.
#include "data/media/media.h"
#include "data/media/sound.h"

tk_status tk_media_has_pictures(const char *path, bool *yes)
{
    tk_track t;
    *yes = false;
    TK_TRY(tk_track_open(path, AVMEDIA_TYPE_AUDIO, &t));
    const enum AVMediaType video = AVMEDIA_TYPE_VIDEO;
    for (unsigned i = 0; i < t.format->nb_streams; i++) {
        const AVStream *s = t.format->streams[i];
        const int cover = AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS;
        *yes |= s->codecpar->codec_type == video && !(s->disposition & cover);
    }
    tk_track_close(&t);
    return TK_OK;
}

// A second at a time, until the sound ends.
static tk_status hear_to_the_end(tk_sound *s, int64_t most, tk_media *out)
{
    const int64_t each = s->channels;
    int64_t n = 0;
    while (out->samples < most && !(s->end && s->held <= n)) {
        const int64_t have = out->samples;
        n = s->rate < most - have ? s->rate : most - have;
        float *grown = tk_realloc(out->pcm, (size_t)(have * each) * sizeof *grown,
                                  (size_t)((have + n) * each) * sizeof *grown);
        if (!grown) return TK_FAIL(TK_MEMORY, "out of memory for the sound of %s", s->track.path);
        out->pcm = grown;
        TK_TRY(tk_sound_pull(s, have, n, out->pcm + have * each));
        out->samples += s->end && s->held < n ? s->held : n;
        if (s->end && s->held < n) break;
    }
    return tk_track_check_damage(&s->track);
}

tk_status tk_media_hear(const char *path, const tk_media_config *m, double max_seconds,
                        tk_media *out)
{
    tk_sound s = {0};
    tk_status st = TK_OK;
    *out = tk_media_shape(m, 0, 0);
    if (!(max_seconds > 0) || max_seconds > 1e6)
        return TK_FAIL(TK_INPUT, "%s: cannot read %g seconds of it", path, max_seconds);
    TK_TRY_TO(st, done, tk_sound_open(path, m->sample_rate, m->channels, &s));
    if (!s.track.stream) TK_TRY_TO(st, done, TK_FAIL(TK_INPUT, "%s has no sound", path));
    TK_TRY_TO(st, done, hear_to_the_end(&s, (int64_t)(max_seconds * (double)m->sample_rate), out));
    if (!out->samples) st = TK_FAIL(TK_INPUT, "%s: its sound is empty", path);
done:
    tk_sound_close(&s);
    if (st != TK_OK) tk_media_free(out);
    return st;
}
