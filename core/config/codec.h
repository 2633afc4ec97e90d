// SPDX-License-Identifier: Apache-2.0
// Arithmetic of a codec's patches that rules between options need as the codec itself does. All
// else about the grid is data/codec/grid.h.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Numbers of a patch: its pixels, three colours each.
static inline int64_t tk_patch_numbers(int64_t frames, int64_t size)
{
    return frames * size * size * 3;
}

// Whether a side of so many pixels (or a clip of so many frames) is whole patches.
static inline bool tk_patch_divides(int64_t pixels, int64_t size)
{
    return pixels > 0 && pixels % size == 0;
}
