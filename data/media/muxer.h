// SPDX-License-Identifier: Apache-2.0
// A clip on its way into a file, and the encoders that it goes through. Internal to data/media.
//
// Two forms of file: an MP4 that every player takes (H.264 and AAC, pictures made even and small
// ones larger, sound at a common rate), and a master that loses nothing (FFV1 and PCM in Matroska,
// pictures and rate as the clip has them). What is encoded of an MP4 waits on disk (packets.h)
// until the encoders are gone; a master, of which little is kept in memory, is written at once.
#pragma once
#include "core/base/files.h"
#include "data/codec/media.h"
#include "data/media/packets.h"
#include "data/media/track.h"
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

typedef struct tk_muxer {
    const tk_file *file;
    const char *path;
    tk_media_source *clip;
    bool master;
    AVFormatContext *format;
    AVCodecContext *video, *audio;
    AVRational clock[2]; // of the encoders' packets, by stream: pictures, sound
    AVFrame *picture, *sound;
    AVPacket *packet;
    tk_packets made; // of an MP4
    struct SwsContext *sws;
    int64_t width, height;            // of the source
    int64_t padded_wide, padded_high; // made even where that is needed
    uint8_t *padded;                  // (padded_high, padded_wide, 3) source picture
    uint8_t *luma;                    // (2, height, width) of a master's, before and after a mark
    struct SwrContext *swr;           // NULL: silence from here on
    int64_t heard;                    // samples of the source that swr was given
    float *second;                    // (sample_rate, channels) of them
    float *track;                     // (waiting, channels) resampled and not yet encoded
    int64_t waiting, track_cap;       // samples of it; that it has room for
    int64_t block;                    // samples that the encoder takes at once
    int64_t track_samples, frames;    // of the whole clip
    int64_t room;                     // bytes behind ftyp, see tk_media_write_mp4
} tk_muxer;

tk_status tk_muxer_failed(const tk_muxer *m, int e, const char *doing);
// Encoders, frames and the file's streams, of the form that m says. comment: NULL or metadata.
tk_status tk_muxer_open(tk_muxer *m, const char *comment);
// The file, with its header. Nothing is written to it before.
tk_status tk_muxer_begin(tk_muxer *m);
// All that is needed until the last packet is made.
void tk_muxer_close_encoders(tk_muxer *m);
void tk_muxer_close(tk_muxer *m); // fine after open failed
