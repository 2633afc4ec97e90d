// SPDX-License-Identifier: Apache-2.0
// Media in and out, by libav* and cairo: files to frames and samples on our clocks, and clips,
// contact sheets and curves to files. What writes into a tk_file leaves it to the caller to commit
// it.
#pragma once
#include "core/base/files.h"
#include "core/base/mem.h"
#include "core/config/config.h"

typedef struct tk_media { // decoded and resampled
    uint8_t *video;
    int64_t frames, height, width; // (frames, height, width, 3) RGB
    float *audio;
    int64_t samples, channels; // (samples, channels); silence where the file has none
    bool had_audio;
    double seconds; // of the source
} tk_media;

// Decodes a file onto m's clocks and size: frames at exactly m->fps (nearest source frame in time,
// so any or variable rate), scaled and centre-cropped to m->width x m->height after applying
// rotation metadata, audio resampled to m->sample_rate and m->channels, both starting at the same
// instant. Still images give one frame repeated for `still_seconds`. At most max_seconds are
// decoded. TK_INPUT naming the file for anything that is not media or has no video.
tk_status tk_media_read(const char *path, const tk_media_config *m, double max_seconds,
                        double still_seconds, tk_media *out);
void tk_media_free(tk_media *m);

// H.264 + AAC in MP4 (faststart, yuv420p, BT.709 tags), both streams of equal length within one
// frame; `comment` goes into the metadata.
tk_status tk_media_write_mp4(const tk_file *f, const uint8_t *rgb, int64_t frames, int64_t height,
                             int64_t width, double fps, const float *pcm, int64_t samples,
                             int64_t channels, int64_t sample_rate, const char *comment);
// Frames in a grid, one band of rows per shot (cut[i] = first frame of shot i), captions, the
// waveform below with its time axis.
tk_status tk_media_contact_sheet(const tk_file *f, const uint8_t *rgb, int64_t frames,
                                 int64_t height, int64_t width, double fps, const float *pcm,
                                 int64_t samples, int64_t channels, int64_t sample_rate,
                                 int n_shots, const int64_t *cut, char *const *caption);
// A whole file of curves over x = index: e.g. losses by step, with axes, ticks and a legend; y may
// be logarithmic.
typedef struct tk_curve {
    const char *name;
    const double *y;
    int64_t n;
} tk_curve;
tk_status tk_media_plot(const char *path, const char *title, const char *x_label, int n_curves,
                        const tk_curve *curves, bool log_y);
