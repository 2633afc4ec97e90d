// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/picture.h"
#include <math.h>
#include <stdlib.h>

enum { FINE = 256, BLACK = 16, WHITE = 235 };
// Steps of luma, root mean square: where nothing goes on, per mean difference of neighbours, at
// most; and of a picture.
static const float quiet = 1.3f, livelier = 0.3f, loud = 2.8f, most = 1.65f;

// ---- the tile ----------------------------------------------------------------------------------

static void draw_tile(const tk_mark_line line[TK_MARK_LINES], const int8_t sign[TK_MARK_SIGNS],
                      float *tile)
{
    float wave[FINE];
    const float each = sqrtf(2.0f / TK_MARK_LINES);
    for (int i = 0; i < FINE; i++) wave[i] = (float)cos(2 * M_PI * i / FINE);
    for (int i = 0; i < TK_MARK_LINES; i++) {
        const tk_mark_line *l = &line[i];
        float re = each * l->re, im = each * l->im;
        if (i >= TK_MARK_PILOTS) {
            const int8_t *s = sign + 2 * (i - TK_MARK_PILOTS);
            const float half = sqrtf(0.5f), a = half * s[0], b = half * s[1], r = re;
            re = r * a - im * b;
            im = r * b + im * a;
        }
        for (int y = 0; y < FINE; y++)
            for (int x = 0; x < FINE; x++) {
                const unsigned turn = (unsigned)(l->kx * x + l->ky * y);
                tile[y * FINE + x] +=
                    re * wave[turn % FINE] - im * wave[(turn + FINE - FINE / 4) % FINE];
            }
    }
}

tk_status tk_mark_picture_open(tk_mark_picture *m, tk_arena *a, tk_mark_key key,
                               tk_mark_message message, int64_t width, int64_t height, double fps,
                               double strength)
{
    tk_mark_line line[TK_MARK_LINES];
    int8_t sign[TK_MARK_SIGNS];
    const int64_t side = width < height ? width : height;
    *m = (tk_mark_picture){
        .width = width, .height = height, .fps = fps, .strength = (float)strength};
    m->block = side / 24 < 8 ? 8 : side / 24;
    m->blocks_x = (width + m->block - 1) / m->block;
    m->blocks_y = (height + m->block - 1) / m->block;
    TK_ARENA_NEW(m->tile, a, FINE * FINE);
    TK_ARENA_NEW(m->pattern, a, width * height);
    TK_ARENA_NEW(m->busy, a, m->blocks_x * m->blocks_y);
    TK_ARENA_NEW(m->at, a, width);
    TK_ARENA_NEW(m->part, a, width);
    tk_mark_lines(key, line);
    tk_mark_encode(message, sign);
    draw_tile(line, sign, m->tile);
    return TK_OK;
}

// ---- how busy ----------------------------------------------------------------------------------

// Amplitude by the mean difference of neighbours.
static float weigh_block(const uint8_t *luma, int64_t stride, int64_t wide, int64_t high)
{
    int64_t sum = 0, n = 0;
    for (int64_t y = 0; y + 1 < high; y++)
        for (int64_t x = 0; x + 1 < wide; x++) {
            const uint8_t *p = luma + y * stride + x;
            sum += abs(p[1] - p[0]) + abs(p[stride] - p[0]);
            n += 2;
        }
    const float mean = n ? (float)sum / (float)n : 0;
    return fminf(quiet + livelier * mean, loud);
}

static void weigh_blocks(const tk_mark_picture *m, const uint8_t *luma, int64_t stride)
{
    for (int64_t j = 0; j < m->blocks_y; j++)
        for (int64_t i = 0; i < m->blocks_x; i++) {
            const int64_t x = i * m->block, y = j * m->block;
            const int64_t wide = m->width - x < m->block ? m->width - x : m->block;
            const int64_t high = m->height - y < m->block ? m->height - y : m->block;
            m->busy[j * m->blocks_x + i] = weigh_block(luma + y * stride + x, stride, wide, high);
        }
}

// Where `at` pixels lie among the centres of n blocks: the one before, and how far behind it.
static int64_t between_middles(int64_t at, int64_t block, int64_t n, float *part)
{
    const float x = ((float)at + 0.5f) / (float)block - 0.5f;
    const int64_t i = x <= 0 ? 0 : (int64_t)x;
    if (i >= n - 1) {
        *part = 0;
        return n - 1;
    }
    *part = x <= 0 ? 0 : x - (float)i;
    return i;
}

static float busy_at(const tk_mark_picture *m, int64_t x, int64_t y)
{
    float px, py;
    const int64_t i = between_middles(x, m->block, m->blocks_x, &px);
    const int64_t j = between_middles(y, m->block, m->blocks_y, &py);
    const float *a = m->busy + j * m->blocks_x + i, *b = py > 0 ? a + m->blocks_x : a;
    const float up = px > 0 ? a[0] + px * (a[1] - a[0]) : a[0];
    const float down = px > 0 ? b[0] + px * (b[1] - b[0]) : b[0];
    return up + py * (down - up);
}

// ---- a picture ---------------------------------------------------------------------------------

// Where a pixel lies on the tile, in [0, FINE). Half a point back: the middle of a picture of
// TK_MARK_ROWS is then a point of the tile, as whoever looks for it places it.
static int on_tile(double pixel, int64_t side, double drift, float *part)
{
    const double points = pixel * TK_MARK_ROWS / (double)side - 0.5 + drift;
    double x = points * FINE / TK_MARK_TILE;
    x -= FINE * floor(x / FINE);
    const int i = (int)x;
    *part = (float)(x - i);
    return i % FINE;
}

// The weighted pattern of the frame; its mean square.
static double draw_pattern(tk_mark_picture *m, double seconds)
{
    const int64_t side = m->width < m->height ? m->width : m->height;
    double sum = 0;
    for (int64_t x = 0; x < m->width; x++)
        m->at[x] = on_tile((double)x + 0.5 - (double)m->width / 2, side, TK_MARK_DRIFT_X * seconds,
                           &m->part[x]);
    for (int64_t y = 0; y < m->height; y++) {
        float py;
        const int j =
            on_tile((double)y + 0.5 - (double)m->height / 2, side, TK_MARK_DRIFT_Y * seconds, &py);
        const float *a = m->tile + j * FINE, *b = m->tile + (j + 1) % FINE * FINE;
        float *row = m->pattern + y * m->width;
        double of_row = 0;
        for (int64_t x = 0; x < m->width; x++) {
            const int i = m->at[x], k = (i + 1) % FINE;
            const float px = m->part[x], up = a[i] + px * (a[k] - a[i]);
            const float down = b[i] + px * (b[k] - b[i]);
            row[x] = busy_at(m, x, y) * (up + py * (down - up));
            of_row += (double)(row[x] * row[x]);
        }
        sum += of_row;
    }
    return sum / (double)(m->width * m->height);
}

void tk_mark_picture_put(tk_mark_picture *m, uint8_t *luma, int64_t stride, int64_t frame)
{
    weigh_blocks(m, luma, stride);
    const double square = draw_pattern(m, (double)frame / m->fps);
    const float rms = (float)sqrt(square), full = rms > most ? most / rms : 1;
    const float scale = full * m->strength;
    for (int64_t y = 0; y < m->height; y++)
        for (int64_t x = 0; x < m->width; x++) {
            uint8_t *p = luma + y * stride + x;
            const float to = (float)*p + scale * m->pattern[y * m->width + x];
            const float low = *p < BLACK ? *p : BLACK, high = *p > WHITE ? *p : WHITE;
            *p = (uint8_t)lrintf(fminf(fmaxf(to, low), high));
        }
}
