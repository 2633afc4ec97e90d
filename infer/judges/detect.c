// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/detect.h"
#include <math.h>

// ---- colour ------------------------------------------------------------------------------------

static double hue_of(int r, int g, int b)
{
    const int high = r > g ? (r > b ? r : b) : (g > b ? g : b);
    const int low = r < g ? (r < b ? r : b) : (g < b ? g : b);
    const double c = high - low;
    if (c == 0) return 0;
    const double h = high == r   ? (double)(g - b) / c
                     : high == g ? 2 + (double)(b - r) / c
                                 : 4 + (double)(r - g) / c;
    return fmod(60 * h + 360, 360);
}

// How much a pixel is of an object rather than of the set, in [0, 1]: its chroma, beyond what the
// set has.
static float saturated(const uint8_t *p)
{
    const int high = p[0] > p[1] ? (p[0] > p[2] ? p[0] : p[2]) : (p[1] > p[2] ? p[1] : p[2]);
    const int low = p[0] < p[1] ? (p[0] < p[2] ? p[0] : p[2]) : (p[1] < p[2] ? p[1] : p[2]);
    const float chroma = (float)(high - low);
    if (chroma < 0.33f * (float)high) return 0;
    const float w = (chroma - 45) / 50;
    return w < 0 ? 0 : w > 1 ? 1 : w;
}

static const struct hue {
    const char *name;
    double degrees;
} hues[] = {{"red", 0},    {"yellow", 49}, {"green", 134},
            {"cyan", 185}, {"blue", 226},  {"pink", 319}};
enum { HUES = sizeof hues / sizeof hues[0], NEAR_HUE = 32 }; // degrees

// The one of `hues` that is nearest, -1 if none is near.
static int colour_of(const uint8_t *p)
{
    const double h = hue_of(p[0], p[1], p[2]);
    int best = -1;
    double least = NEAR_HUE;
    for (int c = 0; c < HUES; c++) {
        const double d = fabs(h - hues[c].degrees), turn = d > 180 ? 360 - d : d;
        if (turn < least) {
            least = turn;
            best = c;
        }
    }
    return best;
}

// ---- the object --------------------------------------------------------------------------------

// Area of an object over the square of the frame's shorter side: smallest and largest believed.
// The world's lie between 0.03 and 0.12.
static const double area_least = 0.012, area_most = 0.22;
static const double reach = 1.5;        // of the radius of a disk of that area: what belongs to it
static const double concentrated = 0.6; // part of the coloured pixels that lie within reach
static const double seen_least = 0.6;   // part of the frames in which it must be seen
// Mean of cos(4 * angle) weighted by radius^4: 0 for a disk, -0.43 for an upright square.
static const double square_below = -0.2;

typedef struct blob {
    double area, x, y, inside, square, weight;
    bool ok, cut; // cut: touches the frame's edge
} blob;

static void centre(const float *w, int64_t height, int64_t width, double radius, blob *b)
{
    double n = 0, sx = 0, sy = 0;
    for (int64_t j = 0; j < height; j++)
        for (int64_t i = 0; i < width; i++) {
            const double v = (double)w[j * width + i], x = (double)i + 0.5, y = (double)j + 0.5;
            if (v == 0 || hypot(x - b->x, y - b->y) > radius) continue;
            n += v, sx += v * x, sy += v * y;
        }
    b->inside = n;
    if (n > 0) b->x = sx / n, b->y = sy / n;
}

static void fit_ellipse(const float *w, int64_t height, int64_t width, double radius, blob *b)
{
    for (int64_t j = 0; j < height; j++)
        for (int64_t i = 0; i < width; i++) {
            const double v = (double)w[j * width + i];
            const double x = (double)i + 0.5 - b->x, y = (double)j + 0.5 - b->y;
            if (v == 0 || hypot(x, y) > radius) continue;
            b->cut |= v > 0.5 && (i == 0 || j == 0 || i == width - 1 || j == height - 1);
            b->square += v * (x * x * x * x - 6 * x * x * y * y + y * y * y * y);
            b->weight += v * (x * x + y * y) * (x * x + y * y);
        }
}

// The blob of weights w (height, width): its centre is found from the middle of all weight inwards.
static blob find_blob(const float *w, int64_t height, int64_t width)
{
    const double side = (double)(width < height ? width : height);
    blob b = {0};
    centre(w, height, width, INFINITY, &b);
    b.area = b.inside;
    if (b.area < area_least * side * side || b.area > area_most * side * side) return b;
    const double radius = sqrt(b.area / M_PI);
    static const double shrink[] = {4, 2.5, 1.8, 1.5, 1.5};
    for (int k = 0; k < 5; k++) centre(w, height, width, shrink[k] * radius, &b);
    b.ok = b.inside >= concentrated * b.area;
    if (b.ok) fit_ellipse(w, height, width, reach * sqrt(b.inside / M_PI), &b);
    return b;
}

static int commonest_colour(const uint8_t *rgb, int64_t pixels)
{
    double votes[HUES] = {0};
    int best = 0;
    for (int64_t i = 0; i < pixels; i++) {
        const float w = saturated(rgb + 3 * i);
        const int c = w > 0 ? colour_of(rgb + 3 * i) : -1;
        if (c >= 0) votes[c] += (double)w;
    }
    for (int c = 1; c < HUES; c++)
        if (votes[c] > votes[best]) best = c;
    return best;
}

tk_status tk_detect_object(const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                           tk_arena *a, tk_seen *out)
{
    const int64_t pixels = height * width;
    double square = 0, weight = 0;
    int64_t seen = 0;
    float *w;
    *out = (tk_seen){.frames = frames};
    TK_ARENA_NEW(out->x, a, frames);
    TK_ARENA_NEW(out->y, a, frames);
    TK_ARENA_NEW(w, a, pixels);
    const int colour = commonest_colour(rgb, frames * pixels);
    out->colour = hues[colour].name;
    for (int64_t f = 0; f < frames; f++) {
        const uint8_t *p = rgb + 3 * f * pixels;
        for (int64_t i = 0; i < pixels; i++, p += 3) {
            w[i] = saturated(p);
            if (w[i] > 0 && colour_of(p) != colour) w[i] = 0;
        }
        const blob b = find_blob(w, height, width);
        out->x[f] = b.ok ? b.x : NAN;
        out->y[f] = b.ok ? b.y : NAN;
        seen += b.ok;
        if (b.ok && !b.cut) square += b.square, weight += b.weight;
    }
    out->present = frames > 0 && (double)seen >= seen_least * (double)frames;
    out->kind = weight > 0 && square / weight < square_below ? "crate" : "ball";
    return TK_OK;
}
