// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/window.h"
#include <math.h>
#include <string.h>

enum {
    SCALES = TK_MARK_SCALES,
    SMALLER = 44, // of them are those below 1
    BLOCK = TK_MARK_BLOCK,
    BLOCKS = TK_MARK_BLOCKS,
    WAYS = TK_MARK_WAYS,
    VIEWS = 2 * TK_MARK_PAIRS,
    OF_VIEW = TK_MARK_OF_VIEW,
    OF_BLOCK = VIEWS * WAYS * OF_VIEW,
    RINGS = TK_MARK_TURN + 1,
    PLANE = TK_MARK_TILE
};
static const double scale_step = 1.014, most_speed = 0.12;
static const double upright_share = 0.9; // of false alarms; all other views have the rest

// A wave of the mark, (kx, ky), is in such a picture's transform at (x[0] kx + x[1] ky, y[0] kx +
// y[1] ky). Of two opposite views each shows the conjugate of the other's waves, since pictures are
// real.
static const struct view {
    int x[2], y[2];
    bool mirrored;
    int turned;
} view[VIEWS] = {{{1, 0}, {0, 1}, false, 0},   {{-1, 0}, {0, -1}, false, 180},
                 {{-1, 0}, {0, 1}, true, 0},   {{1, 0}, {0, -1}, true, 180},
                 {{0, -1}, {1, 0}, false, 90}, {{0, 1}, {-1, 0}, false, 270},
                 {{0, -1}, {-1, 0}, true, 90}, {{0, 1}, {1, 0}, true, 270}};

double tk_mark_scale(int i)
{
    return pow(scale_step, i - SMALLER);
}

void tk_mark_seen_at(int pair, const tk_mark_line *k, int *x, int *y)
{
    const struct view *v = &view[2 * pair];
    *x = v->x[0] * k->kx + v->x[1] * k->ky;
    *y = v->y[0] * k->kx + v->y[1] * k->ky;
}

static kiss_fft_cpx turned(kiss_fft_cpx v, double turns)
{
    const float c = (float)cos(2 * M_PI * turns), s = (float)sin(2 * M_PI * turns);
    return (kiss_fft_cpx){v.r * c - v.i * s, v.r * s + v.i * c};
}

// ---- pictures ----------------------------------------------------------------------------------

tk_status tk_mark_window_open(tk_arena *a, tk_mark_key key, tk_mark_window *w)
{
    size_t bytes = 0, more = 0;
    char *row, *column;
    *w = (tk_mark_window){0};
    kiss_fft_alloc(PLANE, 1, NULL, &bytes);
    kiss_fftr_alloc(PLANE, 1, NULL, &more);
    TK_ARENA_NEW(row, a, (int64_t)bytes);
    TK_ARENA_NEW(column, a, (int64_t)more);
    TK_ARENA_NEW(w->sums, a, (int64_t)BLOCKS * OF_BLOCK);
    w->row = kiss_fft_alloc(PLANE, 1, row, &bytes);
    w->column = kiss_fftr_alloc(PLANE, 1, column, &more);
    if (!w->row || !w->column) return TK_FAIL(TK_INTERNAL, "no Fourier transform");
    tk_mark_lines(key, w->line);
    for (int k = 0; k < TK_MARK_LINES; k++) {
        const tk_mark_line *line = &w->line[k];
        w->drift[line->wave] =
            (line->kx * TK_MARK_DRIFT_X + line->ky * TK_MARK_DRIFT_Y) / TK_MARK_TILE;
    }
    return TK_OK;
}

// Adds v, turned back, to a sum and its conjugate to that of the opposite view.
static void add_turned(kiss_fft_cpx v, kiss_fft_cpx back, kiss_fft_cpx *sum)
{
    kiss_fft_cpx *opposite = sum + WAYS * OF_VIEW;
    sum->r += v.r * back.r - v.i * back.i;
    sum->i += v.r * back.i + v.i * back.r;
    opposite->r += v.r * back.r + v.i * back.i;
    opposite->i += v.r * back.i - v.i * back.r;
}

void tk_mark_window_add(tk_mark_window *w, const kiss_fft_cpx *shown)
{
    const double seconds = (double)w->pictures / TK_MARK_LOOK_FPS;
    kiss_fft_cpx back[TK_MARK_LINES], *block = w->sums + w->pictures / BLOCK * OF_BLOCK;
    for (int k = 0; k < TK_MARK_LINES; k++)
        back[k] = turned((kiss_fft_cpx){1, 0}, -w->drift[k] * seconds);
    for (int pair = 0; pair < TK_MARK_PAIRS; pair++)
        for (int i = 0; i < OF_VIEW; i++, shown += WAYS) {
            kiss_fft_cpx *sum = block + 2 * pair * WAYS * OF_VIEW + i;
            for (int way = 0; way < WAYS; way++)
                add_turned(shown[way], back[i % TK_MARK_LINES], sum + way * OF_VIEW);
        }
    if (++w->pictures == BLOCK * BLOCKS) tk_mark_window_end(w);
}

// ---- the search --------------------------------------------------------------------------------

typedef struct sighting {
    double z;
    int view, way, scale, rate, place; // place: y * PLANE + x
} sighting;

static double speed_of(const tk_mark_window *w, int rate)
{
    const double seconds = fmax((double)w->pictures / TK_MARK_LOOK_FPS, 2.5);
    return 1 + rate * fmin(0.66 / seconds, most_speed);
}

static int most_rate(const tk_mark_window *w)
{
    int n = 0;
    while (fabs(speed_of(w, n + 1) - 1) <= most_speed + 1e-9) n++;
    return n;
}

static int ring_of(const tk_mark_line *k)
{
    return (int)sqrt((double)(k->kx * k->kx + k->ky * k->ky));
}

// At a speed, what takes a wave of each block to where it would be at the mark's own.
static void make_turns(const tk_mark_window *w, int rate, kiss_fft_cpx turn[BLOCKS][TK_MARK_LINES])
{
    const double off = speed_of(w, rate) - 1, each = (double)BLOCK / TK_MARK_LOOK_FPS;
    for (int64_t b = 0; b * BLOCK < w->pictures; b++)
        for (int wave = 0; wave < TK_MARK_LINES; wave++)
            turn[b][wave] =
                turned((kiss_fft_cpx){1, 0}, -w->drift[wave] * off * ((double)b + 0.5) * each);
}

// Sums over the window in a view, one way, at a scale and a speed, by the deviation of lines as
// long; what stands out is cut.
static void gather_window(const tk_mark_window *w, const sighting *c,
                          const kiss_fft_cpx turn[BLOCKS][TK_MARK_LINES],
                          kiss_fft_cpx sum[TK_MARK_LINES])
{
    const kiss_fft_cpx *block =
        w->sums + (c->view * WAYS + c->way) * OF_VIEW + c->scale * TK_MARK_LINES;
    kiss_fft_cpx by_wave[TK_MARK_LINES] = {0};
    double square[RINGS] = {0};
    int n[RINGS] = {0};
    for (int64_t b = 0; b * BLOCK < w->pictures; b++)
        for (int k = 0; k < TK_MARK_LINES; k++) {
            const kiss_fft_cpx v = block[b * OF_BLOCK + k], t = turn[b][k];
            by_wave[k].r += v.r * t.r - v.i * t.i;
            by_wave[k].i += v.r * t.i + v.i * t.r;
        }
    for (int k = 0; k < TK_MARK_LINES; k++) sum[k] = by_wave[w->line[k].wave];
    for (int k = 0; k < TK_MARK_LINES; k++) {
        const int r = ring_of(&w->line[k]);
        square[r] += (double)(sum[k].r * sum[k].r + sum[k].i * sum[k].i);
        n[r]++;
    }
    for (int k = 0; k < TK_MARK_LINES; k++) {
        const int r = ring_of(&w->line[k]);
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
static void try_places(const tk_mark_window *w, const kiss_fft_cpx sum[TK_MARK_LINES],
                       sighting *best)
{
    kiss_fft_cpx grid[RINGS][PLANE] = {0}, part[RINGS][PLANE], column[PLANE / 2 + 1] = {0};
    float out[PLANE];
    double square = 0;
    best->z = -1;
    for (int k = 0; k < TK_MARK_PILOTS; k++) {
        const tk_mark_line *line = &w->line[k];
        grid[line->ky][(line->kx + PLANE) % PLANE] = without_phase(line, sum[k]);
        square += 0.5 * (double)(sum[k].r * sum[k].r + sum[k].i * sum[k].i);
    }
    if (!(square > 0)) return;
    for (int y = 0; y < RINGS; y++) kiss_fft(w->row, grid[y], part[y]);
    for (int x = 0; x < PLANE; x++) {
        for (int y = 0; y < RINGS; y++) column[y] = part[y][x];
        column[0].r *= 2; // it has no opposite, the others are counted with theirs
        kiss_fftri(w->column, column, out);
        for (int y = 0; y < PLANE; y++)
            if (0.5 * (double)out[y] > best->z) {
                best->z = 0.5 * (double)out[y];
                best->place = y * PLANE + x;
            }
    }
    best->z /= sqrt(square);
}

static double agreement(const tk_mark_window *w, const kiss_fft_cpx sum[TK_MARK_LINES], double x,
                        double y)
{
    double all = 0;
    for (int k = 0; k < TK_MARK_PILOTS; k++) {
        const tk_mark_line *line = &w->line[k];
        const double turns = (line->kx * x + line->ky * y) / PLANE;
        all += (double)turned(without_phase(line, sum[k]), turns).r;
    }
    return all;
}

// Adds what the lines that carry signs say, read where pilots agree best within a point.
static void read_signs(tk_mark_window *w, const sighting *c)
{
    kiss_fft_cpx sum[TK_MARK_LINES], turn[BLOCKS][TK_MARK_LINES];
    double best = -1, at_x = 0, at_y = 0;
    make_turns(w, c->rate, turn);
    gather_window(w, c, turn, sum);
    for (int i = -3; i <= 3; i++)
        for (int j = -3; j <= 3; j++) {
            const double x = c->place % PLANE + 0.25 * i, y = c->place / PLANE + 0.25 * j;
            const double a = agreement(w, sum, x, y);
            if (a <= best) continue;
            best = a;
            at_x = x;
            at_y = y;
        }
    for (int k = TK_MARK_PILOTS; k < TK_MARK_LINES; k++) {
        const tk_mark_line *line = &w->line[k];
        const kiss_fft_cpx v =
            turned(without_phase(line, sum[k]), (line->kx * at_x + line->ky * at_y) / PLANE);
        float *to = w->soft + 2 * (k - TK_MARK_PILOTS);
        to[0] += v.r * (float)M_SQRT2;
        to[1] += v.i * (float)M_SQRT2;
    }
}

static tk_mark_found search_view(const tk_mark_window *w, int v, sighting *best)
{
    kiss_fft_cpx sum[TK_MARK_LINES], turn[BLOCKS][TK_MARK_LINES];
    const int rates = most_rate(w);
    *best = (sighting){.z = -1};
    for (int rate = -rates; rate <= rates; rate++) {
        make_turns(w, rate, turn);
        for (int i = 0; i < WAYS * SCALES; i++) {
            sighting c = {.view = v, .way = i / SCALES, .scale = i % SCALES, .rate = rate};
            gather_window(w, &c, turn, sum);
            try_places(w, sum, &c);
            if (c.z > best->z) *best = c;
        }
    }
    const double tries = (double)WAYS * SCALES * (2 * rates + 1) * PLANE * PLANE;
    return (tk_mark_found){.looked = true,
                           .z = best->z,
                           .tries = tries,
                           .scale = tk_mark_scale(best->scale),
                           .speed = speed_of(w, best->rate),
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

// Searches the window's other views only where it is not found upright, as nearly all marked ones
// are. What was found is added to both findings; the window's own is returned.
static tk_mark_found search_window(const tk_mark_window *w, tk_mark_found *upright,
                                   tk_mark_found *others, sighting *best)
{
    tk_mark_found rest = {0};
    const tk_mark_found first = search_view(w, 0, best);
    tk_mark_found found = weigh_views(first, rest);
    tk_mark_better(upright, &first);
    if (tk_mark_is_present(&found)) return found;
    for (int v = 1; v < VIEWS; v++) {
        sighting c;
        const tk_mark_found f = search_view(w, v, &c);
        const bool better = f.z > rest.z;
        tk_mark_better(&rest, &f);
        found = weigh_views(first, rest);
        if (better && found.z == f.z) *best = c;
    }
    tk_mark_better(others, &rest);
    return found;
}

void tk_mark_window_end(tk_mark_window *w)
{
    sighting best;
    if (w->pictures == 0) return;
    const tk_mark_found found = search_window(w, &w->upright, &w->others, &best);
    if (best.z > 0 && found.log10p < 0) read_signs(w, &best);
    memset(w->sums, 0, (size_t)((w->pictures + BLOCK - 1) / BLOCK * OF_BLOCK) * sizeof *w->sums);
    w->pictures = 0;
}

tk_mark_found tk_mark_window_under(tk_mark_window *w, tk_mark_key key)
{
    sighting best;
    tk_mark_found upright = {0}, others = {0};
    tk_mark_lines(key, w->line);
    return w->pictures > 0 ? search_window(w, &upright, &others, &best) : upright;
}

tk_mark_found tk_mark_window_best(const tk_mark_window *w)
{
    return weigh_views(w->upright, w->others);
}
