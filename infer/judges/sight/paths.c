// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sight/paths.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

// ---- contacts ----------------------------------------------------------------------------------

static const double step_least = 0.03, fall_least = 0.2; // metres
static const double back_seconds = 0.25, apart_seconds = 0.12;

// How far the path has come down within a quarter of a second before frame i.
static double fallen(const tk_path *p, int64_t i)
{
    const int64_t back = (int64_t)ceil(back_seconds * p->fps);
    double top = p->y[i];
    for (int64_t k = i - 1; k >= 0 && k >= i - back && !isnan(p->y[k]); k--)
        if (p->y[k] > top) top = p->y[k];
    return top - p->y[i];
}

int tk_path_contacts(const tk_path *p, int room, int64_t *at)
{
    const double *y = p->y;
    const int64_t apart = (int64_t)ceil(apart_seconds * p->fps);
    int n = 0;
    for (int64_t i = 1; i + 1 < p->n && n < room; i++) {
        // In free fall each step down is longer than the one before.
        const double down = y[i - 1] - y[i];
        if (!(down >= step_least) || !(y[i] - y[i + 1] < 0.5 * down)) continue;
        if (fallen(p, i) > fall_least && (!n || i - at[n - 1] > apart)) at[n++] = i;
    }
    return n;
}

// ---- free flight -------------------------------------------------------------------------------

typedef struct parabola { // y = a + b t + c t^2, t in frames from the first
    double a, b, c;
} parabola;

static double determinant(double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

// Least squares over n >= 3 points at t = 0..n-1, by Cramer's rule.
static parabola fit_parabola(const double *y, int64_t n)
{
    double s[5] = {0}, q[3] = {0}, x[3];
    for (int64_t i = 0; i < n; i++) {
        double p = 1;
        for (int k = 0; k < 5; k++, p *= (double)i) {
            s[k] += p;
            if (k < 3) q[k] += p * y[i];
        }
    }
    double m[3][3] = {{s[0], s[1], s[2]}, {s[1], s[2], s[3]}, {s[2], s[3], s[4]}};
    const double all = determinant(m);
    for (int k = 0; k < 3; k++) {
        double w[3][3];
        memcpy(w, m, sizeof w);
        for (int r = 0; r < 3; r++) w[r][k] = q[r];
        x[k] = determinant(w) / all;
    }
    return (parabola){x[0], x[1], x[2]};
}

static double at_time(parabola p, double t)
{
    return p.a + p.b * t + p.c * t * t;
}

// The frame of a contact belongs to the flight before it, to the one after it, or to neither;
// frames [*begin, *end) are one flight for sure and take in their neighbours where these fit.
static void extend(const double *y, int64_t frames, int64_t *begin, int64_t *end)
{
    const double near = 0.05; // metres
    const parabola p = fit_parabola(y + *begin, *end - *begin);
    const int64_t first = *begin, last = *end;
    if (first > 0 && fabs(at_time(p, -1) - y[first - 1]) < near) *begin = first - 1;
    if (last < frames && fabs(at_time(p, (double)(last - first)) - y[last]) < near) *end = last + 1;
}

static double rise_of(const double *y, int64_t begin, int64_t end)
{
    double top = y[begin], low = y[begin];
    for (int64_t i = begin; i < end; i++) {
        top = fmax(top, y[i]);
        low = fmin(low, y[i]);
    }
    return top - low;
}

double tk_path_gravity(const tk_path *p)
{
    enum { ROOM = 64, LEAST = 4 };
    const double high = 0.35; // metres that a flight must fall or rise
    const double *y = p->y;
    int64_t contact[ROOM], longest = LEAST - 1;
    const int n = tk_path_contacts(p, ROOM, contact);
    double found = NAN;
    for (int k = 0; k <= n; k++) {
        int64_t begin = k ? contact[k - 1] + 1 : 0, end = k < n ? contact[k] : p->n;
        if (end - begin > 4 && end == p->n) end--; // the last contact may lie at the cut
        while (begin < end && isnan(y[begin])) begin++;
        for (int64_t i = begin; i < end; i++)
            if (isnan(y[i])) end = i;
        if (end - begin < 3) continue;
        extend(y, p->n, &begin, &end);
        if (end - begin <= longest || rise_of(y, begin, end) < high) continue;
        longest = end - begin;
        found = -2 * fit_parabola(y + begin, end - begin).c * p->fps * p->fps;
    }
    return found;
}

// ---- what comes of it --------------------------------------------------------------------------

double tk_path_restitution(const tk_path *p)
{
    enum { ROOM = 2 };
    const double *y = p->y;
    int64_t contact[ROOM], i;
    const int n = tk_path_contacts(p, ROOM, contact);
    if (n == 0) return NAN;
    const int64_t hit = contact[0], end = n > 1 ? contact[1] : p->n;
    double top = y[hit], floor = y[hit], rebound = -INFINITY;
    // It is nowhere lower than on the floor, which may be met between two frames.
    for (i = 0; i < p->n; i++) floor = fmin(floor, isnan(y[i]) ? floor : y[i]);
    for (i = hit; i >= 0 && !isnan(y[i]); i--) top = fmax(top, y[i]);
    const int64_t low = hit + 1 < p->n && y[hit + 1] < y[hit] ? hit + 1 : hit;
    for (i = low; i < end && !isnan(y[i]); i++) rebound = fmax(rebound, y[i]);
    // The top is seen where it comes down again, or lies still.
    if (i < low + 2 || y[i - 1] - y[i - 2] > step_least) return NAN;
    return top > floor ? sqrt(fmax(0, rebound - floor) / (top - floor)) : NAN;
}

double tk_path_settles(const tk_path *p)
{
    const int64_t few = (int64_t)ceil(0.25 * p->fps);
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = p->n - 1; i >= 0 && n < few; i--)
        if (!isnan(p->y[i])) sum += p->y[i], n++;
    return n ? sum / (double)n : NAN;
}

// Slope of least squares through the later half of what is seen, a second.
double tk_path_climbs(const tk_path *p)
{
    double n = 0, t = 0, y = 0, tt = 0, ty = 0;
    int64_t seen = 0, left;
    for (int64_t i = 0; i < p->n; i++) seen += !isnan(p->y[i]);
    if (seen < 4) return NAN;
    left = (seen + 1) / 2;
    for (int64_t i = p->n - 1; i >= 0 && left > 0; i--) {
        if (isnan(p->y[i])) continue;
        const double at = (double)i / p->fps;
        n += 1, t += at, y += p->y[i], tt += at * at, ty += at * p->y[i];
        left--;
    }
    return (n * ty - t * y) / (n * tt - t * t);
}

// ---- collisions --------------------------------------------------------------------------------

// Along x, a thing that is hit goes on two parabolas that meet at the blow.
enum { SIDE = 5, TERMS = 5 }; // frames on either side; place, then speed and its change on each
typedef struct kink {
    double before, after; // speeds at the blow, m/s
    double off;           // sum of squares of what is left
} kink;

// Sums of least squares of frame i, `s` seconds after the blow, into the normal equations m a = q.
static void add_place(double m[TERMS * TERMS], double q[TERMS], double s, double x)
{
    const int side = s < 0 ? 1 : 3;
    double row[TERMS] = {1};
    row[side] = s, row[side + 1] = 0.5 * s * s;
    for (int r = 0; r < TERMS; r++) {
        q[r] += row[r] * x;
        for (int c = 0; c < TERMS; c++) m[r * TERMS + c] += row[r] * row[c];
    }
}

static double kink_at(const double a[TERMS], double s)
{
    return a[0] + (s < 0 ? a[1] * s + 0.5 * a[2] * s * s : a[3] * s + 0.5 * a[4] * s * s);
}

// The frame after the last that counts for a blow near frame i: where it has come to rest, its way
// is no parabola any more.
static int64_t kink_end(const tk_path *p, int64_t i)
{
    const double rests = 0.01; // metres from frame to frame
    int64_t k = i + 2;
    while (k < p->n && k < i + SIDE && !(fabs(p->x[k] - p->x[k - 1]) < rests)) k++;
    return k < p->n ? k + 1 : p->n;
}

// Fits both parabolas to frames [first, end) for a blow at frame t; false where too few are seen.
// Places are known to a centimetre; friction changes speeds by some metres a second squared.
static bool fit_kink(const tk_path *p, int64_t first, int64_t end, double t, kink *out)
{
    const double stiff = pow(0.012 / 3, 2);
    double m[TERMS * TERMS] = {0}, a[TERMS] = {0};
    int before = 0, after = 0;
    for (int64_t i = first; i < end; i++) {
        if (isnan(p->x[i])) continue;
        add_place(m, a, ((double)i - t) / p->fps, p->x[i]);
        before += (double)i<t, after += (double)i> t;
    }
    if (before < 2 || after < 2) return false;
    m[2 * TERMS + 2] += stiff, m[4 * TERMS + 4] += stiff;
    if (LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', TERMS, 1, m, TERMS, a, 1)) return false;
    *out = (kink){.before = a[1], .after = a[3]};
    for (int64_t i = first; i < end; i++)
        if (!isnan(p->x[i])) out->off += pow(p->x[i] - kink_at(a, ((double)i - t) / p->fps), 2);
    return true;
}

// The blow is where both ways are explained best, near the frame in which the things meet.
bool tk_paths_collide(const tk_path *a, const tk_path *b, double reach, tk_collision *out)
{
    double least = INFINITY;
    int64_t i = 0;
    while (i < a->n && !(hypot(a->x[i] - b->x[i], a->y[i] - b->y[i]) < reach)) i++;
    out->at = i;
    const int64_t first = i > SIDE ? i - SIDE : 0;
    for (int k = -6; k <= 6 && i < a->n; k++) {
        const double t = (double)i + k / 4.0;
        kink u, v;
        if (!fit_kink(a, first, kink_end(a, i), t, &u) ||
            !fit_kink(b, first, kink_end(b, i), t, &v))
            continue;
        if (u.off + v.off >= least) continue;
        least = u.off + v.off;
        out->before[0] = u.before, out->before[1] = v.before;
        out->after[0] = u.after, out->after[1] = v.after;
    }
    return isfinite(least);
}
