// SPDX-License-Identifier: Apache-2.0
// Pictures to PNG files, complete under their name or not there. See data/media.h.
#include "core/h5.h"
#include "data/media.h"
#include "data/media_track.h"
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static tk_status write_file(FILE *f, const char *path, const uint8_t *rgb, int64_t height,
                            int64_t width)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    int ok = png_image_write_to_stdio(&image, f, 0, rgb, 0, NULL);
    if (!ok) {
        png_image_free(&image);
        return TK_FAIL(TK_IO, "cannot write %s: %s", path, image.message);
    }
    if (fflush(f) != 0) return TK_FAIL(TK_IO, "cannot write %s: %s", path, strerror(errno));
    return TK_OK;
}

tk_status tk_media_write_png(const char *path, const uint8_t *rgb, int64_t height, int64_t width)
{
    char tmp[4096];
    if (height < 1 || width < 1 || height > TK_MEDIA_MAX_SIDE || width > TK_MEDIA_MAX_SIDE)
        return TK_FAIL(TK_INPUT, "cannot write %s: %lld x %lld pixels are outside 1 to %d", path,
                       (long long)width, (long long)height, TK_MEDIA_MAX_SIDE);
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%ld", path, (long)getpid());
    if (n >= (int)sizeof tmp) return TK_FAIL(TK_INPUT, "the output path is too long: %s", path);
    FILE *f = fopen(tmp, "wb");
    if (!f) return TK_FAIL(TK_IO, "cannot write %s: %s", path, strerror(errno));
    tk_status st = write_file(f, path, rgb, height, width);
    if (fclose(f) != 0 && st == TK_OK)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", path, strerror(errno));
    if (st == TK_OK) st = tk_commit_file(tmp, path);
    if (st != TK_OK) {
        unlink(tmp);
        return tk_trace(st, __FILE__, __LINE__, __func__);
    }
    return TK_OK;
}
