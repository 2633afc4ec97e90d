// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/detect.h"
#include <math.h>
#include <string.h>

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

// ---- motion ------------------------------------------------------------------------------------

static const double GRAVITY = 9.81; // m/s^2

int tk_detect_contacts(const double *y, int64_t frames, double fps, double per_metre, int room,
                       int64_t *at)
{
    const double step = 0.03 * per_metre, fall = 0.2 * per_metre; // pixels
    const int64_t back = (int64_t)ceil(0.25 * fps), apart = (int64_t)ceil(0.12 * fps);
    int n = 0;
    for (int64_t i = 1; i + 1 < frames && n < room; i++) {
        // In free fall each step down is longer than the one before.
        if (!(y[i] - y[i - 1] >= step) || !(y[i + 1] - y[i] < 0.5 * (y[i] - y[i - 1]))) continue;
        double top = y[i];
        for (int64_t k = i - 1; k >= 0 && k >= i - back && !isnan(y[k]); k--)
            if (y[k] < top) top = y[k];
        if (y[i] - top > fall && (!n || i - at[n - 1] > apart)) at[n++] = i;
    }
    return n;
}

typedef struct parabola { // y = a + b t + c t^2, t in frames from the first
    double a, b, c;
} parabola;

// Least squares over n >= 3 points at t = 0..n-1.
static parabola fit_parabola(const double *y, int64_t n)
{
    double s[5] = {0}, q[3] = {0};
    for (int64_t i = 0; i < n; i++) {
        double p = 1;
        for (int k = 0; k < 5; k++, p *= (double)i) {
            s[k] += p;
            if (k < 3) q[k] += p * y[i];
        }
    }
    const double m[3][3] = {{s[0], s[1], s[2]}, {s[1], s[2], s[3]}, {s[2], s[3], s[4]}};
    double x[3];
    const double det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                       m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                       m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    for (int k = 0; k < 3; k++) { // Cramer
        double w[3][3];
        memcpy(w, m, sizeof w);
        for (int r = 0; r < 3; r++) w[r][k] = q[r];
        x[k] = (w[0][0] * (w[1][1] * w[2][2] - w[1][2] * w[2][1]) -
                w[0][1] * (w[1][0] * w[2][2] - w[1][2] * w[2][0]) +
                w[0][2] * (w[1][0] * w[2][1] - w[1][1] * w[2][0])) /
               det;
    }
    return (parabola){x[0], x[1], x[2]};
}

static double at_time(parabola p, double t)
{
    return p.a + p.b * t + p.c * t * t;
}

// The frame of a contact belongs to the flight before it, to the one after it, or to neither;
// frames [*begin, *end) are one flight for sure and take in their neighbours where these fit.
static void extend(const double *y, int64_t frames, double near, int64_t *begin, int64_t *end)
{
    const parabola p = fit_parabola(y + *begin, *end - *begin);
    const int64_t first = *begin, last = *end;
    if (first > 0 && fabs(at_time(p, -1) - y[first - 1]) < near) *begin = first - 1;
    if (last < frames && fabs(at_time(p, (double)(last - first)) - y[last]) < near) *end = last + 1;
}

double tk_detect_gravity(const double *y, int64_t frames, double fps, double per_metre)
{
    enum { ROOM = 64, LEAST = 4 };
    const double high = 0.35 * per_metre, near = 0.05 * per_metre;
    int64_t contact[ROOM + 1], longest = LEAST - 1;
    const int n = tk_detect_contacts(y, frames, fps, per_metre, ROOM, contact);
    double found = NAN;
    for (int k = 0; k <= n; k++) {
        int64_t begin = k ? contact[k - 1] + 1 : 0, end = k < n ? contact[k] : frames;
        if (end - begin > 4 && end == frames) end--; // the last contact may lie at the cut
        while (begin < end && isnan(y[begin])) begin++;
        for (int64_t i = begin; i < end; i++)
            if (isnan(y[i])) end = i;
        if (end - begin < 3) continue;
        extend(y, frames, near, &begin, &end);
        double top = y[begin], low = y[begin];
        for (int64_t i = begin; i < end; i++) {
            if (y[i] < top) top = y[i];
            if (y[i] > low) low = y[i];
        }
        if (end - begin <= longest || low - top < high) continue;
        longest = end - begin;
        found = 2 * fit_parabola(y + begin, end - begin).c * fps * fps / (GRAVITY * per_metre);
    }
    return found;
}
