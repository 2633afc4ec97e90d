// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/look.h"
#include <kiss_fftnd.h>
#include <kiss_fftr.h>
#include <math.h>
#include <string.h>

enum {
    SCALES = 86,
    SMALLER = 44, // of them are those below 1
    BLOCK = 25,   // pictures whose sums are kept as one: within them no speed is told from another
    BLOCKS = 24,  // of a window
    WAYS = 2,     // to look at a picture: what it shows, and what changed since the one before
    VIEWS = 8,    // of a picture: upright, turned, mirrored
    OF_VIEW = SCALES * TK_MARK_LINES,
    OF_BLOCK = VIEWS * WAYS * OF_VIEW,
    RINGS = TK_MARK_TURN + 1,
    PLANE = TK_MARK_TILE
};
static const double scale_step = 1.014, most_speed = 0.12;
static const double upright_share = 0.9; // of false alarms; all other views have the rest

// A wave of the mark, (kx, ky), is in such a picture's transform at (x[0] kx + x[1] ky, y[0] kx +
// y[1] ky). Views are in pairs of opposite waves: where one has a number the other has its
// conjugate, since pictures are real.
static const struct view {
    int x[2], y[2];
    bool mirrored;
    int turned;
} view[VIEWS] = {{{1, 0}, {0, 1}, false, 0},   {{-1, 0}, {0, -1}, false, 180},
                 {{-1, 0}, {0, 1}, true, 0},   {{1, 0}, {0, -1}, true, 180},
                 {{0, -1}, {1, 0}, false, 90}, {{0, 1}, {-1, 0}, false, 270},
                 {{0, -1}, {-1, 0}, true, 90}, {{0, 1}, {1, 0}, true, 270}};

typedef struct look_up {   // of the transform, between four of its points
    int at[4], against[4]; // at the line's frequency; at the opposite one
    float weight[4];
} look_up;

struct tk_mark_look {
    int64_t wide, high, pad_wide, pad_high;
    tk_mark_line line[TK_MARK_LINES];
    double drift[TK_MARK_LINES];    // of waves: turns a second by which the tile's drift takes them
    look_up *where;                 // (VIEWS / 2, SCALES, LINES), by wave, of each first of a pair
    kiss_fftnd_cfg whole;           // transform of a picture
    kiss_fft_cfg row;               // of the plane's rows,
    kiss_fftr_cfg column;           // and its columns, of which the real part is wanted
    float *luma, *before;           // (high, wide) as shown, now and before
    float *field_of, *flat;         // (high, wide)
    double *sums;                   // ((high + 1), (wide + 1))
    kiss_fft_cpx *field, *spectrum; // (pad_high, pad_wide); re: what it shows, im: what changed
    kiss_fft_cpx *block;            // (BLOCKS, VIEWS, WAYS, SCALES, LINES), by wave
    int64_t pictures;               // of the window
    bool begun;                     // there is a picture before
    float soft[TK_MARK_SIGNS];      // of all windows
    tk_mark_found upright, others;  // views: the best of each
};

// ---- opening -----------------------------------------------------------------------------------

void tk_mark_look_size(int64_t width, int64_t height, int64_t *wide, int64_t *high)
{
    const double k = (double)TK_MARK_ROWS / (double)(width < height ? width : height);
    const double most = 4 * TK_MARK_ROWS;
    *wide = (int64_t)rint(fmin((double)width * k, most));
    *high = (int64_t)rint(fmin((double)height * k, most));
}

// Twice as long, of factors 2, 3 and 5.
static int64_t padded(int64_t n)
{
    for (int64_t m = 2 * n;; m++) {
        int64_t rest = m;
        for (int p = 2; p <= 5; p++)
            while (rest % p == 0) rest /= p;
        if (rest == 1) return m;
    }
}

// Bilinear, of frequencies kx and ky turns per tile of `side` points.
static look_up look_up_at(const tk_mark_look *l, const struct view *of, const tk_mark_line *k,
                          double side)
{
    const double u = (of->x[0] * k->kx + of->x[1] * k->ky) * (double)l->pad_wide / side;
    const double v = (of->y[0] * k->kx + of->y[1] * k->ky) * (double)l->pad_high / side;
    const int64_t x = (int64_t)floor(u), y = (int64_t)floor(v);
    const float px = (float)(u - floor(u)), py = (float)(v - floor(v));
    look_up out;
    for (int i = 0; i < 4; i++) {
        const int64_t cx = (x + i % 2 + l->pad_wide) % l->pad_wide;
        const int64_t cy = (y + i / 2 + l->pad_high) % l->pad_high;
        out.at[i] = (int)(cy * l->pad_wide + cx);
        out.against[i] = (int)((l->pad_high - cy) % l->pad_high * l->pad_wide +
                               (l->pad_wide - cx) % l->pad_wide);
        out.weight[i] = (i % 2 ? px : 1 - px) * (i / 2 ? py : 1 - py);
    }
    return out;
}

// Turns a second by which the drift takes a line.
static double drift_of(const tk_mark_line *k)
{
    return (k->kx * TK_MARK_DRIFT_X + k->ky * TK_MARK_DRIFT_Y) / TK_MARK_TILE;
}

static double scale_of(int i)
{
    return pow(scale_step, i - SMALLER);
}

static tk_status new_transforms(tk_mark_look *l, tk_arena *a)
{
    const int dims[2] = {(int)l->pad_high, (int)l->pad_wide};
    size_t bytes = 0;
    char *memory;
    kiss_fftnd_alloc(dims, 2, 0, NULL, &bytes);
    TK_ARENA_NEW(memory, a, (int64_t)bytes);
    l->whole = kiss_fftnd_alloc(dims, 2, 0, memory, &bytes);
    bytes = 0;
    kiss_fft_alloc(PLANE, 1, NULL, &bytes);
    TK_ARENA_NEW(memory, a, (int64_t)bytes);
    l->row = kiss_fft_alloc(PLANE, 1, memory, &bytes);
    bytes = 0;
    kiss_fftr_alloc(PLANE, 1, NULL, &bytes);
    TK_ARENA_NEW(memory, a, (int64_t)bytes);
    l->column = kiss_fftr_alloc(PLANE, 1, memory, &bytes);
    return l->whole && l->row && l->column ? TK_OK : TK_FAIL(TK_INTERNAL, "no Fourier transform");
}

tk_status tk_mark_look_open(tk_arena *a, tk_mark_key key, int64_t wide, int64_t high,
                            tk_mark_look **out)
{
    tk_mark_look *l;
    TK_ARENA_NEW(l, a, 1);
    l->wide = wide;
    l->high = high;
    l->pad_wide = padded(wide);
    l->pad_high = padded(high);
    tk_mark_lines(key, l->line);
    TK_TRY(new_transforms(l, a));
    TK_ARENA_NEW(l->where, a, (int64_t)VIEWS / 2 * OF_VIEW);
    TK_ARENA_NEW(l->luma, a, wide * high);
    TK_ARENA_NEW(l->before, a, wide * high);
    TK_ARENA_NEW(l->field_of, a, wide * high);
    TK_ARENA_NEW(l->flat, a, wide * high);
    TK_ARENA_NEW(l->sums, a, (wide + 1) * (high + 1));
    TK_ARENA_NEW(l->field, a, l->pad_wide * l->pad_high);
    TK_ARENA_NEW(l->spectrum, a, l->pad_wide * l->pad_high);
    TK_ARENA_NEW(l->block, a, (int64_t)BLOCKS * OF_BLOCK);
    for (int k = 0; k < TK_MARK_LINES; k++) {
        const tk_mark_line *line = &l->line[k];
        l->drift[line->wave] = drift_of(line);
        for (int i = 0; i < VIEWS / 2 * SCALES; i++)
            l->where[i * TK_MARK_LINES + line->wave] =
                look_up_at(l, &view[i / SCALES * 2], line, TK_MARK_TILE * scale_of(i % SCALES));
    }
    *out = l;
    return TK_OK;
}

// ---- a picture ---------------------------------------------------------------------------------

// out: the mean of x over the box of 2 r + 1 points around each, cut at the edges.
static void blur(const tk_mark_look *l, const float *x, bool squares, int r, float *out)
{
    const int64_t w = l->wide, h = l->high;
    double *sums = l->sums;
    for (int64_t y = 0; y < h; y++) {
        double row = 0;
        for (int64_t i = 0; i < w; i++) {
            const double v = (double)x[y * w + i];
            row += squares ? v * v : v;
            sums[(y + 1) * (w + 1) + i + 1] = sums[y * (w + 1) + i + 1] + row;
        }
    }
    for (int64_t y = 0; y < h; y++) {
        const int64_t y0 = y < r ? 0 : y - r, y1 = y + r + 1 > h ? h : y + r + 1;
        for (int64_t i = 0; i < w; i++) {
            const int64_t x0 = i < r ? 0 : i - r, x1 = i + r + 1 > w ? w : i + r + 1;
            const double *a = sums + y0 * (w + 1), *b = sums + y1 * (w + 1);
            out[y * w + i] =
                (float)((b[x1] - b[x0] - a[x1] + a[x0]) / (double)((y1 - y0) * (x1 - x0)));
        }
    }
}

// What differs from its surroundings in `field_of`, by how much things differ there, its middle at
// point 0 of the field.
static void flatten(tk_mark_look *l, bool changes)
{
    const int64_t w = l->wide, h = l->high, n = w * h;
    float *x = l->field_of;
    blur(l, x, false, 4, l->flat);
    for (int64_t i = 0; i < n; i++) x[i] -= l->flat[i];
    blur(l, x, true, 7, l->flat);
    for (int64_t i = 0; i < n; i++) {
        const float busy = sqrtf(fmaxf(l->flat[i], 0)) + 1;
        const float v = fminf(fmaxf(x[i] / busy, -2), 2);
        const int64_t to_x = (i % w - w / 2 + l->pad_wide) % l->pad_wide;
        const int64_t to_y = (i / w - h / 2 + l->pad_high) % l->pad_high;
        kiss_fft_cpx *to = &l->field[to_y * l->pad_wide + to_x];
        if (changes)
            to->i = v;
        else
            to->r = v;
    }
}

// What an encoder skips it shows as it was: there the mark stands still, and what is turned back by
// the drift cancels. What it did write anew is what changed; both are looked at, in one transform.
static void fill_field(tk_mark_look *l, const uint8_t *rgb)
{
    const int64_t n = l->wide * l->high;
    float *before = l->luma;
    l->luma = l->before;
    l->before = before;
    for (int64_t i = 0; i < n; i++)
        l->luma[i] = 0.2126f * rgb[3 * i] + 0.7152f * rgb[3 * i + 1] + 0.0722f * rgb[3 * i + 2];
    memcpy(l->field_of, l->luma, (size_t)n * sizeof *l->luma);
    flatten(l, false);
    for (int64_t i = 0; i < n; i++) l->field_of[i] = l->begun ? l->luma[i] - before[i] : 0;
    flatten(l, true);
    l->begun = true;
}

// Of both ways, twice: fields are real, so that their transforms are told apart by symmetry.
static void look_up_in(const kiss_fft_cpx *spectrum, const look_up *w, kiss_fft_cpx v[WAYS])
{
    kiss_fft_cpx a = {0, 0}, b = {0, 0};
    for (int i = 0; i < 4; i++) {
        a.r += w->weight[i] * spectrum[w->at[i]].r;
        a.i += w->weight[i] * spectrum[w->at[i]].i;
        b.r += w->weight[i] * spectrum[w->against[i]].r;
        b.i += w->weight[i] * spectrum[w->against[i]].i;
    }
    v[0] = (kiss_fft_cpx){a.r + b.r, a.i - b.i};
    v[1] = (kiss_fft_cpx){a.i + b.i, b.r - a.r};
}

static kiss_fft_cpx turned(kiss_fft_cpx v, double turns)
{
    const float c = (float)cos(2 * M_PI * turns), s = (float)sin(2 * M_PI * turns);
    return (kiss_fft_cpx){v.r * c - v.i * s, v.r * s + v.i * c};
}

static void end_window(tk_mark_look *l);

// Adds v, turned back, to a sum and its conjugate to that of the opposite view.
static void add_turned(kiss_fft_cpx v, kiss_fft_cpx back, kiss_fft_cpx *sum)
{
    kiss_fft_cpx *opposite = sum + WAYS * OF_VIEW;
    sum->r += v.r * back.r - v.i * back.i;
    sum->i += v.r * back.i + v.i * back.r;
    opposite->r += v.r * back.r + v.i * back.i;
    opposite->i += v.r * back.i - v.i * back.r;
}

void tk_mark_look_at(tk_mark_look *l, const uint8_t *rgb)
{
    const double seconds = (double)l->pictures / TK_MARK_LOOK_FPS;
    kiss_fft_cpx back[TK_MARK_LINES], *block = l->block + l->pictures / BLOCK * OF_BLOCK;
    fill_field(l, rgb);
    kiss_fftnd(l->whole, l->field, l->spectrum);
    for (int k = 0; k < TK_MARK_LINES; k++)
        back[k] = turned((kiss_fft_cpx){1, 0}, -l->drift[k] * seconds);
    for (int pair = 0; pair < VIEWS / 2; pair++)
        for (int i = 0; i < OF_VIEW; i++) {
            kiss_fft_cpx v[WAYS], *sum = block + 2 * pair * WAYS * OF_VIEW + i;
            look_up_in(l->spectrum, &l->where[pair * OF_VIEW + i], v);
            for (int way = 0; way < WAYS; way++)
                add_turned(v[way], back[i % TK_MARK_LINES], sum + way * OF_VIEW);
        }
    if (++l->pictures == BLOCK * BLOCKS) end_window(l);
}

// ---- a window ----------------------------------------------------------------------------------

typedef struct sighting {
    double z;
    int view, way, scale, rate, place; // place: y * PLANE + x
} sighting;

static double speed_of(const tk_mark_look *l, int rate)
{
    const double seconds = fmax((double)l->pictures / TK_MARK_LOOK_FPS, 2.5);
    return 1 + rate * fmin(0.66 / seconds, most_speed);
}

static int most_rate(const tk_mark_look *l)
{
    int n = 0;
    while (fabs(speed_of(l, n + 1) - 1) <= most_speed + 1e-9) n++;
    return n;
}

static int ring_of(const tk_mark_line *k)
{
    return (int)sqrt((double)(k->kx * k->kx + k->ky * k->ky));
}

// At a speed, what takes a wave of each block to where it would be at the mark's own.
static void make_turns(const tk_mark_look *l, int rate, kiss_fft_cpx turn[BLOCKS][TK_MARK_LINES])
{
    const double off = speed_of(l, rate) - 1, each = (double)BLOCK / TK_MARK_LOOK_FPS;
    for (int64_t b = 0; b * BLOCK < l->pictures; b++)
        for (int wave = 0; wave < TK_MARK_LINES; wave++)
            turn[b][wave] =
                turned((kiss_fft_cpx){1, 0}, -l->drift[wave] * off * ((double)b + 0.5) * each);
}

// Sums over the window in a view, one way, at a scale and a speed, by the deviation of lines as
// long; what stands out is cut.
static void gather_window(const tk_mark_look *l, const sighting *c,
                          const kiss_fft_cpx turn[BLOCKS][TK_MARK_LINES],
                          kiss_fft_cpx sum[TK_MARK_LINES])
{
    const kiss_fft_cpx *block =
        l->block + (c->view * WAYS + c->way) * OF_VIEW + c->scale * TK_MARK_LINES;
    kiss_fft_cpx by_wave[TK_MARK_LINES] = {0};
    double square[RINGS] = {0};
    int n[RINGS] = {0};
    for (int64_t b = 0; b * BLOCK < l->pictures; b++)
        for (int k = 0; k < TK_MARK_LINES; k++) {
            const kiss_fft_cpx v = block[b * OF_BLOCK + k], t = turn[b][k];
            by_wave[k].r += v.r * t.r - v.i * t.i;
            by_wave[k].i += v.r * t.i + v.i * t.r;
        }
    for (int k = 0; k < TK_MARK_LINES; k++) sum[k] = by_wave[l->line[k].wave];
    for (int k = 0; k < TK_MARK_LINES; k++) {
        const int r = ring_of(&l->line[k]);
        square[r] += (double)(sum[k].r * sum[k].r + sum[k].i * sum[k].i);
        n[r]++;
    }
    for (int k = 0; k < TK_MARK_LINES; k++) {
        const int r = ring_of(&l->line[k]);
        const float rms = (float)sqrt(square[r] / n[r]);
        const float size = rms > 0 ? hypotf(sum[k].r, sum[k].i) / rms : 0;
        const float by = rms > 0 ? fminf(1, 1.5f / fmaxf(size, 1e-9f)) / rms : 0;
        sum[k].r *= by;
        sum[k].i *= by;
    }
}

// Line by line, what is left when the key's phase is taken away.
static kiss_fft_cpx without_phase(const tk_mark_line *k, kiss_fft_cpx v)
{
    return (kiss_fft_cpx){v.r * k->re + v.i * k->im, v.i * k->re - v.r * k->im};
}

// How well pilots agree at each place of the tile, all at once.
static void try_places(const tk_mark_look *l, const kiss_fft_cpx sum[TK_MARK_LINES], sighting *best)
{
    kiss_fft_cpx grid[RINGS][PLANE] = {0}, part[RINGS][PLANE], column[PLANE / 2 + 1] = {0};
    float out[PLANE];
    double square = 0;
    best->z = -1;
    for (int k = 0; k < TK_MARK_PILOTS; k++) {
        const tk_mark_line *line = &l->line[k];
        grid[line->ky][(line->kx + PLANE) % PLANE] = without_phase(line, sum[k]);
        square += 0.5 * (double)(sum[k].r * sum[k].r + sum[k].i * sum[k].i);
    }
    if (!(square > 0)) return;
    for (int y = 0; y < RINGS; y++) kiss_fft(l->row, grid[y], part[y]);
    for (int x = 0; x < PLANE; x++) {
        for (int y = 0; y < RINGS; y++) column[y] = part[y][x];
        column[0].r *= 2; // it has no opposite, the others are counted with theirs
        kiss_fftri(l->column, column, out);
        for (int y = 0; y < PLANE; y++)
            if (0.5 * (double)out[y] > best->z) {
                best->z = 0.5 * (double)out[y];
                best->place = y * PLANE + x;
            }
    }
    best->z /= sqrt(square);
}

static double agreement(const tk_mark_look *l, const kiss_fft_cpx sum[TK_MARK_LINES], double x,
                        double y)
{
    double all = 0;
    for (int k = 0; k < TK_MARK_PILOTS; k++) {
        const tk_mark_line *line = &l->line[k];
        const double turns = (line->kx * x + line->ky * y) / PLANE;
        all += (double)turned(without_phase(line, sum[k]), turns).r;
    }
    return all;
}

// Adds what the lines that carry signs say, read where pilots agree best within a point.
static void read_signs(tk_mark_look *l, const sighting *c)
{
    kiss_fft_cpx sum[TK_MARK_LINES], turn[BLOCKS][TK_MARK_LINES];
    double best = -1, at_x = 0, at_y = 0;
    make_turns(l, c->rate, turn);
    gather_window(l, c, turn, sum);
    for (int i = -3; i <= 3; i++)
        for (int j = -3; j <= 3; j++) {
            const double x = c->place % PLANE + 0.25 * i, y = c->place / PLANE + 0.25 * j;
            const double a = agreement(l, sum, x, y);
            if (a <= best) continue;
            best = a;
            at_x = x;
            at_y = y;
        }
    for (int k = TK_MARK_PILOTS; k < TK_MARK_LINES; k++) {
        const tk_mark_line *line = &l->line[k];
        const kiss_fft_cpx v =
            turned(without_phase(line, sum[k]), (line->kx * at_x + line->ky * at_y) / PLANE);
        float *to = l->soft + 2 * (k - TK_MARK_PILOTS);
        to[0] += v.r * (float)M_SQRT2;
        to[1] += v.i * (float)M_SQRT2;
    }
}

static tk_mark_found search_view(const tk_mark_look *l, int v, sighting *best)
{
    kiss_fft_cpx sum[TK_MARK_LINES], turn[BLOCKS][TK_MARK_LINES];
    const int rates = most_rate(l);
    *best = (sighting){.z = -1};
    for (int rate = -rates; rate <= rates; rate++) {
        make_turns(l, rate, turn);
        for (int i = 0; i < WAYS * SCALES; i++) {
            sighting c = {.view = v, .way = i / SCALES, .scale = i % SCALES, .rate = rate};
            gather_window(l, &c, turn, sum);
            try_places(l, sum, &c);
            if (c.z > best->z) *best = c;
        }
    }
    const double tries = (double)WAYS * SCALES * (2 * rates + 1) * PLANE * PLANE;
    return (tk_mark_found){.looked = true,
                           .z = best->z,
                           .tries = tries,
                           .scale = scale_of(best->scale),
                           .speed = speed_of(l, best->rate),
                           .mirrored = view[v].mirrored,
                           .turned = view[v].turned,
                           .log10p = log10(tries) - best->z * best->z / 2 * M_LOG10E};
}

// The more certain of both, where each has its share of false alarms.
static tk_mark_found weigh_views(tk_mark_found upright, tk_mark_found others)
{
    tk_mark_found *both[] = {&upright, &others};
    for (int i = 0; i < 2; i++) {
        if (!both[i]->looked) continue;
        both[i]->tries /= i ? 1 - upright_share : upright_share;
        both[i]->log10p = fmin(0, log10(both[i]->tries) - both[i]->z * both[i]->z / 2 * M_LOG10E);
    }
    return others.looked && others.log10p < upright.log10p ? others : upright;
}

// Looks at the window's other views only where it is not found upright, so that what was left as it
// was, as nearly all is, costs no more for them. What was found is added to both findings; the
// window's own is returned.
static tk_mark_found search_window(const tk_mark_look *l, tk_mark_found *upright,
                                   tk_mark_found *others, sighting *best)
{
    tk_mark_found rest = {0};
    const tk_mark_found first = search_view(l, 0, best);
    tk_mark_found found = weigh_views(first, rest);
    tk_mark_better(upright, &first);
    if (tk_mark_is_present(&found)) return found;
    for (int v = 1; v < VIEWS; v++) {
        sighting c;
        const tk_mark_found f = search_view(l, v, &c);
        const bool better = f.z > rest.z;
        tk_mark_better(&rest, &f);
        found = weigh_views(first, rest);
        if (better && found.z == f.z) *best = c;
    }
    tk_mark_better(others, &rest);
    return found;
}

static void end_window(tk_mark_look *l)
{
    sighting best;
    if (l->pictures == 0) return;
    const tk_mark_found found = search_window(l, &l->upright, &l->others, &best);
    if (best.z > 0 && found.log10p < 0) read_signs(l, &best);
    memset(l->block, 0, (size_t)((l->pictures + BLOCK - 1) / BLOCK * OF_BLOCK) * sizeof *l->block);
    l->pictures = 0;
}

tk_mark_found tk_mark_look_under(tk_mark_look *l, tk_mark_key key)
{
    sighting best;
    tk_mark_found upright = {0}, others = {0};
    tk_mark_lines(key, l->line);
    return l->pictures > 0 ? search_window(l, &upright, &others, &best) : upright;
}

tk_mark_found tk_mark_look_end(tk_mark_look *l)
{
    end_window(l);
    tk_mark_found f = weigh_views(l->upright, l->others);
    f.said = tk_mark_decode(l->soft, &f.message);
    return f;
}
