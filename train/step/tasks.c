// SPDX-License-Identifier: Apache-2.0
#include "train/step/tasks.h"

// ---- what is given -----------------------------------------------------------------------------

tk_status tk_give_modality(tk_given *g, int modality)
{
    return tk_give(g, modality, &g->whole[modality], true);
}

tk_status tk_give_frame(tk_given *g, int64_t frame)
{
    tk_given_box one = g->whole[TK_VIDEO];
    one.begin = frame;
    one.end = frame + 1;
    return tk_give(g, TK_VIDEO, &one, true);
}

static tk_status give_all(tk_given *g)
{
    TK_TRY(tk_give_modality(g, TK_VIDEO));
    return tk_give_modality(g, TK_AUDIO);
}

// The sound after the last latent frame, a track's tail, goes with it.
tk_status tk_give_but_span(tk_given *g, const tk_codec_info *k, int64_t begin, int64_t end)
{
    const int64_t zero = tk_grid_audio_row(k, g->before);
    tk_given_box picture = g->whole[TK_VIDEO], sound = g->whole[TK_AUDIO];
    const int64_t from = tk_grid_audio_row(k, g->before + begin) - zero;
    const int64_t until = tk_grid_audio_row(k, g->before + end) - zero;
    if (end < picture.end && until < sound.end) sound.end = until;
    sound.begin = from < sound.end ? from : sound.end;
    picture.begin = begin;
    picture.end = end;
    TK_TRY(give_all(g));
    TK_TRY(tk_give(g, TK_VIDEO, &picture, false));
    return tk_give(g, TK_AUDIO, &sound, false);
}

tk_status tk_give_but_region(tk_given *g, const tk_given_box *box)
{
    TK_TRY(give_all(g));
    return tk_give(g, TK_VIDEO, box, false);
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
static tk_status give_keyframe(giving *g)
{
    const int64_t n = frames_of(g->d), where = draw_below(g, 3), any = draw_below(g, n);
    return tk_give_frame(&g->given, where == 0 ? 0 : where == 1 ? n - 1 : any);
}

static tk_status give_picture(giving *g)
{
    return tk_give_modality(&g->given, TK_VIDEO);
}

static tk_status give_sound(giving *g)
{
    return tk_give_modality(&g->given, TK_AUDIO);
}

// All lengths but the whole are equally likely, as are all places of it.
static tk_status give_around_span(giving *g)
{
    const int64_t all = frames_of(g->d), n = 1 + draw_below(g, all - 1);
    const int64_t begin = draw_below(g, all - n + 1);
    return tk_give_but_span(&g->given, g->d->codec, begin, begin + n);
}

// All sizes but the whole frame are equally likely, as are all places of it.
static tk_status give_around_region(giving *g)
{
    const tk_document *d = g->d->doc;
    const int64_t size = draw_below(g, d->height * d->width - 1);
    const int64_t high = 1 + size / d->width, wide = 1 + size % d->width;
    tk_given_box box = g->given.whole[TK_VIDEO];
    box.top = draw_below(g, d->height - high + 1);
    box.left = draw_below(g, d->width - wide + 1);
    box.bottom = box.top + high;
    box.right = box.left + wide;
    return tk_give_but_region(&g->given, &box);
}

typedef struct task_row {
    bool (*can)(const tk_task_document *d);
    tk_status (*give)(giving *g); // NULL: nothing of the shots to make
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
    static const int64_t begin[TK_MODALITIES];
    giving g = {.d = d, .key = key, .draw = DRAWS * (uint64_t)j + 1};
    if (!table[t].give) return TK_OK;
    tk_given_open(d->doc, d->first, a, &g.given);
    TK_TRY(table[t].give(&g));
    return tk_given_mask(&g.given, begin, d->first, a, d->doc);
}
