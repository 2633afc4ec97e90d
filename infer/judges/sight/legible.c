// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sight/legible.h"
#include <stdlib.h>
#include <string.h>

enum {
    HIGH = 512,          // pixels: lower pictures are made so high at least,
    TIMES_MOST = 8,      // ... by at most so much,
    LARGE = 3 << 20,     // ... and to no more of them if they are higher
    FAINT = 16,          // of 255: what stands out by less is taken to be noise
    STROKES_SHARE = 500, // one pixel of so many stands out at full
    NEAR = 40,           // of 255: what differs from a grey by this is white
    SEEN_SHARE = 1000    // less than one pixel of so many near a grey is nothing
};

typedef enum side { AS_IT_IS, BRIGHTER, DARKER, NEAR_GREY } side;
typedef enum tone { LIGHT, RED, BLUE } tone;

// By: a radius, in pixels of the picture, strokes being at most twice as wide; which grey.
static const struct {
    tone tone;
    side side;
    int by;
} ways[TK_LEGIBLE_WAYS] = {
    {LIGHT, AS_IT_IS, 0},    {LIGHT, BRIGHTER, 2},    {LIGHT, DARKER, 2},
    {LIGHT, BRIGHTER, 6},    {LIGHT, DARKER, 6},      {RED, BRIGHTER, 4},
    {RED, DARKER, 4},        {BLUE, BRIGHTER, 4},     {BLUE, DARKER, 4},
    {LIGHT, NEAR_GREY, 255}, {LIGHT, NEAR_GREY, 230}, {LIGHT, NEAR_GREY, 205},
    {LIGHT, NEAR_GREY, 180}, {LIGHT, NEAR_GREY, 155}, {LIGHT, NEAR_GREY, 130},
    {LIGHT, NEAR_GREY, 105}, {LIGHT, NEAR_GREY, 80},  {LIGHT, NEAR_GREY, 55},
    {LIGHT, NEAR_GREY, 30},  {LIGHT, NEAR_GREY, 5},
};

// Light as BT.709 weighs it; red and blue as far as they are not in it.
static void take_tone(const uint8_t *rgb, int64_t n, tone t, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        const int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
        const int light = (54 * r + 183 * g + 19 * b + 128) >> 8;
        out[i] = (uint8_t)(t == LIGHT ? light : (255 + (t == RED ? r : b) - light) / 2);
    }
}

// The least (most: greatest) of the n values that lie within `radius` of each along a line, whose
// values lie `step` apart.
static void reach_line(const uint8_t *in, uint8_t *out, int64_t n, int64_t step, int radius,
                       bool most)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = i < radius ? 0 : i - radius, to = i + radius < n ? i + radius : n - 1;
        uint8_t best = in[from * step];
        for (int64_t k = from + 1; k <= to; k++) {
            const uint8_t v = in[k * step];
            if (most ? v > best : v < best) best = v;
        }
        out[i * step] = best;
    }
}

static void reach(const uint8_t *in, uint8_t *between, uint8_t *out, const tk_legible *s,
                  int radius, bool most)
{
    for (int64_t y = 0; y < s->height; y++)
        reach_line(in + y * s->width, between + y * s->width, s->width, 1, radius, most);
    for (int64_t x = 0; x < s->width; x++)
        reach_line(between + x, out + x, s->height, s->width, radius, most);
}

// What stands out, black on white, so that the strongest of it is black. Whether anything does.
static bool show_strokes(uint8_t *grey, const uint8_t *around, int64_t n, side s)
{
    int64_t of[256] = {0}, above = 0;
    int full = 255;
    for (int64_t i = 0; i < n; i++) {
        const int by = s == BRIGHTER ? grey[i] - around[i] : around[i] - grey[i];
        grey[i] = (uint8_t)by;
        of[by]++;
    }
    while (full > 0 && (above += of[full]) <= n / STROKES_SHARE) full--;
    for (int64_t i = 0; i < n && full >= FAINT; i++) {
        const int by = grey[i] * 255 / full;
        grey[i] = (uint8_t)(255 - (by < 255 ? by : 255));
    }
    return full >= FAINT;
}

static tk_status stand_out(tk_legible *s, side which, int radius, tk_arena *a)
{
    const int64_t n = s->height * s->width;
    uint8_t *one, *between, *around;
    TK_ARENA_NEW(one, a, n);
    TK_ARENA_NEW(between, a, n);
    TK_ARENA_NEW(around, a, n);
    reach(s->grey, between, one, s, radius, which == DARKER);
    reach(one, between, around, s, radius, which == BRIGHTER);
    if (!show_strokes(s->grey, around, n, which)) s->grey = NULL;
    return TK_OK;
}

// What is near a grey in all of its channels, black on white. Whether enough is.
static bool show_near(const uint8_t *rgb, int64_t n, int grey, uint8_t *out)
{
    int64_t near = 0;
    for (int64_t i = 0; i < n; i++) {
        int off = 0;
        for (int c = 0; c < 3; c++) {
            const int by = abs(rgb[3 * i + c] - grey);
            if (by > off) off = by;
        }
        near += 2 * off < NEAR;
        out[i] = (uint8_t)(off < NEAR ? off * 255 / NEAR : 255);
    }
    return near * SEEN_SHARE > n;
}

static int64_t times_of(int64_t height, int64_t width)
{
    int64_t k = (HIGH + height - 1) / height;
    if (k > TIMES_MOST) k = TIMES_MOST;
    if (k < 2) k = 4 * height * width <= LARGE ? 2 : 1;
    while (k > 1 && k * height * k * width > 4 * LARGE) k--;
    return k;
}

// Where a value of k times as many lies among n: the one before, and how far behind it, of 256.
static void place_between(int64_t i, int64_t k, int64_t n, int64_t *before, int *behind)
{
    int64_t at = (256 * (2 * i + 1) / (2 * k)) - 128;
    if (at < 0) at = 0;
    if (at > 256 * (n - 1)) at = 256 * (n - 1);
    *before = at / 256;
    *behind = (int)(at % 256);
}

// k times as high and wide, by straight lines between pixels.
static tk_status enlarge(tk_legible *s, int64_t k, tk_arena *a)
{
    const int64_t high = s->height * k, wide = s->width * k;
    uint8_t *out;
    if (k == 1) return TK_OK;
    TK_ARENA_NEW(out, a, high * wide);
    for (int64_t y = 0; y < high; y++) {
        int64_t up, left;
        int below, beside;
        place_between(y, k, s->height, &up, &below);
        const uint8_t *p = s->grey + up * s->width, *q = below ? p + s->width : p;
        for (int64_t x = 0; x < wide; x++) {
            place_between(x, k, s->width, &left, &beside);
            const int64_t right = beside ? left + 1 : left;
            const int above = p[left] * (256 - beside) + p[right] * beside;
            const int under = q[left] * (256 - beside) + q[right] * beside;
            out[y * wide + x] = (uint8_t)((above * (256 - below) + under * below + 32768) >> 16);
        }
    }
    *s = (tk_legible){out, high, wide};
    return TK_OK;
}

tk_status tk_legible_make(const uint8_t *rgb, int64_t height, int64_t width, int way, tk_arena *a,
                          tk_legible *out)
{
    const side s = ways[way].side;
    *out = (tk_legible){.height = height, .width = width};
    TK_ARENA_NEW(out->grey, a, height * width);
    if (s != NEAR_GREY) take_tone(rgb, height * width, ways[way].tone, out->grey);
    if (s == BRIGHTER || s == DARKER) TK_TRY(stand_out(out, s, ways[way].by, a));
    if (s == NEAR_GREY && !show_near(rgb, height * width, ways[way].by, out->grey))
        out->grey = NULL;
    return out->grey ? enlarge(out, times_of(height, width), a) : TK_OK;
}
