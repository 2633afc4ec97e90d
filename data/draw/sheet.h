// SPDX-License-Identifier: Apache-2.0
// Pictures for people, as PNG by cairo: contact sheets of clips, and curves.
#pragma once
#include "core/base/files.h"
#include "data/codec/media.h"

// Frames in a grid, one band of rows per shot, captions, the waveform below with its time axis.
// Pictures are asked for as far as they are shown, in order, samples a second at a time. A sheet
// has a height that it never passes: of more shots some are shown, evenly spread, and how many is
// said. The caller commits the file.
typedef struct tk_sheet_shot {
    int64_t first; // frame
    const char *caption;
} tk_sheet_shot;
tk_status tk_draw_sheet(const tk_file *f, tk_media_source *clip, int n, const tk_sheet_shot *shots);

// A whole file of curves over x = index: e.g. losses by step, with axes, ticks and a legend; y may
// be logarithmic.
typedef struct tk_curve {
    const char *name;
    const double *y;
    int64_t n;
} tk_curve;
tk_status tk_draw_plot(const char *path, const char *title, const char *x_label, int n_curves,
                       const tk_curve *curves, bool log_y);
