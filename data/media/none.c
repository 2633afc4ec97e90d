// SPDX-License-Identifier: Apache-2.0
// In the place of the files that need libav* (make MEDIA=0): media are neither read nor written.
#include "data/media/loudness.h"
#include "data/media/reader.h"

static tk_status no_media(const char *path)
{
    return TK_FAIL(TK_INPUT, "%s: this talkie was built without media (make MEDIA=0)", path);
}

tk_status tk_media_read(const char *path, const tk_media_config *m, double max_seconds,
                        double still_seconds, tk_media *out, tk_media_origin *origin)
{
    (void)m, (void)max_seconds, (void)still_seconds, (void)out, (void)origin;
    return no_media(path);
}

tk_status tk_media_size(const char *path, int64_t *width, int64_t *height)
{
    *width = *height = 0;
    return no_media(path);
}

tk_status tk_media_has_pictures(const char *path, bool *yes)
{
    *yes = false;
    return no_media(path);
}

tk_status tk_media_sounds(const char *path, int *n)
{
    *n = 0;
    return no_media(path);
}

tk_status tk_media_hear(const char *path, const tk_media_config *m, double max_seconds,
                        tk_media *out)
{
    (void)m, (void)max_seconds, (void)out;
    return no_media(path);
}

tk_status tk_media_hear_on(const char *path, int number, const tk_media_config *m,
                           double max_seconds, tk_media_heard heard, void *ctx)
{
    (void)number, (void)m, (void)max_seconds, (void)heard, (void)ctx;
    return no_media(path);
}

tk_status tk_media_make_poster(const char *path, double at, int64_t side, tk_arena *a,
                               tk_media_poster *out)
{
    (void)at, (void)side, (void)a, (void)out;
    return no_media(path);
}

tk_status tk_media_writes(const char *path)
{
    return no_media(path);
}

tk_status tk_media_write_mp4(const tk_file *f, tk_media_source *clip, const char *comment,
                             int64_t room)
{
    (void)clip, (void)comment, (void)room;
    return no_media(f->path);
}

tk_status tk_media_write_master(const tk_file *f, tk_media_source *clip, const char *comment)
{
    (void)clip, (void)comment;
    return no_media(f->path);
}

tk_status tk_media_probe(const char *path, const tk_media_config *m, double still_seconds,
                         int64_t *frames, bool *has_audio)
{
    (void)m, (void)still_seconds, (void)frames, (void)has_audio;
    return no_media(path);
}

tk_status tk_media_reader_open(const char *path, const tk_media_config *m, double still_seconds,
                               tk_media_reader **out)
{
    (void)m, (void)still_seconds, (void)out;
    return no_media(path);
}

// There is no reader that these could be asked of.

tk_status tk_media_reader_next(tk_media_reader *r, int64_t n, uint8_t *rgb, float *pcm,
                               int64_t *got)
{
    (void)r, (void)n, (void)rgb, (void)pcm, (void)got;
    return no_media("?");
}

int64_t tk_media_reader_damage(const tk_media_reader *r, double *at)
{
    (void)r;
    *at = 0;
    return 0;
}

tk_status tk_media_reader_check(const tk_media_reader *r)
{
    (void)r;
    return TK_OK;
}

bool tk_media_reader_has_audio(const tk_media_reader *r)
{
    (void)r;
    return false;
}

void tk_media_reader_facts(const tk_media_reader *r, tk_facts *out)
{
    (void)r;
    *out = (tk_facts){0};
}

double tk_media_reader_seconds(const tk_media_reader *r)
{
    (void)r;
    return 0;
}

void tk_media_reader_close(tk_media_reader *r)
{
    (void)r;
}

tk_status tk_loudness_open(const char *path, int64_t rate, int64_t channels, tk_loudness **out)
{
    (void)rate, (void)channels, (void)out;
    return no_media(path);
}

tk_status tk_loudness_add(tk_loudness *l, const float *pcm, int64_t n)
{
    (void)l, (void)pcm, (void)n;
    return no_media("?");
}

tk_status tk_loudness_close(tk_loudness *l, tk_loudness_figures *figures)
{
    (void)l, (void)figures;
    return TK_OK;
}
