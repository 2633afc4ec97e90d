// SPDX-License-Identifier: Apache-2.0
// The world's pictures and sounds. Edges are antialiased by analytic coverage, so that the centroid
// of what is drawn is where the scene says; sounds are damped partials that begin at the sample of
// contact.
#include "core/base/log.h"
#include "data/world/world.h"
#include <complex.h>
#include <math.h>
#include <string.h>

enum { STRIP = 256 }; // pixels of a line drawn together

typedef struct colour {
    float r, g, b;
} colour;

static colour mix_colours(colour a, colour b, float t)
{
    return (colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static float clamp01(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

// 0 below a, 1 above b, smooth between.
static float smooth_step(float a, float b, float x)
{
    float t = clamp01((x - a) / (b - a));
    return t * t * (3 - 2 * t);
}

tk_world_view tk_world_view_at(const tk_stage *s, int64_t height, int64_t width, double t)
{
    const tk_world_shot *h = &s->shot[tk_world_shot_at(s, t)];
    return (tk_world_view){.cx = h->cx,
                           .cy = h->cy,
                           .half_width = 0.5 * (double)width,
                           .half_height = 0.5 * (double)height,
                           .pixels_per_metre = (double)width / h->span};
}

void tk_world_project(const tk_world_view *v, double x, double y, double *px, double *py)
{
    *px = v->half_width + (x - v->cx) * v->pixels_per_metre;
    *py = v->half_height - (y - v->cy) * v->pixels_per_metre;
}

// The empty set at world (x, y): a wall with a pool of light, a floor that starts a little behind
// the line the objects stand on. `pixel`: metres a pixel, for the soft edge between them.
static colour set_at(float x, float y, float pixel)
{
    static const colour wall_lit = {0.66f, 0.69f, 0.74f}, wall_dark = {0.36f, 0.39f, 0.46f};
    static const colour floor_far = {0.60f, 0.55f, 0.50f}, floor_near = {0.82f, 0.77f, 0.70f};
    const float back = 0.24f; // where wall and floor meet
    float away = (x * x + (y - 1.5f) * (y - 1.5f)) / 6.0f;
    colour wall = mix_colours(wall_dark, wall_lit, 1 / (1 + away));
    wall = mix_colours(wall, wall_dark, 0.5f * (1 - smooth_step(back, back + 0.5f, y)));
    colour ground =
        mix_colours(floor_far, floor_near, smooth_step(back, -0.8f, y) / (1 + 0.06f * x * x));
    return mix_colours(ground, wall, clamp01((y - back) / pixel + 0.5f));
}

// How much light an object at (ox, oy) keeps from the floor at (x, y): an ellipse under it, fainter
// and softer the higher it is.
static float shadow_at(const tk_world_object *o, float ox, float oy, float x, float y)
{
    float r = (float)o->radius, high = oy - r;
    if (high < 0) high = 0;
    float wide = r * (1.05f + 0.25f * high), deep = 0.28f * wide;
    float u = (x - ox) / wide, v = (y + 0.05f) / deep;
    float soft = 0.35f + 0.35f * clamp01(high);
    float inside = 1 - smooth_step(1 - soft, 1 + soft, sqrtf(u * u + v * v));
    return 0.62f * inside / (1 + 1.6f * high);
}

static colour tint(const tk_world_object *o)
{
    const uint8_t *c = tk_colour_rgb[o->colour];
    return (colour){c[0] / 255.0f, c[1] / 255.0f, c[2] / 255.0f};
}

static colour lit(colour c, float light, float shine)
{
    return (colour){clamp01(c.r * light + shine), clamp01(c.g * light + shine),
                    clamp01(c.b * light + shine)};
}

// Colour of a ball at (u, v) in [-1, 1]^2, light from the upper left and the front.
static colour ball_at(colour c, float u, float v)
{
    float z2 = 1 - u * u - v * v, w = z2 > 0 ? sqrtf(z2) : 0;
    float facing = -0.40f * u + 0.62f * v + 0.675f * w;
    float gloss = -0.219f * u + 0.339f * v + 0.915f * w; // half way to the eye
    float shine = gloss > 0 ? 0.45f * powf(gloss, 40) : 0;
    return lit(c, 0.55f + 0.50f * (facing > 0 ? facing : 0), shine);
}

// Colour of a crate's front: a frame of boards around planks, lit from above.
static colour crate_at(colour c, float u, float v)
{
    float edge = fmaxf(fabsf(u), fabsf(v));
    float frame = smooth_step(0.66f, 0.74f, edge);
    float plank = 0.5f + 0.5f * cosf(3 * 3.14159265f * u);
    float light = 0.80f + 0.10f * v - 0.08f * plank * (1 - frame) + 0.14f * frame;
    if (edge > 0.88f && v > fabsf(u)) light += 0.12f; // the upper edge catches the light
    return lit(c, light, 0);
}

// Part of a pixel `d` pixels outside an edge that lies within it.
static float coverage(float d)
{
    return clamp01(0.5f - d);
}

// The objects of one frame over `c`, the empty set at (x, y). pos: (objects, 2) world metres.
static colour pixel_at(const tk_stage *s, const double *pos, float per, float x, float y, colour c)
{
    static const colour dark = {0.10f, 0.09f, 0.11f};
    for (int i = 0; i < s->n_objects && y < 0.30f; i++)
        c = mix_colours(c, dark,
                        shadow_at(&s->object[i], (float)pos[2 * i], (float)pos[2 * i + 1], x, y));
    for (int i = 0; i < s->n_objects; i++) {
        const tk_world_object *o = &s->object[i];
        float r = (float)o->radius, edge = 1 + 1 / (r * per);
        float u = (x - (float)pos[2 * i]) / r, v = (y - (float)pos[2 * i + 1]) / r;
        if (fabsf(u) > edge || fabsf(v) > edge) continue;
        if (o->kind == TK_BALL) {
            float a = coverage((sqrtf(u * u + v * v) - 1) * r * per);
            if (a > 0) c = mix_colours(c, ball_at(tint(o), u, v), a);
        } else {
            float a = coverage((fabsf(u) - 1) * r * per) * coverage((fabsf(v) - 1) * r * per);
            if (a > 0) c = mix_colours(c, crate_at(tint(o), u, v), a);
        }
    }
    return c;
}

// Line j of frames [first, end), all of shot h. The camera stands still, so the empty set is the
// same in all of them.
static void render_line(const tk_stage *s, const tk_media_config *m, const tk_world_shot *h,
                        int64_t first, int64_t end, int64_t j, uint8_t *rgb)
{
    double per = (double)m->width / h->span, pos[2 * TK_WORLD_OBJECTS];
    double y = h->cy - ((double)j + 0.5 - 0.5 * (double)m->height) / per;
    for (int64_t begin = 0; begin < m->width; begin += STRIP) {
        int64_t n = m->width - begin < STRIP ? m->width - begin : STRIP;
        colour set[STRIP];
        float x[STRIP];
        for (int64_t i = 0; i < n; i++) {
            x[i] = (float)(h->cx + ((double)(begin + i) + 0.5 - 0.5 * (double)m->width) / per);
            set[i] = set_at(x[i], (float)y, (float)(1 / per));
        }
        for (int64_t f = first; f < end; f++) {
            uint8_t *out = rgb + ((f * m->height + j) * m->width + begin) * 3;
            for (int i = 0; i < s->n_objects; i++)
                tk_world_position(s, i, (double)f / (double)m->fps, &pos[2 * i], &pos[2 * i + 1]);
            for (int64_t i = 0; i < n; i++, out += 3) {
                colour c = pixel_at(s, pos, (float)per, x[i], (float)y, set[i]);
                out[0] = (uint8_t)(c.r * 255 + 0.5f);
                out[1] = (uint8_t)(c.g * 255 + 0.5f);
                out[2] = (uint8_t)(c.b * 255 + 0.5f);
            }
        }
    }
}

void tk_world_render(const tk_stage *s, const tk_media_config *m, int64_t frames, uint8_t *rgb)
{
    for (int64_t first = 0, end; first < frames; first = end) {
        tk_alive();
        int k = tk_world_shot_at(s, (double)first / (double)m->fps);
        for (end = first + 1; end < frames; end++)
            if (tk_world_shot_at(s, (double)end / (double)m->fps) != k) break;
        for (int64_t j = 0; j < m->height; j++) render_line(s, m, &s->shot[k], first, end, j, rgb);
    }
}

// Partials of an impact: frequency over the fundamental, loudness, decay in 1/s.
typedef struct partial {
    double ratio, loud, decay;
} partial;
enum { PARTIALS = 3 };
static const double attack = 0.0015; // seconds
static const partial timbre[TK_WORLD_KINDS][PARTIALS] = {
    {{1.0, 0.75, 6}, {2.0, 0.18, 10}, {3.0, 0.07, 16}},  // a ball rings
    {{1.0, 0.60, 11}, {1.6, 0.28, 16}, {2.7, 0.12, 25}}, // a crate knocks
};

// Adds the sound of one impact: every partial is a complex number turned and damped from sample to
// sample. It starts half a sample in, so that the sample of contact is the first that is not
// silent.
static void strike(const tk_stage *s, const tk_media_config *m, const tk_world_contact *k,
                   int64_t samples, float *pcm)
{
    const tk_world_object *o = &s->object[k->object];
    double rate = (double)m->sample_rate, x, y;
    double base = (o->kind == TK_BALL ? 280 * 0.52 : 150 * 0.45) / o->radius;
    double dull = o->restitution > 0.5 ? 1 : 1.7; // what does not bounce does not ring either
    double complex z[PARTIALS], turn[PARTIALS];
    for (int p = 0; p < PARTIALS; p++) {
        const partial *q = &timbre[o->kind][p];
        double heard = base * q->ratio < 0.45 * rate ? q->loud : 0;
        turn[p] = cexp((-q->decay * dull + 2 * M_PI * I * base * q->ratio) / rate);
        z[p] = heard * csqrt(turn[p]);
    }
    tk_world_position(s, k->object, k->t, &x, &y);
    double pan = 0.25 * M_PI * (1 + fmax(-1, fmin(1, x / 2)));
    double gain[2] = {m->channels == 2 ? cos(pan) : 1, sin(pan)};
    double loud = 0.85 * (k->speed < 8 ? k->speed / 8 : 1);
    double soft = exp(-1 / (attack * rate)), quiet = sqrt(soft);
    int64_t first = llround(k->t * rate), last = first + (int64_t)(1.5 * rate); // 78 dB down
    for (int64_t n = first; n < samples && n < last; n++, quiet *= soft) {
        double v = 0;
        for (int p = 0; p < PARTIALS; p++) {
            v += cimag(z[p]);
            z[p] *= turn[p];
        }
        for (int64_t c = 0; c < m->channels; c++)
            pcm[n * m->channels + c] += (float)(loud * (1 - quiet) * v * gain[c]);
    }
}

void tk_world_sound(const tk_stage *s, const tk_media_config *m, int64_t samples, float *pcm)
{
    memset(pcm, 0, (size_t)(samples * m->channels) * sizeof *pcm);
    for (int i = 0; i < s->n_contacts; i++) strike(s, m, &s->contact[i], samples, pcm);
    for (int64_t i = 0; i < samples * m->channels; i++)
        pcm[i] = pcm[i] < -1 ? -1 : pcm[i] > 1 ? 1 : pcm[i];
}
