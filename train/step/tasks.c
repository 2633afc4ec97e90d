// SPDX-License-Identifier: Apache-2.0
#include "train/step/tasks.h"

// ---- what is given -----------------------------------------------------------------------------

void tk_give_modality(const tk_document *d, int first, int modality, tk_given *g)
{
    const tk_given_box all = tk_given_whole(d, first, modality);
    tk_give(d, first, modality, &all, true, g);
}

void tk_give_frame(const tk_document *d, int first, int64_t frame, tk_given *g)
{
    tk_given_box one = tk_given_whole(d, first, TK_VIDEO);
    one.begin = frame;
    one.end = frame + 1;
    tk_give(d, first, TK_VIDEO, &one, true, g);
}

static void give_all(const tk_document *d, int first, tk_given *g)
{
    tk_give_modality(d, first, TK_VIDEO, g);
    tk_give_modality(d, first, TK_AUDIO, g);
}

// The sound after the last latent frame, a track's tail, goes with it.
void tk_give_but_span(const tk_document *d, int first, const tk_codec_info *k, int64_t begin,
                      int64_t end, tk_given *g)
{
    const int64_t before = tk_given_length(d, 0, TK_VIDEO) - tk_given_length(d, first, TK_VIDEO);
    const int64_t zero = tk_grid_audio_row(k, before);
    tk_given_box picture = tk_given_whole(d, first, TK_VIDEO),
                 sound = tk_given_whole(d, first, TK_AUDIO);
    const int64_t from = tk_grid_audio_row(k, before + begin) - zero;
    const int64_t until = tk_grid_audio_row(k, before + end) - zero;
    if (end < picture.end && until < sound.end) sound.end = until;
    sound.begin = from < sound.end ? from : sound.end;
    picture.begin = begin;
    picture.end = end;
    give_all(d, first, g);
    tk_give(d, first, TK_VIDEO, &picture, false, g);
    tk_give(d, first, TK_AUDIO, &sound, false, g);
}

void tk_give_but_region(const tk_document *d, int first, const tk_given_box *box, tk_given *g)
{
    give_all(d, first, g);
    tk_give(d, first, TK_VIDEO, box, false, g);
}

// ---- the table ---------------------------------------------------------------------------------

typedef struct giving { // to a document under way
    const tk_task_document *d;
    tk_given given;
    tk_key key;
    uint64_t draw; // the next one
} giving;

static int64_t draw_below(giving *g, int64_t n)
{
    return tk_rng_below(g->key, g->draw++, n);
}

static int64_t frames_of(const tk_task_document *d)
{
    return tk_given_length(d->doc, d->first, TK_VIDEO);
}

static bool can_always(const tk_task_document *d)
{
    (void)d;
    return true;
}

static bool can_continue(const tk_task_document *d)
{
    return d->memory > 0;
}

static bool has_references(const tk_task_document *d)
{
    return d->references > 0;
}

static bool has_sound(const tk_task_document *d)
{
    return tk_given_length(d->doc, d->first, TK_AUDIO) > 0;
}

static bool has_frames(const tk_task_document *d)
{
    return frames_of(d) > 1;
}

static bool has_patches(const tk_task_document *d)
{
    return d->doc->height * d->doc->width > 1;
}

// The first latent frame, the last or any, equally often.
static void give_keyframe(giving *g)
{
    const int64_t n = frames_of(g->d), where = draw_below(g, 3), any = draw_below(g, n);
    tk_give_frame(g->d->doc, g->d->first, where == 0 ? 0 : where == 1 ? n - 1 : any, &g->given);
}

static void give_picture(giving *g)
{
    tk_give_modality(g->d->doc, g->d->first, TK_VIDEO, &g->given);
}

static void give_sound(giving *g)
{
    tk_give_modality(g->d->doc, g->d->first, TK_AUDIO, &g->given);
}

// All lengths but the whole are equally likely, as are all places of it.
static void give_around_span(giving *g)
{
    const int64_t all = frames_of(g->d), n = 1 + draw_below(g, all - 1);
    const int64_t begin = draw_below(g, all - n + 1);
    tk_give_but_span(g->d->doc, g->d->first, g->d->codec, begin, begin + n, &g->given);
}

// All sizes but the whole frame are equally likely, as are all places of it.
static void give_around_region(giving *g)
{
    const tk_document *d = g->d->doc;
    const int64_t size = draw_below(g, d->height * d->width - 1);
    const int64_t high = 1 + size / d->width, wide = 1 + size % d->width;
    tk_given_box box = tk_given_whole(d, g->d->first, TK_VIDEO);
    box.top = draw_below(g, d->height - high + 1);
    box.left = draw_below(g, d->width - wide + 1);
    box.bottom = box.top + high;
    box.right = box.left + wide;
    tk_give_but_region(d, g->d->first, &box, &g->given);
}

typedef struct task_row {
    bool (*can)(const tk_task_document *d);
    void (*give)(giving *g); // NULL: nothing of the shots to make
} task_row;

static const task_row table[TK_TASKS] = {
    [TK_TASK_TEXT] = {can_always, NULL},
    [TK_TASK_CONTINUE] = {can_continue, NULL},
    [TK_TASK_KEYFRAME] = {has_frames, give_keyframe},
    [TK_TASK_PICTURE_TO_SOUND] = {has_sound, give_picture},
    [TK_TASK_SOUND_TO_PICTURE] = {has_sound, give_sound},
    [TK_TASK_SPAN] = {has_frames, give_around_span},
    [TK_TASK_REGION] = {has_patches, give_around_region},
    [TK_TASK_REFERENCES] = {has_references, NULL}, // documents.c lays them out
};

const char *const tk_task_name[TK_TASKS] = {
    [TK_TASK_TEXT] = "text",
    [TK_TASK_CONTINUE] = "continue",
    [TK_TASK_KEYFRAME] = "keyframe",
    [TK_TASK_PICTURE_TO_SOUND] = "picture_to_sound",
    [TK_TASK_SOUND_TO_PICTURE] = "sound_to_picture",
    [TK_TASK_SPAN] = "span",
    [TK_TASK_REGION] = "region",
    [TK_TASK_REFERENCES] = "references",
};

// ---- choosing ----------------------------------------------------------------------------------

enum { DRAWS = 8 }; // of a document, at most

tk_task tk_task_choose(const tk_tasks_config *c, tk_key key, int64_t j)
{
    double all = 0;
    int last = TK_TASK_TEXT;
    for (int t = 0; t < TK_TASKS; t++) all += c->weight[t];
    double left = all * tk_rng_uniform(key, DRAWS * (uint64_t)j);
    for (int t = 0; t < TK_TASKS; t++) {
        if (c->weight[t] <= 0) continue;
        if (left < c->weight[t]) return (tk_task)t;
        left -= c->weight[t];
        last = t;
    }
    return (tk_task)last; // by rounding
}

bool tk_task_can(tk_task t, const tk_task_document *d)
{
    return table[t].can(d);
}

tk_status tk_task_give(tk_task t, const tk_task_document *d, tk_key key, int64_t j, tk_arena *a)
{
    giving g = {.d = d, .key = key, .draw = DRAWS * (uint64_t)j + 1};
    if (!table[t].give) return TK_OK;
    TK_TRY(tk_given_open(d->doc, a, &g.given));
    table[t].give(&g);
    return TK_OK;
}
