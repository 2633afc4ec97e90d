// SPDX-License-Identifier: Apache-2.0
// Contact sheets: a clip at a glance, its frames by shot and its sound below. See
// data/media/media.h.
#include "data/draw/sheet.h"
#include "data/draw/draw.h"
#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 1280,
    MARGIN = 28,
    GAP = 6, // between frames
    COLUMNS = 8,
    ROWS = 2,          // of frames in a band, at most
    CAPTION_LINES = 3, // at most
    CAPTION_SIZE = 14,
    CAPTION_STEP = 24,
    LABEL_SIZE = 10,
    LABEL_STEP = 20, // below a row of frames
    BAND_GAP = 20,   // between bands
    LANE = 76,       // height of a channel's waveform
    LANE_WIDTH = WIDTH - 2 * MARGIN,
    AXIS = 34,     // below the waveform
    TALLEST = 4096 // of all: a longer clip shows fewer of its shots
};

static const tk_ink background = {21, 23, 28, 1}, panel = {30, 33, 40, 1},
                    text = {232, 230, 224, 1}, faint = {140, 146, 158, 1}, rule = {70, 75, 86, 1};
static const tk_ink shot_ink[] = {{94, 177, 219, 1},  {240, 160, 75, 1},  {124, 196, 118, 1},
                                  {214, 125, 176, 1}, {176, 152, 232, 1}, {222, 200, 92, 1}};

typedef struct tk_level { // of a channel within a pixel column
    double low, high, square;
} tk_level;

typedef struct tk_sheet {
    cairo_t *cr;
    tk_media_source *clip;
    const tk_media *shape; // of the clip
    int n_shots, n_shown;  // n_shown: of the shots, evenly spread
    int64_t *cut;          // (n_shots + 1) first frame of each shot, then the end
    const char **caption;  // (n_shots)
    int *lines;            // (n_shots) of each caption
    int64_t columns, cell_w, cell_h;
    float peak; // of the sound
    tk_level level[2][LANE_WIDTH];
} tk_sheet;

static tk_ink ink_of(int shot)
{
    return shot_ink[shot % (int)(sizeof shot_ink / sizeof *shot_ink)];
}

// Frames shown of a shot: all of them if they fit, else evenly chosen with the first and the last.
static int64_t shown(const tk_sheet *s, int shot)
{
    int64_t n = s->cut[shot + 1] - s->cut[shot], most = s->columns * ROWS;
    return n < most ? n : most;
}

static int shown_shot(const tk_sheet *s, int n_shown, int i)
{
    return n_shown > 1 ? (int)((int64_t)i * (s->n_shots - 1) / (n_shown - 1)) : 0;
}

static int64_t band_height(const tk_sheet *s, int shot)
{
    int64_t rows = (shown(s, shot) + s->columns - 1) / s->columns;
    return s->lines[shot] * CAPTION_STEP + 4 + rows * (s->cell_h + LABEL_STEP);
}

// Lines of a caption, beside the colour mark and the times; at least the room for one.
static int draw_caption(cairo_t *cr, const char *caption, double y)
{
    const double beside = 22 + 120;
    const tk_column column = {.x = MARGIN + 22,
                              .y = y,
                              .size = CAPTION_SIZE,
                              .step = CAPTION_STEP,
                              .width = WIDTH - 2 * MARGIN - beside,
                              .most = CAPTION_LINES,
                              .ink = text};
    const int lines = tk_draw_lines(cr, &column, caption);
    return lines ? lines : 1;
}

static tk_status draw_band(tk_sheet *s, int shot, int64_t y)
{
    const tk_media *m = s->shape;
    char times[64];
    tk_draw_fill(s->cr, MARGIN, (double)y, 12, CAPTION_SIZE, ink_of(shot));
    draw_caption(s->cr, s->caption[shot], (double)y);
    snprintf(times, sizeof times, "%.2f - %.2f s", (double)s->cut[shot] / m->fps,
             (double)s->cut[shot + 1] / m->fps);
    tk_draw_text(s->cr, WIDTH - MARGIN, (double)y + 3, LABEL_SIZE, TK_RIGHT, faint, times);
    y += s->lines[shot] * CAPTION_STEP + 4;
    const int64_t n = shown(s, shot), all = s->cut[shot + 1] - s->cut[shot];
    for (int64_t i = 0; i < n; i++) {
        int64_t f = s->cut[shot] + (n > 1 ? (i * (all - 1) + (n - 1) / 2) / (n - 1) : 0);
        int64_t x = MARGIN + i % s->columns * (s->cell_w + GAP);
        int64_t top = y + i / s->columns * (s->cell_h + LABEL_STEP);
        const uint8_t *rgb;
        TK_TRY(s->clip->picture(s->clip, f, &rgb));
        const tk_box cell = {(double)x, (double)top, (double)s->cell_w, (double)s->cell_h};
        tk_draw_picture(s->cr, cell, rgb, m->height, m->width);
        char label[32];
        snprintf(label, sizeof label, "%.2f", (double)f / m->fps);
        tk_draw_text(s->cr, (double)x, (double)(top + s->cell_h + 5), LABEL_SIZE, TK_LEFT, faint,
                     label);
    }
    return TK_OK;
}

static int shot_at(const tk_sheet *s, double seconds)
{
    int shot = 0;
    while (shot + 1 < s->n_shots && seconds * s->shape->fps >= (double)s->cut[shot + 1]) shot++;
    return shot;
}

// The first sample of pixel column u of the waveform.
static int64_t column_begin(const tk_media *m, int64_t u)
{
    const double seconds = (double)m->frames / m->fps;
    return (int64_t)((double)u * seconds / (double)LANE_WIDTH * (double)m->sample_rate);
}

// Adds samples [at, at + n), which come in order; *u: the column they have come to.
static void add_sound(tk_sheet *s, const float *pcm, int64_t at, int64_t n, int64_t *u)
{
    const tk_media *m = s->shape;
    for (int64_t i = 0; i < n; i++) {
        while (*u < LANE_WIDTH && at + i >= column_begin(m, *u + 1)) ++*u;
        for (int64_t c = 0; c < m->channels; c++) {
            const float x = pcm[i * m->channels + c];
            if (!isfinite(x)) continue;
            s->peak = fmaxf(s->peak, fabsf(x));
            if (*u == LANE_WIDTH) continue; // longer than the pictures
            tk_level *l = &s->level[c][*u];
            l->low = fmin(l->low, (double)x);
            l->high = fmax(l->high, (double)x);
            l->square += (double)x * (double)x;
        }
    }
}

static tk_status measure_sound(tk_sheet *s)
{
    const tk_media *m = s->shape;
    int64_t u = 0;
    float *second;
    TK_NEW(second, m->sample_rate * m->channels);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < m->samples && st == TK_OK; at += m->sample_rate) {
        const int64_t left = m->samples - at, n = left < m->sample_rate ? left : m->sample_rate;
        st = s->clip->sound(s->clip, at, n, second);
        if (st == TK_OK) add_sound(s, second, at, n, &u);
    }
    tk_free(second);
    return st;
}

// One channel: per pixel column the extremes dim and the root mean square bright, in the shot's
// colour.
static void draw_lane(tk_sheet *s, int64_t channel, double y, float scale)
{
    const tk_media *m = s->shape;
    const double seconds = (double)m->frames / m->fps, mid = y + LANE / 2.0, half = LANE / 2.0 - 5;
    for (int64_t u = 0; u < LANE_WIDTH; u++) {
        const tk_level *l = &s->level[channel][u];
        const int64_t a = column_begin(m, u), end = column_begin(m, u + 1);
        const int64_t b = end < m->samples ? end : m->samples;
        const double rms = b > a ? sqrt(l->square / (double)(b - a)) : 0;
        tk_ink ink = ink_of(shot_at(s, ((double)u + 0.5) * seconds / (double)LANE_WIDTH));
        tk_ink dim = ink;
        dim.alpha = 0.5;
        double top = fmax(half * l->high / scale, 0.5), bottom = fmax(-half * l->low / scale, 0.5);
        tk_draw_fill(s->cr, (double)(MARGIN + u), mid - top, 1, top + bottom, dim);
        top = half * rms / scale;
        tk_draw_fill(s->cr, (double)(MARGIN + u), mid - top, 1, 2 * top, ink);
    }
}

static void draw_time_axis(tk_sheet *s, double y)
{
    static const double steps[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600};
    const double w = LANE_WIDTH, seconds = (double)s->shape->frames / s->shape->fps;
    size_t k = 0;
    while (k + 1 < sizeof steps / sizeof *steps && seconds / steps[k] > 14) k++;
    for (int i = 0; i * steps[k] <= seconds + 1e-9 && i < 1000; i++) {
        char label[32];
        double x = MARGIN + w * i * steps[k] / seconds;
        snprintf(label, sizeof label, "%g%s", i * steps[k], i == 0 ? " s" : "");
        tk_draw_fill(s->cr, fmin(x, WIDTH - MARGIN - 1), y, 1, 6, faint);
        bool last = x > WIDTH - MARGIN - 14;
        tk_draw_text(s->cr, last ? WIDTH - MARGIN : x, y + 12, LABEL_SIZE,
                     i == 0 ? TK_LEFT
                     : last ? TK_RIGHT
                            : TK_CENTRE,
                     faint, label);
    }
}

static void draw_cut(cairo_t *cr, double x, double y0, double y1)
{
    tk_draw_ink(cr, text);
    cairo_save(cr);
    cairo_set_line_width(cr, 1.5);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_BUTT);
    cairo_set_dash(cr, (double[]){5, 4}, 2, 0);
    cairo_move_to(cr, x, y0);
    cairo_line_to(cr, x, y1);
    cairo_stroke(cr);
    cairo_restore(cr);
}

static tk_status draw_sound(tk_sheet *s, double y)
{
    const int64_t channels = s->shape->channels;
    const double w = LANE_WIDTH, high = (double)channels * LANE;
    TK_TRY(measure_sound(s));
    const float scale = fmaxf(s->peak, 0.05F);
    tk_draw_fill(s->cr, MARGIN, y, w, high, panel);
    for (int64_t c = 0; c < channels; c++) draw_lane(s, c, y + (double)(c * LANE), scale);
    for (int i = 1; i < s->n_shots; i++)
        draw_cut(s->cr, MARGIN + w * (double)s->cut[i] / (double)s->shape->frames, y, y + high);
    for (int64_t c = 1; c < channels; c++)
        tk_draw_fill(s->cr, MARGIN, y + (double)(c * LANE), w, 1, rule);
    char label[64];
    snprintf(label, sizeof label, s->shape->samples ? "peak %.2f" : "no sound", s->peak);
    tk_draw_text(s->cr, WIDTH - MARGIN - 6, y + 6, LABEL_SIZE, TK_RIGHT, faint, label);
    draw_time_axis(s, y + high);
    return TK_OK;
}

static tk_status draw_parts(tk_sheet *s)
{
    int64_t y = MARGIN;
    for (int i = 0; i < s->n_shown; i++) {
        const int shot = shown_shot(s, s->n_shown, i);
        TK_TRY(draw_band(s, shot, y));
        y += band_height(s, shot) + BAND_GAP;
    }
    if (s->n_shown < s->n_shots) {
        char label[64];
        snprintf(label, sizeof label, "%d of %d shots", s->n_shown, s->n_shots);
        tk_draw_text(s->cr, MARGIN, (double)y, LABEL_SIZE, TK_LEFT, faint, label);
        y += LABEL_STEP;
    }
    return draw_sound(s, (double)y);
}

static int64_t sheet_height(const tk_sheet *s, int n_shown)
{
    int64_t height = MARGIN + s->shape->channels * LANE + AXIS + MARGIN / 2;
    for (int i = 0; i < n_shown; i++)
        height += band_height(s, shown_shot(s, n_shown, i)) + BAND_GAP;
    return height + (n_shown < s->n_shots ? LABEL_STEP : 0);
}

static tk_status draw_sheet(tk_sheet *s, const tk_file *f)
{
    cairo_t *trial = tk_draw_new(1, 1, background);
    for (int i = 0; i < s->n_shots; i++) s->lines[i] = draw_caption(trial, s->caption[i], 0);
    cairo_destroy(trial);
    s->n_shown = s->n_shots;
    while (s->n_shown > 1 && sheet_height(s, s->n_shown) > TALLEST) s->n_shown--;
    s->cr = tk_draw_new(WIDTH, sheet_height(s, s->n_shown), background);
    tk_status st = draw_parts(s);
    if (st == TK_OK) st = tk_draw_write(s->cr, f);
    cairo_destroy(s->cr);
    return st;
}

// Shots as given, in order and within the clip; none given = one.
static tk_status set_shots(tk_sheet *s, int n, const tk_sheet_shot *shots, tk_arena *a)
{
    const int64_t frames = s->shape->frames;
    s->n_shots = n < 1 ? 1 : n;
    TK_ARENA_NEW(s->cut, a, s->n_shots + 1);
    TK_ARENA_NEW(s->caption, a, s->n_shots);
    TK_ARENA_NEW(s->lines, a, s->n_shots);
    for (int i = 0; i < s->n_shots; i++) {
        int64_t at = i == 0 ? 0 : shots[i].first, before = i ? s->cut[i - 1] : 0;
        s->cut[i] = at < before ? before : at > frames ? frames : at;
        s->caption[i] = i < n && shots[i].caption ? shots[i].caption : "";
    }
    s->cut[s->n_shots] = frames;
    return TK_OK;
}

tk_status tk_draw_sheet(const tk_file *f, tk_media_source *clip, int n, const tk_sheet_shot *shots)
{
    const tk_media *m = &clip->shape;
    if (m->frames < 1 || m->height < 1 || m->width < 1 || m->height > TK_MEDIA_MAX_SIDE ||
        m->width > TK_MEDIA_MAX_SIDE || !(m->fps > 0) || m->sample_rate < 1 || m->channels < 1 ||
        m->channels > 2)
        return TK_FAIL(TK_INPUT, "cannot write %s: %lld frames of %lld x %lld at %g fps is no clip",
                       f->path, (long long)m->frames, (long long)m->width, (long long)m->height,
                       m->fps);
    tk_arena a;
    tk_sheet *s;
    TK_NEW(s, 1);
    tk_arena_init(&a, 0);
    s->clip = clip;
    s->shape = m;
    s->columns = COLUMNS;
    s->cell_w = (WIDTH - 2 * MARGIN - (s->columns - 1) * GAP) / s->columns;
    s->cell_h = llrint((double)s->cell_w * (double)m->height / (double)m->width);
    s->cell_h = s->cell_h < 1 ? 1 : s->cell_h > 2 * s->cell_w ? 2 * s->cell_w : s->cell_h;
    tk_status st = set_shots(s, n, shots, &a);
    if (st == TK_OK) st = draw_sheet(s, f);
    tk_arena_free(&a);
    tk_free(s);
    return st;
}
