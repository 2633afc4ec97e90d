// SPDX-License-Identifier: Apache-2.0
// Pictures to PNG files. See data/media/media.h.
#include "data/media/media.h"
#include "data/media/track.h"
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

tk_status tk_media_write_png(const tk_file *f, const uint8_t *rgb, int64_t height, int64_t width)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    if (height < 1 || width < 1 || height > TK_MEDIA_MAX_SIDE || width > TK_MEDIA_MAX_SIDE)
        return TK_FAIL(TK_INPUT, "cannot write %s: %lld x %lld pixels are outside 1 to %d", f->path,
                       (long long)width, (long long)height, TK_MEDIA_MAX_SIDE);
    FILE *out = fopen(f->tmp, "wb");
    if (!out) return TK_FAIL(TK_IO, "cannot write %s: %s", f->path, tk_io_words(errno));
    tk_status st = TK_OK;
    if (!png_image_write_to_stdio(&image, out, 0, rgb, 0, NULL)) {
        png_image_free(&image);
        st = TK_FAIL(TK_IO, "cannot write %s: %s", f->path, image.message);
    }
    if (fclose(out) != 0 && st == TK_OK)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", f->path, tk_io_words(errno));
    return st;
}
