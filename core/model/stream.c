// SPDX-License-Identifier: Apache-2.0
#include "core/model/stream.h"
#include <math.h>
#include <string.h>

tk_status tk_stream_init(tk_stream *s, tk_arena *a, int64_t rows, int64_t documents, int64_t levels)
{
    memset(s, 0, sizeof *s);
    TK_ARENA_NEW(s->modality, a, rows);
    TK_ARENA_NEW(s->level, a, rows);
    TK_ARENA_NEW(s->document, a, rows);
    TK_ARENA_NEW(s->shot, a, rows);
    TK_ARENA_NEW(s->number, a, rows);
    TK_ARENA_NEW(s->target, a, rows);
    TK_ARENA_NEW(s->position, a, rows);
    TK_ARENA_NEW(s->timestep, a, levels);
    TK_ARENA_NEW(s->document_start, a, documents + 1);
    TK_ARENA_NEW(s->document_id, a, documents);
    for (int m = 0; m < TK_MODALITIES; m++) TK_ARENA_NEW(s->row[m], a, rows);
    s->cap_rows = rows;
    s->cap_documents = documents;
    s->cap_levels = levels;
    return TK_OK;
}

typedef struct frame_size {
    int64_t height, width; // in rows
} frame_size;

static frame_size size_of(const tk_document *d, int shot)
{
    const tk_shot_rows *s = &d->shots[shot];
    return s->height ? (frame_size){s->height, s->width} : (frame_size){d->height, d->width};
}

int64_t tk_shot_count(const tk_document *d, int shot, int modality)
{
    const tk_shot_rows *s = &d->shots[shot];
    const frame_size size = size_of(d, shot);
    if (modality == TK_VIDEO) return s->latent_frames * size.height * size.width;
    return modality == TK_AUDIO ? s->audio_rows * d->audio_channels : 0;
}

int64_t tk_document_rows(const tk_document *d, int64_t count[TK_MODALITIES])
{
    int64_t n[TK_MODALITIES] = {[TK_TEXT] = d->text_rows};
    for (int i = 0; i < d->n_shots; i++)
        for (int m = 0; m < TK_MODALITIES; m++) n[m] += tk_shot_count(d, i, m);
    if (count) memcpy(count, n, sizeof n);
    return n[0] + n[1] + n[2];
}

int64_t tk_document_targets(const tk_document *d, int modality)
{
    int64_t n = 0, at = 0;
    for (int k = 0; k < d->n_shots; k++)
        for (const int64_t end = at + tk_shot_count(d, k, modality); at < end; at++)
            n += tk_row_is_target(d, k, modality, at);
    return n;
}

// Index of noise level t among the stream's distinct levels, added if new; -1: no room.
static int32_t level_of(tk_stream *s, double t)
{
    const float value = (float)t;
    for (int64_t i = 0; i < s->n_levels; i++)
        if (s->timestep[i] == value) return (int32_t)i;
    if (s->n_levels == s->cap_levels) return -1;
    s->timestep[s->n_levels] = value;
    return (int32_t)s->n_levels++;
}

typedef struct laying { // rows of a document on their way into the stream
    tk_stream *s;
    const tk_document *d;
    double origin; // of its media time
    int32_t clean, level[TK_MODALITIES];
    int64_t laid[TK_MODALITIES];
    int32_t passed; // shots so far that are no references
    int32_t number; // of the rows that come next
} laying;

// References lie before media time 0 and have no number.
static void come_to_shot(laying *l, int k)
{
    const bool reference = l->d->shots[k].start < 0;
    l->passed += !reference;
    l->number = reference ? 0 : l->passed;
}

static void add_row(laying *l, int modality, int shot, double t, double h, double w)
{
    tk_stream *s = l->s;
    const int64_t own = l->laid[modality]++;
    const bool target = shot >= 0 && tk_row_is_target(l->d, shot, modality, own);
    const bool given = shot >= 0 && !target;
    if (l->d->laid == (given ? TK_LAID_OTHERS : TK_LAID_GIVEN)) return;
    const int64_t i = s->rows++;
    s->modality[i] = modality;
    s->level[i] = given ? l->clean : l->level[modality];
    s->document[i] = (int32_t)s->n_documents;
    s->shot[i] = shot;
    s->number[i] = l->number;
    s->target[i] = target;
    s->position[i][0] = t;
    s->position[i][1] = h;
    s->position[i][2] = w;
    s->row[modality][s->count[modality]++] = (int32_t)i;
}

// Coordinate i of a side of n rows out of a frame of `area` rows: the side spans n / sqrt(area) of
// the unit interval, centred on its middle, times SPAN, right end excluded.
enum { SPAN = 32 };
static double axis_position(int64_t i, int64_t n, int64_t area)
{
    const double side = (double)n / sqrt((double)area);
    return SPAN * (0.5 - side / 2 + side * (double)i / (double)n);
}

// A caption's rows have its shot's number, where it is known which are whose.
static void lay_text(laying *l)
{
    const tk_document *d = l->d;
    int64_t i = 0;
    for (int k = 0; k < d->n_shots && d->caption_rows; k++) {
        come_to_shot(l, k);
        for (const int64_t end = i + d->caption_rows[k]; i < end; i++)
            add_row(l, TK_TEXT, -1, (double)i, 0, 0);
    }
    l->passed = l->number = 0;
    for (; i < d->text_rows; i++) add_row(l, TK_TEXT, -1, (double)i, 0, 0);
}

static void add_audio(laying *l, int k)
{
    const tk_document *d = l->d;
    const tk_shot_rows *shot = &d->shots[k];
    const frame_size size = size_of(d, k);
    const int64_t area = size.height * size.width;
    const double w[2] = {axis_position(0, size.width, area),
                         axis_position(size.width - 1, size.width, area)};
    for (int64_t i = 0; i < shot->audio_rows; i++)
        for (int64_t c = 0; c < d->audio_channels; c++)
            add_row(l, TK_AUDIO, k, l->origin + shot->start * TK_CLOCK + (double)i * d->audio_units,
                    0, w[c]);
}

static void add_video(laying *l, int k)
{
    const tk_document *d = l->d;
    const tk_shot_rows *shot = &d->shots[k];
    const frame_size size = size_of(d, k);
    const int64_t area = size.height * size.width;
    int64_t frames = 0; // pixel frames before this latent frame
    int n = 0;
    while (n < TK_CADENCE && d->cadence[n]) n++;
    for (int64_t f = 0; f < shot->latent_frames; f++) {
        const double t = l->origin + shot->start * TK_CLOCK + (double)(frames * TK_CLOCK) / d->fps;
        frames += d->cadence[f % n];
        for (int64_t y = 0; y < size.height; y++)
            for (int64_t x = 0; x < size.width; x++)
                add_row(l, TK_VIDEO, k, t, axis_position(y, size.height, area),
                        axis_position(x, size.width, area));
    }
}

static tk_status find_levels(laying *l)
{
    tk_stream *s = l->s;
    l->clean = level_of(s, l->d->t_clean);
    l->level[TK_VIDEO] = level_of(s, l->d->t_video);
    l->level[TK_AUDIO] = level_of(s, l->d->t_audio);
    l->level[TK_TEXT] = l->level[TK_VIDEO]; // as in the released family: the target video's
    if (l->clean < 0 || l->level[TK_VIDEO] < 0 || l->level[TK_AUDIO] < 0)
        return TK_FAIL(TK_INTERNAL, "stream has no room for more than %lld noise levels",
                       (long long)s->cap_levels);
    return TK_OK;
}

static tk_status check_captions(const tk_document *d)
{
    int64_t rows = 0;
    for (int k = 0; k < d->n_shots && d->caption_rows; k++) rows += d->caption_rows[k];
    if (rows > d->text_rows)
        return TK_FAIL(TK_INTERNAL, "captions of %lld rows in a document of %lld of text",
                       (long long)rows, (long long)d->text_rows);
    return TK_OK;
}

tk_status tk_stream_append(tk_stream *s, const tk_document *d)
{
    const int64_t rows = tk_document_rows(d, NULL);
    laying l = {.s = s, .d = d, .origin = (double)d->text_rows};
    if (s->rows + rows > s->cap_rows || s->n_documents == s->cap_documents)
        return TK_FAIL(TK_INTERNAL, "stream of %lld rows and %lld documents is full",
                       (long long)s->cap_rows, (long long)s->cap_documents);
    if (!d->cadence[0] || !(d->fps > 0))
        return TK_FAIL(TK_INTERNAL, "a document without frame rate or cadence");
    TK_TRY(check_captions(d));
    TK_TRY(find_levels(&l));
    lay_text(&l);
    for (int k = 0; k < d->n_shots; k++) {
        come_to_shot(&l, k);
        add_audio(&l, k);
        add_video(&l, k);
    }
    s->document_id[s->n_documents++] = d->id;
    s->document_start[s->n_documents] = (int32_t)s->rows;
    return TK_OK;
}
