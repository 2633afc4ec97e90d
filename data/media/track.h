// SPDX-License-Identifier: Apache-2.0
// One stream of a media file, decoded in order. Internal to data/media/media*.c.
//
// Video and sound of a file are two tracks, each with its own demultiplexer over the same file, so
// that memory stays bounded however badly the file interleaves them. The file is read through our
// own byte source: regular files only, recognized by their bytes and not by their names, and no
// demultiplexer may open anything else (playlists, network, references to other files).
#pragma once
#include "data/codec/media.h"
#include "data/media/bytes.h"
#include "data/media/clock.h"
#include "data/media/damage.h"
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

enum { TK_MEDIA_MAX_PIXELS = 1 << 27 };      // of a source picture
#define TK_MEDIA_SLACK(s) (0.3 + 0.02 * (s)) // seconds a file may fall short of what it declares

typedef struct tk_track {
    const char *path; // borrowed: lives as long as the track
    tk_bytes bytes;
    AVFormatContext *format;
    AVStream *stream; // NULL: the file has no sound (video is always there)
    AVStream *other;  // sound beside video, video beside sound, where the clock needs both
    tk_clock clock;   // of formats whose time may start anew
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;        // the current one
    double time, duration; // of the frame, in seconds on the file's clock; duration 0 = not known
    double first, end;     // time of the first frame, end of the last one so far
    int64_t frames, packets, bad;
    // Damage goes on until the picture of a key frame: what lies between refers to what is lost.
    // Times are the file's clock.
    tk_damage damage;
    bool draining;
} tk_track;

// `kind` is AVMEDIA_TYPE_VIDEO or AVMEDIA_TYPE_AUDIO; number: of the file's tracks of that kind, 0
// the best (as players take it), then the others in the file's order. On failure nothing is left
// open.
tk_status tk_track_open(const char *path, enum AVMediaType kind, int number, tk_track *out);
bool tk_track_is_cover(const AVStream *s);       // a picture of a sound: no track of pictures
tk_status tk_track_next(tk_track *t, bool *end); // decodes the next frame into t->frame
void tk_track_close(tk_track *t);                // a zeroed track is fine

// What a pass over the packets alone says about the video stream, in seconds on the file's clock.
typedef struct tk_track_scan {
    double first, end; // of the video
    double last;       // end of whatever ends last
    double declared;   // end of the video as the file has it; 0 = not said
    double jump;       // the longest time without a picture of its own
    double jump_at;    // where that begins
    int64_t packets;   // of video
    bool has_audio;
} tk_track_scan;
tk_status tk_track_scan_file(const char *path, tk_track_scan *out);
// TK_INPUT if too much of what was decoded so far was damaged to take it as a whole.
tk_status tk_track_check_damage(const tk_track *t);
// TK_INPUT if the file ends before its header says it does; call at the end of the video.
tk_status tk_track_check_complete(const tk_track *t);

// "words of the error: libav's own last message", for our messages. Not thread-safe memory: the
// buffer belongs to the calling thread until its next call.
const char *tk_av_words(int error);
void tk_av_quiet(void); // libav says nothing on stderr from here on
