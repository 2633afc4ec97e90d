// SPDX-License-Identifier: Apache-2.0
// What was seen of heads in some frames of a shot: who is in it, and where a head goes.
#include "infer/judges/people/heads.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int tk_heads_frames(int64_t frames)
{
    return (int)(frames < TK_HEADS_WATCHED ? frames : TK_HEADS_WATCHED);
}

int64_t tk_heads_frame(int64_t frames, int k)
{
    const int n = tk_heads_frames(frames);
    return n > 1 ? k * (frames - 1) / (n - 1) : 0;
}

tk_status tk_heads_watch(const tk_head_finder *h, int style, const uint8_t *rgb, int64_t frames,
                         tk_head_sightings *out)
{
    *out = (tk_head_sightings){.n = tk_heads_frames(frames)};
    for (int k = 0; k < out->n; k++) {
        out->frame[k] = tk_heads_frame(frames, k);
        TK_TRY(tk_heads_find(h, style, rgb + out->frame[k] * h->height * h->width * 3,
                             TK_HEADS_SEEN, out->head[k], &out->heads[k]));
    }
    return TK_OK;
}

int tk_heads_who(const tk_head_sightings *s, double sure[TK_HEAD_PEOPLE])
{
    int best = 0;
    memset(sure, 0, TK_HEAD_PEOPLE * sizeof *sure);
    for (int k = 0; k < s->n; k++)
        for (int i = 0; i < s->heads[k]; i++)
            sure[s->head[k][i].who] += s->head[k][i].sure / (double)s->n;
    for (int q = 1; q < TK_HEAD_PEOPLE; q++)
        if (sure[q] > sure[best]) best = q;
    return sure[best] > 0 ? best : -1;
}

static double on_line(const double line[2], int64_t frame)
{
    return line[0] + line[1] * (double)frame;
}

tk_head tk_heads_at(const tk_head_way *s, int64_t frame)
{
    int near = 0;
    for (int i = 1; i < s->n; i++)
        if (llabs(s->frame[i] - frame) < llabs(s->frame[near] - frame)) near = i;
    tk_head h = s->head[near];
    h.x = on_line(s->x, frame), h.y = on_line(s->y, frame), h.r = on_line(s->r, frame);
    return h;
}

// The straight way from sighting i to sighting j; i == j: it stays.
static void draw_way(tk_head_way *s, int i, int j)
{
    const double n = i == j ? 1 : (double)(s->frame[j] - s->frame[i]);
    const tk_head *p = &s->head[i], *q = &s->head[j];
    const double by[3] = {(q->x - p->x) / n, (q->y - p->y) / n, (q->r - p->r) / n};
    const double f = (double)s->frame[i];
    s->x[0] = p->x - f * by[0], s->x[1] = by[0];
    s->y[0] = p->y - f * by[1], s->y[1] = by[1];
    s->r[0] = p->r - f * by[2], s->r[1] = by[2];
}

static double off_way(const tk_head_way *s, int i)
{
    const tk_head at = tk_heads_at(s, s->frame[i]), *h = &s->head[i];
    return hypot(at.x - h->x, at.y - h->y) / h->r + fabs(log(fmax(at.r, 0.1) / h->r));
}

static void keep_near(tk_head_way *s)
{
    int kept = 0;
    for (int i = 0; i < s->n; i++) {
        if (off_way(s, i) > 0.5) continue;
        s->frame[kept] = s->frame[i], s->head[kept++] = s->head[i];
    }
    s->n = kept;
}

// A line of least squares through n numbers v of frames f.
static void fit_line(int n, const int64_t *f, const double *v, double line[2])
{
    double a = 0, b = 0, aa = 0, ab = 0;
    for (int i = 0; i < n; i++) {
        const double x = (double)f[i];
        a += x / n, b += v[i] / n, aa += x * x / n, ab += x * v[i] / n;
    }
    line[1] = aa - a * a > 1e-9 ? (ab - a * b) / (aa - a * a) : 0;
    line[0] = b - line[1] * a;
}

static void find_way(tk_head_way *s)
{
    double least = INFINITY, v[3][TK_HEADS_WATCHED];
    int from = 0, to = 0;
    for (int i = 0; i < s->n; i++)
        for (int j = i; j < s->n; j++) {
            double sum = 0;
            draw_way(s, i, j);
            for (int k = 0; k < s->n; k++) sum += fmin(off_way(s, k), 0.5);
            if (sum < least) least = sum, from = i, to = j;
        }
    draw_way(s, from, to);
    keep_near(s);
    for (int i = 0; i < s->n; i++)
        v[0][i] = s->head[i].x, v[1][i] = s->head[i].y, v[2][i] = s->head[i].r;
    fit_line(s->n, s->frame, v[0], s->x);
    fit_line(s->n, s->frame, v[1], s->y);
    fit_line(s->n, s->frame, v[2], s->r);
}

void tk_heads_follow(const tk_head_sightings *s, int who, tk_head_way *out)
{
    *out = (tk_head_way){0};
    for (int k = 0; k < s->n; k++) {
        int best = 0;
        while (best < s->heads[k] && who >= 0 && s->head[k][best].who != who) best++;
        if (best == s->heads[k]) continue;
        out->frame[out->n] = s->frame[k], out->head[out->n++] = s->head[k][best];
    }
    if (out->n > 0) find_way(out);
}
