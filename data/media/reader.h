// SPDX-License-Identifier: Apache-2.0
// A media file as a stream of frames and samples on our clocks, a window at a time: what
// tk_media_read and the import are made of. Memory is bounded by the window, not by the file.
#pragma once
#include "data/media/facts.h"
#include "data/media/media.h"

typedef struct tk_media_reader tk_media_reader;

// Frame k shows the source at k / fps after the first picture; sample j sounds at j / sample_rate
// after it. A frame is the source frame nearest in time; a source frame that is held (longer
// than an eighth of a second) begins at our nearest one.
tk_status tk_media_reader_open(const char *path, const tk_media_config *m, double still_seconds,
                               tk_media_reader **out);
// The next at most n frames (rgb NULL: skipped) and the samples that go with n frames, starting at
// the first one's time (pcm NULL: skipped). *got < n only at the end of the video.
tk_status tk_media_reader_next(tk_media_reader *r, int64_t n, uint8_t *rgb, float *pcm,
                               int64_t *got);
// Packets and pictures that do not decode in what the last call gave, of video and sound, with what
// refers to them; *at = seconds after the first picture where that begins.
int64_t tk_media_reader_damage(const tk_media_reader *r, double *at);
// TK_INPUT where too much of what was read so far, of pictures or sound, does not decode.
tk_status tk_media_reader_check(const tk_media_reader *r);
bool tk_media_reader_has_audio(const tk_media_reader *r);
// What was changed in what was read so far.
void tk_media_reader_facts(const tk_media_reader *r, tk_facts *out);
double tk_media_reader_seconds(const tk_media_reader *r); // of video decoded so far
void tk_media_reader_close(tk_media_reader *r);           // NULL is fine

// Frames the file will give and whether it has sound, from its packets alone, after decoding one
// frame. TK_INPUT for files that tk_media_read would refuse, except damage inside.
tk_status tk_media_probe(const char *path, const tk_media_config *m, double still_seconds,
                         int64_t *frames, bool *has_audio);
