// SPDX-License-Identifier: Apache-2.0
#include "data/scene/camera.h"
#include <math.h>

enum { SAMPLES = 64 };
static const double margin = 0.05;                            // metres kept free around subjects
static const double floor_part[TK_SIZES] = {0.18, 0.12, 0.2}; // of the height, under the floor

typedef struct bounds { // what must be in view at a time; u: part of the shot
    double u, x0, x1, y0, y1;
} bounds;

typedef struct lens {
    const tk_media_config *m;
    const tk_shot *h;
    int n;
    bounds need[SAMPLES];
} lens;

double tk_camera_span(const tk_media_config *m, tk_size size)
{
    const double side = (double)(m->width < m->height ? m->width : m->height);
    return TK_VIEW_METRES(size) * (double)m->width / side;
}

static double height_of(const lens *l, double span)
{
    return span * (double)l->m->height / (double)l->m->width;
}

static void take_in(bounds *b, double x, double y, double half_width, double half_height)
{
    b->x0 = fmin(b->x0, x - half_width - margin), b->x1 = fmax(b->x1, x + half_width + margin);
    b->y0 = fmin(b->y0, y - half_height - margin), b->y1 = fmax(b->y1, y + half_height + margin);
}

static void take_in_person(const tk_scene *s, int person, double t, bool close, bounds *b)
{
    const tk_character *c = tk_scene_character(s, person);
    const tk_face f = tk_scene_face_at(s, person, t);
    take_in(b, f.x, f.y, f.half_width, f.half_height);
    if (!close) {
        const double x = tk_scene_body_at(s, person, t).x;
        take_in(b, x, 0.5 * c->height, 0.16 * c->height, 0.5 * c->height - margin);
    }
}

static void take_in_thing(const tk_scene *s, int thing, double t, bounds *b)
{
    const tk_pose p = tk_scene_thing_at(s, thing, t);
    const double r = s->thing[thing].radius;
    if (p.seen) take_in(b, p.x, p.y, r, r);
}

// What the shot is about at time t. A balloon leaves the one who lets it go behind.
static bounds need_at(const tk_scene *s, const tk_shot *h, tk_size size, double t)
{
    bounds b = {(t - h->start) / h->seconds, INFINITY, -INFINITY, INFINITY, -INFINITY};
    const bool rises = h->thing >= 0 && s->thing[h->thing].kind == TK_BALLOON;
    const bool alone = rises && tk_scene_thing_at(s, h->thing, t).y > 1.2;
    if (h->person >= 0 && !alone) take_in_person(s, h->person, t, size == TK_SIZE_CLOSE, &b);
    if (h->thing >= 0) take_in_thing(s, h->thing, t, &b);
    if (h->beat == TK_BEAT_HIT) take_in_thing(s, h->other, t, &b);
    return b;
}

static void look_over(const tk_scene *s, lens *l, tk_size size)
{
    const tk_shot *h = l->h;
    int n = (int)ceil(12 * h->seconds);
    l->n = n < 8 ? 8 : n > SAMPLES ? SAMPLES : n;
    for (int i = 0; i < l->n; i++)
        l->need[i] = need_at(s, h, size, h->start + h->seconds * i / (l->n - 1));
}

// Whether what is needed stays in view while the camera goes evenly from one place to the other.
static bool holds(const lens *l, tk_camera from, tk_camera to)
{
    for (int i = 0; i < l->n; i++) {
        const bounds *b = &l->need[i];
        const double cx = from.cx + (to.cx - from.cx) * b->u,
                     cy = from.cy + (to.cy - from.cy) * b->u;
        const double span = from.span + (to.span - from.span) * b->u;
        const double w = 0.5 * span, h = 0.5 * height_of(l, span);
        if (b->x0 < cx - w || b->x1 > cx + w || b->y0 < cy - h || b->y1 > cy + h) return false;
    }
    return true;
}

// The centre nearest to `want` from which [low, high] is in view of a half width; its middle if it
// cannot be all.
static double held_centre(double want, double low, double high, double half)
{
    if (high - low > 2 * half) return 0.5 * (low + high);
    return fmin(fmax(want, high - half), low + half);
}

// `at` moved to the coarsest step of the view from which [low, high] is still seen: cameras stand
// on marks too.
static double on_mark(double at, double low, double high, double half)
{
    for (double step = half / 3; step > half / 30; step *= 0.5) {
        const double mark = step * round(at / step);
        if (low >= mark - half && high <= mark + half) return mark;
    }
    return at;
}

// A camera of that size that has samples [first, end) in view.
static tk_camera frame(const lens *l, tk_size size, int first, int end, double wish)
{
    bounds all = l->need[first];
    for (int i = first; i < end; i++) {
        const bounds *b = &l->need[i];
        all.x0 = fmin(all.x0, b->x0), all.x1 = fmax(all.x1, b->x1);
        all.y0 = fmin(all.y0, b->y0), all.y1 = fmax(all.y1, b->y1);
    }
    tk_camera c = {.span = tk_camera_span(l->m, size)};
    const double high = height_of(l, c.span), mid = 0.5 * (all.x0 + all.x1);
    const double eye = size == TK_SIZE_CLOSE ? 0.5 * (all.y0 + all.y1) - 0.06 * high
                                             : (0.5 - floor_part[size]) * high;
    double want = mid + wish * c.span;
    if (size == TK_SIZE_WIDE) { // the set as it lies, but the subject not far out
        const double far = 0.28 * c.span;
        want = fmin(fmax(wish, mid - far), mid + far);
    }
    c.cx = held_centre(want, all.x0, all.x1, 0.5 * c.span);
    c.cy = held_centre(eye, all.y0, all.y1, 0.5 * high);
    if (size != TK_SIZE_CLOSE) { // what is seen close is in the middle, wherever it is
        c.cx = on_mark(c.cx, all.x0, all.x1, 0.5 * c.span);
        if (c.cy != eye) c.cy = on_mark(c.cy, all.y0, all.y1, 0.5 * high);
    }
    return c;
}

static bool try_move(const lens *l, tk_size size, tk_move move, double wish, tk_shot *h)
{
    tk_camera from = frame(l, size, 0, l->n, wish), to = from;
    if (move == TK_MOVE_PAN) {
        from = frame(l, size, 0, 1, 0);
        to = frame(l, size, l->n - 1, l->n, 0);
        if (size == TK_SIZE_WIDE) {
            from.cx = 0.5 * (l->need[0].x0 + l->need[0].x1);
            to.cx = 0.5 * (l->need[l->n - 1].x0 + l->need[l->n - 1].x1);
        }
        if (hypot(to.cx - from.cx, to.cy - from.cy) < 0.15 * from.span) return false;
    } else if (move == TK_MOVE_PUSH) {
        if (size == TK_SIZE_CLOSE) return false;
        to = frame(l, size + 1, l->n - 1, l->n, 0);
    }
    if (!holds(l, from, to)) return false;
    h->size = size, h->move = move, h->from = from, h->to = to;
    return true;
}

// Of still cameras: where in the frame the thing is to begin.
static double wish_of(const tk_scene *s, const tk_shot *h, tk_size size, double span, int place)
{
    static const double aside[TK_SIZES] = {0.30, 0.22, 0.10};
    if (place < 0) return 0;
    const double part = (place - 1) * aside[size];
    if (size != TK_SIZE_WIDE) return -part;
    return tk_scene_thing_at(s, h->thing, h->start).x - part * span;
}

// Whether the cut to the shot can be seen: it changes the size, goes to the other side, or moves
// the view by a third of its width.
static bool cut_shows(const tk_shot *h, int k)
{
    if (k == 0 || h->reverse != h[-1].reverse) return true;
    const tk_camera *from = &h[-1].to, *to = &h->from;
    const double zoom = to->span / from->span;
    return zoom > 1.25 || zoom < 0.8 ||
           hypot(to->cx - from->cx, to->cy - from->cy) >= fmax(from->span, to->span) / 3;
}

// A camera of that size, of the moves that hold the subjects the one asked for first.
static bool try_size(tk_scene *s, lens *l, int k, tk_size size, tk_move asked, int place)
{
    static const tk_move others[] = {TK_MOVE_NONE, TK_MOVE_PAN};
    tk_shot *h = &s->shot[k];
    const double wish = wish_of(s, h, size, tk_camera_span(l->m, size), place);
    look_over(s, l, size);
    if (try_move(l, size, asked, wish, h) && cut_shows(h, k)) return true;
    for (int i = 0; i < 2; i++)
        if (others[i] != asked && try_move(l, size, others[i], wish, h) && cut_shows(h, k))
            return true;
    return false;
}

bool tk_camera_set(tk_scene *s, const tk_media_config *m, int k, int place)
{
    const tk_shot *h = &s->shot[k];
    lens l = {.m = m, .h = h};
    const tk_size asked = h->size;
    const tk_move move = h->move;
    const bool still = h->beat == TK_BEAT_LOOK || h->beat == TK_BEAT_SAY ||
                       h->beat == TK_BEAT_TURN || h->beat == TK_BEAT_ASK ||
                       h->beat == TK_BEAT_ANSWER;
    const int closest = still ? TK_SIZE_CLOSE : TK_SIZE_MEDIUM; // deeds are seen whole
    for (int size = (int)asked; size >= TK_SIZE_WIDE; size--)
        if (try_size(s, &l, k, (tk_size)size, move, place)) return true;
    for (int size = (int)asked + 1; size <= closest; size++)
        if (try_size(s, &l, k, (tk_size)size, move, place)) return true;
    return false;
}

// ---- what is seen ------------------------------------------------------------------------------

int tk_scene_shot_at(const tk_scene *s, double t)
{
    int k = 0;
    while (k + 1 < s->n_shots && t >= s->shot[k + 1].start - 1e-9) k++;
    return k;
}

bool tk_scene_in_style(const tk_scene *s, tk_style style)
{
    for (int k = 0; k < s->n_shots; k++)
        if (s->shot[k].style == style) return true;
    return false;
}

tk_view tk_scene_view_at(const tk_scene *s, int64_t height, int64_t width, double t)
{
    const tk_shot *h = &s->shot[tk_scene_shot_at(s, t)];
    const double u = fmin(fmax((t - h->start) / h->seconds, 0), 1);
    const double span = h->from.span + (h->to.span - h->from.span) * u;
    return (tk_view){.cx = h->from.cx + (h->to.cx - h->from.cx) * u,
                     .cy = h->from.cy + (h->to.cy - h->from.cy) * u,
                     .half_width = 0.5 * (double)width,
                     .half_height = 0.5 * (double)height,
                     .pixels_per_metre = (double)width / span};
}

void tk_scene_project(const tk_view *v, double x, double y, double *px, double *py)
{
    *px = v->half_width + (x - v->cx) * v->pixels_per_metre;
    *py = v->half_height - (y - v->cy) * v->pixels_per_metre;
}
