// SPDX-License-Identifier: Apache-2.0
// The grid: how media divide into latent rows, and where those lie in time. Nobody else counts
// rows.
//
// A video row is a patch of patch_frames x patch_size x patch_size pixels; latent frame f begins
// with frame f * patch_frames. Audio row r of a channel begins with sample r * audio_hop; where
// frames of sound lap over the rows after them, a track has that many rows more, its tail. Samples
// of a number of frames are rounded down, and rows are as many as hold them, so that the rows of
// parts add up to those of the whole.
#pragma once
#include "core/base/status.h"
#include "data/codec/media.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct tk_codec_info {
    int64_t patch_frames, patch_size, video_channels; // of a video row
    int64_t audio_hop, audio_channels;                // of an audio row
    int64_t audio_tail;                               // audio rows a track has beyond its samples
    int64_t fps, sample_rate, channels;               // of the media it was fitted on
    double video_psnr_db, audio_db; // of decode(encode(x)), measured on clips of the file it is in;
                                    // what audio_db is, tk_codec_audio_figure says
    double video_blockiness;        // of what it decoded then over that of the clips themselves
                                    // (data/codec/seams.h); 0: not known
    uint64_t digest;                // of all its numbers: files and checkpoints must agree
} tk_codec_info;

typedef struct tk_grid {
    int64_t frames, height, width, samples; // media; samples of each channel
    int64_t latent_frames, high, wide;      // rows of video
    int64_t video_rows;                     // latent_frames * high * wide
    int64_t audio_rows;                     // of each channel, the tail included
} tk_grid;

// The grid of a clip. samples: TK_GRID_WHOLE = as long as its pictures. TK_INPUT, beginning with
// `where`, for pictures that do not divide into patches.
enum { TK_GRID_WHOLE = -1 };
tk_status tk_grid_of(const tk_codec_info *i, const char *where, int64_t frames, int64_t height,
                     int64_t width, int64_t samples, tk_grid *out);
// The shape of media on that grid, with the clocks and channels of the codec's.
tk_media tk_grid_media(const tk_codec_info *i, const tk_grid *g);
bool tk_grid_divides(const tk_codec_info *i, int64_t frames, int64_t height, int64_t width);
int64_t tk_grid_audio_rows(const tk_codec_info *i, int64_t samples); // the tail included
int64_t tk_grid_side(const tk_codec_info *i, int64_t pixels);        // whole patches, at least one
// Side of a face's picture to refer to, pixels: half the frame's shorter side in whole patches.
int64_t tk_grid_portrait(const tk_codec_info *i, int64_t height, int64_t width);

// Where latent frame f begins; f may be the number of latent frames: the end.
int64_t tk_grid_frame(const tk_codec_info *i, int64_t f);
int64_t tk_grid_sample(const tk_codec_info *i, int64_t f);
// The latent frame that a frame is of; whole latent frames in so many frames.
int64_t tk_grid_latent(const tk_codec_info *i, int64_t frame);
int64_t tk_grid_audio_row(const tk_codec_info *i, int64_t f); // rows that begin before it does
// What an audio row spans, in a unit of which there are so many a second.
double tk_grid_audio_span(const tk_codec_info *i, int64_t units);
// Seconds of a latent frame, and whole latent frames in so many seconds.
double tk_grid_tick(const tk_codec_info *i);
int64_t tk_grid_latents(const tk_codec_info *i, double seconds);
