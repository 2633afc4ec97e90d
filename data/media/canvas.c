// SPDX-License-Identifier: Apache-2.0
// A picture to draw on: see data/media/canvas.h.
//
// The typeface is a 5 x 7 dot table drawn as strokes: neighbouring dots are joined by round-ended
// lines, so that letters are smooth at every size and no font file is needed.
#include "data/media/canvas.h"
#include <libswscale/swscale.h>
#include <math.h>
#include <string.h>

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 7 };

// Printable ASCII from 32 to 126: seven rows of five dots, leftmost dot in bit 4.
static const uint8_t glyphs[95][GLYPH_HEIGHT] = {
    {0, 0, 0, 0, 0, 0, 0},        // space
    {4, 4, 4, 4, 4, 0, 4},        // !
    {10, 10, 0, 0, 0, 0, 0},      // "
    {10, 10, 31, 10, 31, 10, 10}, // #
    {4, 15, 20, 14, 5, 30, 4},    // $
    {24, 25, 2, 4, 8, 19, 3},     // %
    {12, 18, 20, 8, 21, 18, 13},  // &
    {4, 4, 0, 0, 0, 0, 0},        // '
    {2, 4, 8, 8, 8, 4, 2},        // (
    {8, 4, 2, 2, 2, 4, 8},        // )
    {0, 4, 21, 14, 21, 4, 0},     // *
    {0, 4, 4, 31, 4, 4, 0},       // +
    {0, 0, 0, 0, 0, 4, 8},        // ,
    {0, 0, 0, 14, 0, 0, 0},       // -
    {0, 0, 0, 0, 0, 0, 4},        // .
    {1, 1, 2, 4, 8, 16, 16},      // /
    {14, 17, 17, 17, 17, 17, 14}, // 0
    {4, 12, 4, 4, 4, 4, 14},      // 1
    {14, 17, 1, 2, 4, 8, 31},     // 2
    {14, 17, 1, 6, 1, 17, 14},    // 3
    {2, 6, 10, 18, 31, 2, 2},     // 4
    {31, 16, 30, 1, 1, 17, 14},   // 5
    {6, 8, 16, 30, 17, 17, 14},   // 6
    {31, 1, 2, 4, 4, 4, 4},       // 7
    {14, 17, 17, 14, 17, 17, 14}, // 8
    {14, 17, 17, 15, 1, 2, 12},   // 9
    {0, 0, 4, 0, 0, 4, 0},        // :
    {0, 0, 4, 0, 0, 4, 8},        // ;
    {0, 2, 4, 8, 4, 2, 0},        // <
    {0, 0, 14, 0, 14, 0, 0},      // =
    {0, 8, 4, 2, 4, 8, 0},        // >
    {14, 17, 1, 2, 4, 0, 4},      // ?
    {14, 17, 23, 21, 23, 16, 14}, // @
    {4, 10, 17, 17, 31, 17, 17},  // A
    {30, 17, 17, 30, 17, 17, 30}, // B
    {14, 17, 16, 16, 16, 17, 14}, // C
    {30, 17, 17, 17, 17, 17, 30}, // D
    {31, 16, 16, 30, 16, 16, 31}, // E
    {31, 16, 16, 30, 16, 16, 16}, // F
    {14, 17, 16, 19, 17, 17, 14}, // G
    {17, 17, 17, 31, 17, 17, 17}, // H
    {14, 4, 4, 4, 4, 4, 14},      // I
    {1, 1, 1, 1, 17, 17, 14},     // J
    {17, 18, 20, 24, 20, 18, 17}, // K
    {16, 16, 16, 16, 16, 16, 31}, // L
    {17, 27, 21, 21, 17, 17, 17}, // M
    {17, 17, 25, 21, 19, 17, 17}, // N
    {14, 17, 17, 17, 17, 17, 14}, // O
    {30, 17, 17, 30, 16, 16, 16}, // P
    {14, 17, 17, 17, 21, 18, 13}, // Q
    {30, 17, 17, 30, 20, 18, 17}, // R
    {15, 16, 16, 14, 1, 1, 30},   // S
    {31, 4, 4, 4, 4, 4, 4},       // T
    {17, 17, 17, 17, 17, 17, 14}, // U
    {17, 17, 17, 17, 17, 10, 4},  // V
    {17, 17, 17, 21, 21, 21, 10}, // W
    {17, 17, 10, 4, 10, 17, 17},  // X
    {17, 17, 10, 4, 4, 4, 4},     // Y
    {31, 1, 2, 4, 8, 16, 31},     // Z
    {14, 8, 8, 8, 8, 8, 14},      // [
    {16, 16, 8, 4, 2, 1, 1},      // backslash
    {14, 2, 2, 2, 2, 2, 14},      // ]
    {4, 10, 17, 0, 0, 0, 0},      // ^
    {0, 0, 0, 0, 0, 0, 31},       // _
    {8, 4, 0, 0, 0, 0, 0},        // `
    {0, 0, 14, 1, 15, 17, 15},    // a
    {16, 16, 30, 17, 17, 17, 30}, // b
    {0, 0, 14, 17, 16, 17, 14},   // c
    {1, 1, 15, 17, 17, 17, 15},   // d
    {0, 0, 14, 17, 31, 16, 14},   // e
    {6, 8, 28, 8, 8, 8, 8},       // f
    {15, 17, 17, 17, 15, 1, 14},  // g
    {16, 16, 30, 17, 17, 17, 17}, // h
    {4, 0, 4, 4, 4, 4, 4},        // i
    {2, 0, 2, 2, 2, 18, 12},      // j
    {16, 16, 18, 20, 24, 20, 18}, // k
    {4, 4, 4, 4, 4, 4, 4},        // l
    {0, 0, 26, 21, 21, 21, 21},   // m
    {0, 0, 30, 17, 17, 17, 17},   // n
    {0, 0, 14, 17, 17, 17, 14},   // o
    {30, 17, 17, 17, 30, 16, 16}, // p
    {15, 17, 17, 17, 15, 1, 1},   // q
    {0, 0, 22, 24, 16, 16, 16},   // r
    {0, 0, 15, 16, 14, 1, 30},    // s
    {8, 8, 28, 8, 8, 8, 6},       // t
    {0, 0, 17, 17, 17, 17, 15},   // u
    {0, 0, 17, 17, 17, 10, 4},    // v
    {0, 0, 17, 17, 21, 21, 10},   // w
    {0, 0, 17, 10, 4, 10, 17},    // x
    {17, 17, 17, 17, 15, 1, 14},  // y
    {0, 0, 31, 2, 4, 8, 31},      // z
    {2, 4, 4, 8, 4, 4, 2},        // {
    {4, 4, 4, 4, 4, 4, 4},        // |
    {8, 4, 4, 2, 4, 4, 8},        // }
    {0, 0, 8, 21, 2, 0, 0},       // ~
};
static const uint8_t unknown_glyph[GLYPH_HEIGHT] = {0, 31, 17, 17, 17, 31, 0};

tk_status tk_canvas_init(tk_canvas *c, int64_t width, int64_t height, tk_ink background)
{
    *c = (tk_canvas){.width = width, .height = height};
    int64_t pixels;
    TK_TRY(tk_mul_size(width, height, &pixels));
    TK_NEW(c->rgb, pixels * 3);
    TK_NEW(c->mask, pixels);
    background.alpha = 1;
    tk_canvas_fill(c, 0, 0, (double)width, (double)height, background);
    return TK_OK;
}

void tk_canvas_free(tk_canvas *c)
{
    tk_free(c->rgb);
    tk_free(c->mask);
    c->rgb = c->mask = NULL;
}

static void blend(tk_canvas *c, int64_t x, int64_t y, tk_ink ink, double cover)
{
    uint8_t *p = c->rgb + (y * c->width + x) * 3;
    const uint8_t to[3] = {ink.r, ink.g, ink.b};
    const double a = cover * (double)ink.alpha;
    for (int i = 0; i < 3; i++) p[i] = (uint8_t)lrint(p[i] + (to[i] - p[i]) * a);
}

static double overlap(double a0, double a1, double b0, double b1)
{
    return fmax(0, fmin(a1, b1) - fmax(a0, b0));
}

// Whole pixels that [from, to] touches, within [0, end).
static void pixels_of(double from, double to, int64_t end, int64_t *first, int64_t *last)
{
    *first = (int64_t)fmin(fmax(floor(from), 0), (double)end);
    *last = (int64_t)fmin(fmax(ceil(to), 0), (double)end);
}

void tk_canvas_fill(tk_canvas *c, double x, double y, double w, double h, tk_ink ink)
{
    int64_t x0, x1, y0, y1;
    pixels_of(x, x + w, c->width, &x0, &x1);
    pixels_of(y, y + h, c->height, &y0, &y1);
    for (int64_t v = y0; v < y1; v++) {
        double high = overlap(y, y + h, (double)v, (double)v + 1);
        for (int64_t u = x0; u < x1; u++)
            blend(c, u, v, ink, high * overlap(x, x + w, (double)u, (double)u + 1));
    }
}

// Distance from a point to a segment.
static double distance(double px, double py, double x0, double y0, double x1, double y1)
{
    double dx = x1 - x0, dy = y1 - y0, l = dx * dx + dy * dy;
    double t = l > 0 ? fmin(1, fmax(0, ((px - x0) * dx + (py - y0) * dy) / l)) : 0;
    return hypot(px - (x0 + t * dx), py - (y0 + t * dy));
}

void tk_canvas_stroke(tk_canvas *c, double x0, double y0, double x1, double y1, double thickness)
{
    const double r = thickness / 2, pad = r + 1;
    int64_t u0, u1, v0, v1;
    pixels_of(fmin(x0, x1) - pad, fmax(x0, x1) + pad, c->width, &u0, &u1);
    pixels_of(fmin(y0, y1) - pad, fmax(y0, y1) + pad, c->height, &v0, &v1);
    for (int64_t v = v0; v < v1; v++)
        for (int64_t u = u0; u < u1; u++) {
            double d = distance((double)u + 0.5, (double)v + 0.5, x0, y0, x1, y1);
            uint8_t cover = (uint8_t)lrint(255 * fmin(1, fmax(0, r + 0.5 - d)));
            uint8_t *p = &c->mask[v * c->width + u];
            if (cover > *p) *p = cover;
        }
    const bool clean = c->x0 >= c->x1;
    c->x0 = clean || u0 < c->x0 ? u0 : c->x0;
    c->y0 = clean || v0 < c->y0 ? v0 : c->y0;
    c->x1 = clean || u1 > c->x1 ? u1 : c->x1;
    c->y1 = clean || v1 > c->y1 ? v1 : c->y1;
}

void tk_canvas_ink(tk_canvas *c, tk_ink ink)
{
    for (int64_t v = c->y0; v < c->y1; v++)
        for (int64_t u = c->x0; u < c->x1; u++) {
            uint8_t *p = &c->mask[v * c->width + u];
            if (*p) blend(c, u, v, ink, *p / 255.0);
            *p = 0;
        }
    c->x0 = c->x1 = c->y0 = c->y1 = 0;
}

void tk_canvas_dashed(tk_canvas *c, double x, double y0, double y1, double thickness, tk_ink ink)
{
    const double dash = 5, space = 4;
    for (double y = y0; y < y1; y += dash + space)
        tk_canvas_fill(c, x - thickness / 2, y, thickness, fmin(dash, y1 - y), ink);
}

tk_status tk_canvas_picture(tk_canvas *c, int64_t x, int64_t y, int64_t w, int64_t h,
                            const uint8_t *rgb, int64_t height, int64_t width)
{
    tk_assert(x >= 0 && y >= 0 && x + w <= c->width && y + h <= c->height);
    uint8_t *scaled; // swscale may write past the end of a row, so not into the canvas
    const int64_t stride = (w * 3 + 63) / 64 * 64;
    TK_NEW(scaled, stride * h + 64);
    struct SwsContext *sws = sws_getContext(
        (int)width, (int)height, AV_PIX_FMT_RGB24, (int)w, (int)h, AV_PIX_FMT_RGB24,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!sws) {
        tk_free(scaled);
        return TK_FAIL(TK_MEMORY, "cannot scale a picture of %lld x %lld", (long long)width,
                       (long long)height);
    }
    const uint8_t *from[4] = {rgb};
    uint8_t *to[4] = {scaled};
    sws_scale(sws, from, (int[4]){(int)width * 3}, 0, (int)height, to, (int[4]){(int)stride});
    for (int64_t v = 0; v < h; v++)
        memcpy(c->rgb + ((y + v) * c->width + x) * 3, scaled + v * stride, (size_t)w * 3);
    sws_freeContext(sws);
    tk_free(scaled);
    return TK_OK;
}

// Glyph of the character at *text, which moves on to the next one.
static const uint8_t *next_glyph(const char **text)
{
    const unsigned char ch = (unsigned char)*(*text)++;
    if (ch >= 32 && ch < 127) return glyphs[ch - 32];
    if (ch < 32) return glyphs[0];
    while (((unsigned char)**text & 0xC0) == 0x80) ++*text; // the rest of a UTF-8 character
    return unknown_glyph;
}

static bool dot(const uint8_t *g, int x, int y)
{
    return x >= 0 && y >= 0 && x < GLYPH_WIDTH && y < GLYPH_HEIGHT &&
           g[y] >> (GLYPH_WIDTH - 1 - x) & 1;
}

// Rows by which a glyph of the table hangs lower than it is stored.
static int descent(const uint8_t *g)
{
    const int64_t at = g - glyphs[0];
    if (at < 0 || at >= (int64_t)sizeof glyphs) return 0;
    switch ((int)(at / GLYPH_HEIGHT) + 32) {
    case 'g':
    case 'p':
    case 'q':
    case 'y':
        return 2;
    case 'j':
    case ',':
    case ';':
        return 1;
    default:
        return 0;
    }
}

// First column of a glyph and columns it takes; digits are all alike, so that figures line up.
static int extent(const uint8_t *g, int *first)
{
    uint8_t any = 0;
    for (int v = 0; v < GLYPH_HEIGHT; v++) any |= g[v];
    *first = 0;
    if (!any) return 3;
    if (g >= glyphs['0' - 32] && g <= glyphs['9' - 32]) return GLYPH_WIDTH;
    int last = GLYPH_WIDTH - 1;
    while (!(any >> (GLYPH_WIDTH - 1 - *first) & 1)) ++*first;
    while (!(any >> (GLYPH_WIDTH - 1 - last) & 1)) last--;
    return last - *first + 1;
}

static double advance(double size, const uint8_t *g)
{
    int first;
    return (extent(g, &first) + 1.25) * size / GLYPH_HEIGHT;
}

static void draw_glyph(tk_canvas *c, double x, double y, double size, const uint8_t *g)
{
    const double unit = size / GLYPH_HEIGHT, thickness = fmax(1.2, unit);
    static const int step[4][2] = {{1, 0}, {0, 1}, {1, 1}, {-1, 1}};
    int first;
    extent(g, &first);
    for (int v = 0; v < GLYPH_HEIGHT; v++)
        for (int u = 0; u < GLYPH_WIDTH; u++) {
            if (!dot(g, u, v)) continue;
            const double px = x + (u - first + 0.5) * unit, py = y + (v + descent(g) + 0.5) * unit;
            tk_canvas_stroke(c, px, py, px, py, thickness);
            for (int i = 0; i < 4; i++) {
                const int a = step[i][0], b = step[i][1];
                if (!dot(g, u + a, v + b)) continue;
                if (i > 1 && (dot(g, u + a, v) || dot(g, u, v + b))) continue; // a corner, no slope
                tk_canvas_stroke(c, px, py, px + a * unit, py + b * unit, thickness);
            }
        }
}

double tk_text_width(double size, const char *text)
{
    double w = 0;
    while (*text) w += advance(size, next_glyph(&text));
    return w;
}

void tk_canvas_text(tk_canvas *c, double x, double y, double size, int align, tk_ink ink,
                    const char *text)
{
    double w = tk_text_width(size, text) - size / GLYPH_HEIGHT;
    x -= align < 0 ? w : align == 0 ? w / 2 : 0;
    while (*text) {
        const uint8_t *g = next_glyph(&text);
        draw_glyph(c, x, y, size, g);
        tk_canvas_ink(c, ink);
        x += advance(size, g);
    }
}

size_t tk_text_fit(double size, double width, const char *text)
{
    const char *p = text, *word = NULL;
    double x = 0;
    while (*p) {
        if (*p == ' ') word = p;
        const char *before = p;
        x += advance(size, next_glyph(&p));
        if (x - size / GLYPH_HEIGHT > width)
            return (size_t)((word && word > text ? word : before > text ? before : p) - text);
    }
    return (size_t)(p - text);
}
