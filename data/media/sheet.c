// SPDX-License-Identifier: Apache-2.0
// Contact sheets: a clip at a glance, its frames by shot and its sound below. See
// data/media/media.h.
#include "data/media/draw.h"
#include "data/media/media.h"
#include "data/media/track.h"
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
    AXIS = 34,       // below the waveform
    MAX_SHOTS = 64
};

static const tk_ink background = {21, 23, 28, 1}, panel = {30, 33, 40, 1},
                    text = {232, 230, 224, 1}, faint = {140, 146, 158, 1}, rule = {70, 75, 86, 1};
static const tk_ink shot_ink[] = {{94, 177, 219, 1},  {240, 160, 75, 1},  {124, 196, 118, 1},
                                  {214, 125, 176, 1}, {176, 152, 232, 1}, {222, 200, 92, 1}};

typedef struct tk_sheet {
    cairo_t *cr;
    const uint8_t *rgb;
    int64_t frames, height, width;
    double fps;
    const float *pcm;
    int64_t samples, channels, rate;
    int n_shots;
    int64_t cut[MAX_SHOTS + 1]; // first frame of each shot, then the end
    const char *caption[MAX_SHOTS];
    int lines[MAX_SHOTS]; // of each caption
    int64_t columns, cell_w, cell_h;
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

static int64_t band_height(const tk_sheet *s, int shot)
{
    int64_t rows = (shown(s, shot) + s->columns - 1) / s->columns;
    return s->lines[shot] * CAPTION_STEP + 4 + rows * (s->cell_h + LABEL_STEP);
}

// Lines of a caption, beside the colour mark and the times; at least the room for one.
static int draw_caption(cairo_t *cr, const char *caption, double y)
{
    const double beside = 22 + 120;
    const int lines = tk_draw_lines(cr, MARGIN + 22, y, CAPTION_SIZE, CAPTION_STEP,
                                    WIDTH - 2 * MARGIN - beside, CAPTION_LINES, text, caption);
    return lines ? lines : 1;
}

static void draw_band(tk_sheet *s, int shot, int64_t y)
{
    char times[64];
    tk_draw_fill(s->cr, MARGIN, (double)y, 12, CAPTION_SIZE, ink_of(shot));
    draw_caption(s->cr, s->caption[shot], (double)y);
    snprintf(times, sizeof times, "%.2f - %.2f s", (double)s->cut[shot] / s->fps,
             (double)s->cut[shot + 1] / s->fps);
    tk_draw_text(s->cr, WIDTH - MARGIN, (double)y + 3, LABEL_SIZE, TK_RIGHT, faint, times);
    y += s->lines[shot] * CAPTION_STEP + 4;
    const int64_t n = shown(s, shot), all = s->cut[shot + 1] - s->cut[shot];
    for (int64_t i = 0; i < n; i++) {
        int64_t f = s->cut[shot] + (n > 1 ? (i * (all - 1) + (n - 1) / 2) / (n - 1) : 0);
        int64_t x = MARGIN + i % s->columns * (s->cell_w + GAP);
        int64_t top = y + i / s->columns * (s->cell_h + LABEL_STEP);
        tk_draw_picture(s->cr, (double)x, (double)top, (double)s->cell_w, (double)s->cell_h,
                        s->rgb + f * s->height * s->width * 3, s->height, s->width);
        char label[32];
        snprintf(label, sizeof label, "%.2f", (double)f / s->fps);
        tk_draw_text(s->cr, (double)x, (double)(top + s->cell_h + 5), LABEL_SIZE, TK_LEFT, faint,
                     label);
    }
}

static int shot_at(const tk_sheet *s, double seconds)
{
    int shot = 0;
    while (shot + 1 < s->n_shots && seconds * s->fps >= (double)s->cut[shot + 1]) shot++;
    return shot;
}

static float peak_of(const tk_sheet *s)
{
    float peak = 0;
    for (int64_t i = 0; i < s->samples * s->channels; i++)
        if (isfinite(s->pcm[i])) peak = fmaxf(peak, fabsf(s->pcm[i]));
    return peak;
}

// One channel: per pixel column the extremes dim and the root mean square bright, in the shot's
// colour.
static void draw_lane(tk_sheet *s, int64_t channel, double y, float scale)
{
    const int64_t w = WIDTH - 2 * MARGIN;
    const double seconds = (double)s->frames / s->fps, mid = y + LANE / 2.0, half = LANE / 2.0 - 5;
    for (int64_t u = 0; u < w; u++) {
        int64_t a = (int64_t)((double)u * seconds / (double)w * (double)s->rate);
        int64_t b = (int64_t)((double)(u + 1) * seconds / (double)w * (double)s->rate);
        if (b > s->samples) b = s->samples;
        double low = 0, high = 0, square = 0;
        for (int64_t i = a; i < b; i++) {
            double x = s->pcm[i * s->channels + channel];
            if (!isfinite(x)) continue;
            low = fmin(low, x);
            high = fmax(high, x);
            square += x * x;
        }
        double rms = b > a ? sqrt(square / (double)(b - a)) : 0;
        tk_ink ink = ink_of(shot_at(s, ((double)u + 0.5) * seconds / (double)w)), dim = ink;
        dim.alpha = 0.5;
        double top = fmax(half * high / scale, 0.5), bottom = fmax(-half * low / scale, 0.5);
        tk_draw_fill(s->cr, (double)(MARGIN + u), mid - top, 1, top + bottom, dim);
        top = half * rms / scale;
        tk_draw_fill(s->cr, (double)(MARGIN + u), mid - top, 1, 2 * top, ink);
    }
}

static void draw_time_axis(tk_sheet *s, double y)
{
    static const double steps[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600};
    const double w = WIDTH - 2 * MARGIN, seconds = (double)s->frames / s->fps;
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

static void draw_sound(tk_sheet *s, double y)
{
    const double w = WIDTH - 2 * MARGIN, high = (double)s->channels * LANE;
    const float peak = peak_of(s), scale = fmaxf(peak, 0.05F);
    tk_draw_fill(s->cr, MARGIN, y, w, high, panel);
    for (int64_t c = 0; c < s->channels; c++) draw_lane(s, c, y + (double)(c * LANE), scale);
    for (int i = 1; i < s->n_shots; i++)
        draw_cut(s->cr, MARGIN + w * (double)s->cut[i] / (double)s->frames, y, y + high);
    for (int64_t c = 1; c < s->channels; c++)
        tk_draw_fill(s->cr, MARGIN, y + (double)(c * LANE), w, 1, rule);
    char label[64];
    snprintf(label, sizeof label, s->samples ? "peak %.2f" : "no sound", peak);
    tk_draw_text(s->cr, WIDTH - MARGIN - 6, y + 6, LABEL_SIZE, TK_RIGHT, faint, label);
    draw_time_axis(s, y + high);
}

static tk_status draw_sheet(tk_sheet *s, const tk_file *f)
{
    int64_t height = MARGIN, y = MARGIN;
    cairo_t *trial = tk_draw_new(1, 1, background);
    for (int i = 0; i < s->n_shots; i++) {
        s->lines[i] = draw_caption(trial, s->caption[i], 0);
        height += band_height(s, i) + BAND_GAP;
    }
    cairo_destroy(trial);
    const int64_t sound = height;
    height += s->channels * LANE + AXIS + MARGIN / 2;
    if (height > TK_MEDIA_MAX_SIDE)
        return TK_FAIL(TK_INPUT, "cannot write %s: the sheet would be %lld pixels high", f->path,
                       (long long)height);
    s->cr = tk_draw_new(WIDTH, height, background);
    for (int i = 0; i < s->n_shots; i++) {
        draw_band(s, i, y);
        y += band_height(s, i) + BAND_GAP;
    }
    draw_sound(s, (double)sound);
    const tk_status st = tk_draw_write(s->cr, f);
    cairo_destroy(s->cr);
    return st;
}

// Shots as given, in order and within the clip; none given = one.
static void set_shots(tk_sheet *s, int n, const int64_t *cut, char *const *caption)
{
    s->n_shots = n < 1 ? 1 : n > MAX_SHOTS ? MAX_SHOTS : n;
    for (int i = 0; i < s->n_shots; i++) {
        int64_t at = i == 0 || !cut ? 0 : cut[i], before = i ? s->cut[i - 1] : 0;
        s->cut[i] = at < before ? before : at > s->frames ? s->frames : at;
        s->caption[i] = caption && i < n && caption[i] ? caption[i] : "";
    }
    s->cut[s->n_shots] = s->frames;
}

tk_status tk_media_contact_sheet(const tk_file *f, const uint8_t *rgb, int64_t frames,
                                 int64_t height, int64_t width, double fps, const float *pcm,
                                 int64_t samples, int64_t channels, int64_t sample_rate,
                                 int n_shots, const int64_t *cut, char *const *caption)
{
    if (frames < 1 || height < 1 || width < 1 || height > TK_MEDIA_MAX_SIDE ||
        width > TK_MEDIA_MAX_SIDE || !(fps > 0) || sample_rate < 1 || channels < 1 || channels > 2)
        return TK_FAIL(TK_INPUT, "cannot write %s: %lld frames of %lld x %lld at %g fps is no clip",
                       f->path, (long long)frames, (long long)width, (long long)height, fps);
    tk_sheet s = {.rgb = rgb, .frames = frames, .height = height, .width = width, .fps = fps};
    s.pcm = pcm;
    s.samples = pcm && samples > 0 ? samples : 0;
    s.channels = channels;
    s.rate = sample_rate;
    set_shots(&s, n_shots, cut, caption);
    s.columns = COLUMNS;
    s.cell_w = (WIDTH - 2 * MARGIN - (s.columns - 1) * GAP) / s.columns;
    s.cell_h = llrint((double)s.cell_w * (double)height / (double)width);
    s.cell_h = s.cell_h < 1 ? 1 : s.cell_h > 2 * s.cell_w ? 2 * s.cell_w : s.cell_h;
    return draw_sheet(&s, f);
}
