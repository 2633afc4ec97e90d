// SPDX-License-Identifier: Apache-2.0
// Surfaces, colours, pictures and PNG files by cairo. See data/draw/draw.h; text is in text.c.
#include "data/draw/draw.h"
#include <errno.h>
#include <unistd.h>

void tk_draw_ink(cairo_t *cr, tk_ink ink)
{
    cairo_set_source_rgba(cr, ink.r / 255.0, ink.g / 255.0, ink.b / 255.0, (double)ink.alpha);
}

void tk_draw_fill(cairo_t *cr, double x, double y, double w, double h, tk_ink ink)
{
    tk_draw_ink(cr, ink);
    cairo_rectangle(cr, x, y, w, h);
    cairo_fill(cr);
}

cairo_t *tk_draw_new(int64_t width, int64_t height, tk_ink background)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    cairo_t *cr = cairo_create(surface);
    cairo_surface_destroy(surface); // cr holds it
    tk_draw_ink(cr, background);
    cairo_paint(cr);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    return cr;
}

void tk_draw_picture(cairo_t *cr, tk_box box, const uint8_t *rgb, int64_t height, int64_t width)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    const int64_t stride = cairo_image_surface_get_stride(s) / (int64_t)sizeof(uint32_t);
    uint32_t *to = (uint32_t *)(void *)cairo_image_surface_get_data(s); // NULL: s bears the failure
    for (int64_t v = 0; to && v < height; v++)
        for (int64_t u = 0; u < width; u++) {
            const uint8_t *p = rgb + (v * width + u) * 3;
            to[v * stride + u] = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        }
    cairo_surface_mark_dirty(s);
    cairo_save(cr);
    cairo_rectangle(cr, box.x, box.y, box.w, box.h);
    cairo_translate(cr, box.x, box.y);
    cairo_scale(cr, box.w / (double)width, box.h / (double)height);
    cairo_set_source_surface(cr, s, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_BEST);
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD); // no blending with nothing
    cairo_fill(cr);
    cairo_restore(cr);
    cairo_surface_destroy(s);
}

static cairo_status_t put_bytes(void *fd, const unsigned char *bytes, unsigned n)
{
    while (n) {
        const ssize_t done = write(*(const int *)fd, bytes, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 1) return CAIRO_STATUS_WRITE_ERROR;
        bytes += done;
        n -= (unsigned)done;
    }
    return CAIRO_STATUS_SUCCESS;
}

tk_status tk_draw_write(cairo_t *cr, const tk_file *f)
{
    int fd = f->fd;
    cairo_status_t s = cairo_status(cr);
    if (s == CAIRO_STATUS_SUCCESS)
        s = cairo_surface_write_to_png_stream(cairo_get_target(cr), put_bytes, &fd);
    if (s == CAIRO_STATUS_SUCCESS) return TK_OK;
    if (s == CAIRO_STATUS_WRITE_ERROR)
        return TK_FAIL(TK_IO, "cannot write %s: %s", f->path, tk_io_words(errno));
    return TK_FAIL(s == CAIRO_STATUS_NO_MEMORY ? TK_MEMORY : TK_INTERNAL, "cannot draw %s: %s",
                   f->path, cairo_status_to_string(s));
}
