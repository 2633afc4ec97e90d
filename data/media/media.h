// SPDX-License-Identifier: Apache-2.0
// Media in and out, by libav*: files to frames and samples on our clocks, and clips to files.
#pragma once
#include "core/base/files.h"
#include "data/codec/media.h"

typedef struct tk_media_origin { // of media that were read
    bool has_audio;              // the file; else they are silent
    double seconds;              // of the file
} tk_media_origin;

// Decodes a file onto m's clocks and size: frames at exactly m->fps (nearest source frame in time,
// so any or variable rate), scaled and centre-cropped to m->width x m->height after applying
// rotation metadata, audio resampled to m->sample_rate and m->channels, both starting at the same
// instant. Still images give one frame repeated for `still_seconds`. At most max_seconds are
// decoded. origin may be NULL. TK_INPUT naming the file for anything that is not media or has no
// video.
tk_status tk_media_read(const char *path, const tk_media_config *m, double max_seconds,
                        double still_seconds, tk_media *out, tk_media_origin *origin);

// Size of a file's first picture as it would be shown: turned, with square pixels.
tk_status tk_media_size(const char *path, int64_t *width, int64_t *height);
// Whether a media file has pictures; if not, tk_media_hear reads it. How many sound tracks it has.
tk_status tk_media_has_pictures(const char *path, bool *yes);
tk_status tk_media_sounds(const char *path, int *n);
// What a media file has; lasts: it is no still. TK_INPUT as of tk_media_read.
typedef struct tk_media_has {
    bool pictures, sound, lasts;
} tk_media_has;
tk_status tk_media_look(const char *path, tk_media_has *out);
// The sound of a file, from its beginning, on m's clock and channels: no frames, at most
// max_seconds. TK_INPUT where there is none.
tk_status tk_media_hear(const char *path, const tk_media_config *m, double max_seconds,
                        tk_media *out);
// The same as it is read, a second at a time: pcm (n, channels), there until `heard` returns.
// number: of its sound tracks, 0 the one that players take, which all others of these hear.
typedef tk_status (*tk_media_heard)(void *ctx, const float *pcm, int64_t n);
tk_status tk_media_hear_on(const char *path, int number, const tk_media_config *m,
                           double max_seconds, tk_media_heard heard, void *ctx);

// A still of a film: the picture `at` seconds after its first one, or the last where it ends
// before, as JPEG in `a`, at most `side` pixels high and wide.
typedef struct tk_media_poster {
    const uint8_t *jpeg;
    size_t bytes;
    int64_t width, height; // of the film's pictures
    double seconds;        // of the film, as its file has it
} tk_media_poster;
tk_status tk_media_make_poster(const char *path, double at, int64_t side, tk_arena *a,
                               tk_media_poster *out);

// TK_INPUT where this build writes no media: asked before the work for `path` begins.
tk_status tk_media_writes(const char *path);
// H.264 + AAC in MP4 (faststart, yuv420p, BT.709 tags), both streams of equal length within one
// frame; `comment` goes into the metadata. Pictures are asked for once each, in order, samples a
// second at a time; memory does not grow with the clip as long as encoders are there: what they
// made lies on disk, as large as the file, and its index, 64 bytes a packet, comes after them.
// `room`: a free box of so many bytes, from 8 to INT32_MAX, lies right behind ftyp, before all that
// plays, for the caller to write over; 0: none. The caller commits the file.
tk_status tk_media_write_mp4(const tk_file *f, tk_media_source *clip, const char *comment,
                             int64_t room);
// The same without loss: FFV1, each picture by itself, RGB at the size that the clip has, and PCM
// of 24 bits at its rate, in Matroska. The same bytes from the same clip.
tk_status tk_media_write_master(const tk_file *f, tk_media_source *clip, const char *comment);
