// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/tasks/given.h"
#include <math.h>
#include <string.h>

// ---- the table ---------------------------------------------------------------------------------

static const tk_figure over_cut[] = {TK_FIG_STYLE,        TK_FIG_SAME,       TK_FIG_SAME_FACE,
                                     TK_FIG_SAME_CLOTHES, TK_FIG_SAME_VOICE, TK_FIG_SAME_SET,
                                     TK_FIG_SAME_SCAPE,   TK_FIG_STATE},
                       looks[] = {TK_FIG_WHO,    TK_FIG_CLOTHES, TK_FIG_KIND,  TK_FIG_COLOUR,
                                  TK_FIG_OBJECT, TK_FIG_SET,     TK_FIG_STYLE, TK_FIG_SIZE},
                       heard[] = {TK_FIG_SYNC, TK_FIG_STEPS, TK_FIG_VOICE, TK_FIG_LIPS,
                                  TK_FIG_SCAPE},
                       seen[] = {TK_FIG_SYNC, TK_FIG_LIPS},
                       between[] = {TK_FIG_WHO,      TK_FIG_CLOTHES,      TK_FIG_OBJECT,
                                    TK_FIG_SET,      TK_FIG_STYLE,        TK_FIG_CUTS,
                                    TK_FIG_SCAPE,    TK_FIG_SAME,         TK_FIG_SAME_FACE,
                                    TK_FIG_SAME_SET, TK_FIG_SAME_CLOTHES, TK_FIG_SAME_SCAPE},
                       within[] = {TK_FIG_WHO, TK_FIG_CLOTHES, TK_FIG_OBJECT};

#define FIGURES(list) .figures = list, .n = sizeof(list) / sizeof *(list)
const tk_asked_task tk_asked_tasks[TK_ASKED_TASKS] = {
    {TK_TASK_CONTINUE, false, true, "the last shot, after the shots before it", FIGURES(over_cut)},
    {TK_TASK_KEYFRAME, false, false, "a shot, around a picture from its middle", FIGURES(looks)},
    {TK_TASK_PICTURE_TO_SOUND, false, true, "the sound, to the picture", FIGURES(heard)},
    {TK_TASK_SOUND_TO_PICTURE, true, false, "the picture, to the sound", FIGURES(seen)},
    {TK_TASK_SPAN, false, false, "all but the first and the last eighth, between these",
     FIGURES(between)},
    {TK_TASK_REGION, false, false, "the picture but for its border, within that", FIGURES(within)},
};
#undef FIGURES

// ---- what is given -----------------------------------------------------------------------------

static const double nearly = 0.6; // of a shot

// The middle shot of the clip; given of it is the picture in its middle.
static tk_status give_picture_of_middle(const tk_story *s, tk_asked_parts *p)
{
    const int h = s->n_shots / 2;
    const tk_story_shot *shot = &s->shot[h];
    const int64_t at = shot->first_latent + shot->latents / 2;
    p->made[h] = shot->latents > 1;
    p->hide = at;
    p->show = at > shot->first_latent ? at - 1 : at + 1;
    return tk_give_frame(&p->given.what, at);
}

// All but a span of time; shots count that lie in it nearly whole.
static tk_status give_around(const tk_story *s, const tk_codec_info *k, int64_t begin, int64_t end,
                             tk_asked_parts *p)
{
    for (int h = 0; h < s->n_shots; h++) {
        const int64_t first = s->shot[h].first_latent, last = first + s->shot[h].latents;
        const int64_t in = (last < end ? last : end) - (first > begin ? first : begin);
        p->made[h] = (double)in >= nearly * (double)s->shot[h].latents;
    }
    return tk_give_but_span(&p->given.what, k, begin, end);
}

// The border is as wide as an eighth of the side, in whole patches.
static tk_status give_frame_edge(const tk_story *s, tk_asked_parts *p)
{
    tk_given_box box = p->given.what.whole[TK_VIDEO];
    box.top = (box.bottom + 7) / 8;
    box.bottom -= box.top;
    box.left = (box.right + 7) / 8;
    box.right -= box.left;
    for (int h = 0; h < s->n_shots; h++) p->made[h] = box.top < box.bottom && box.left < box.right;
    return tk_give_but_region(&p->given.what, &box);
}

static tk_status give_one(const tk_story *s, int m, tk_asked_parts *p)
{
    for (int h = 0; h < s->n_shots; h++) p->made[h] = true;
    return tk_give_modality(&p->given.what, m);
}

static tk_status give_parts(tk_task t, const tk_story *s, const tk_codec_info *k, tk_asked_parts *p)
{
    const int64_t all = s->grid.latent_frames;
    switch (t) {
    case TK_TASK_CONTINUE:
        return give_around(s, k, s->shot[s->n_shots - 1].first_latent, all, p);
    case TK_TASK_KEYFRAME:
        return give_picture_of_middle(s, p);
    case TK_TASK_PICTURE_TO_SOUND:
        return give_one(s, TK_VIDEO, p);
    case TK_TASK_SOUND_TO_PICTURE:
        return give_one(s, TK_AUDIO, p);
    case TK_TASK_SPAN:
        return give_around(s, k, (all + 7) / 8, all - (all + 7) / 8, p);
    default:
        return give_frame_edge(s, p);
    }
}

tk_status tk_asked_parts_of(const tk_asked_task *t, const tk_story *plan, const tk_codec_info *k,
                            tk_arena *a, tk_asked_parts *out, bool *can)
{
    *out = (tk_asked_parts){.hide = -1};
    TK_TRY(tk_story_given_open(&out->given, plan, k, a));
    const tk_task_document of = {.doc = &out->given.doc, .memory = plan->n_shots - 1, .codec = k};
    *can = tk_task_can(t->task, &of);
    if (!*can) return TK_OK;
    TK_TRY(give_parts(t->task, plan, k, out));
    *can = false;
    for (int h = 0; h < plan->n_shots; h++) *can |= out->made[h];
    return TK_OK;
}

// ---- what is judged ----------------------------------------------------------------------------

static tk_status join_rows(const tk_given *given, int m, int64_t rows, int64_t channels,
                           const float *own, const float *made, tk_arena *a, float **out)
{
    uint8_t *is_given;
    TK_ARENA_NEW(is_given, a, rows);
    TK_ARENA_NEW(*out, a, rows * channels);
    tk_given_rows(given, m, 0, given->whole[m].end, is_given);
    for (int64_t r = 0; r < rows; r++)
        memcpy(*out + r * channels, (is_given[r] ? own : made) + r * channels,
               (size_t)channels * sizeof **out);
    return TK_OK;
}

tk_status tk_asked_join(const tk_asked_parts *p, const tk_story *plan, const tk_codec_info *k,
                        const tk_latents *own, const tk_latents *made, tk_arena *a, tk_latents *out)
{
    const int64_t video = plan->grid.video_rows, audio = plan->grid.audio_rows * plan->channels;
    const int64_t frame = plan->grid.high * plan->grid.wide * k->video_channels;
    float *picture, *sound;
    TK_TRY(join_rows(&p->given.what, TK_VIDEO, video, k->video_channels, own->rows[TK_VIDEO],
                     made->rows[TK_VIDEO], a, &picture));
    TK_TRY(join_rows(&p->given.what, TK_AUDIO, audio, k->audio_channels, own->rows[TK_AUDIO],
                     made->rows[TK_AUDIO], a, &sound));
    if (p->hide >= 0)
        memcpy(picture + p->hide * frame, picture + p->show * frame,
               (size_t)frame * sizeof *picture);
    *out = (tk_latents){.rows = {[TK_VIDEO] = picture, [TK_AUDIO] = sound}};
    return TK_OK;
}

// Offsets go with the figures that they are told with.
static void count_offsets(const tk_figures *f, tk_offset k, tk_figures *to)
{
    for (int b = 0; b < TK_OFFSET_BINS; b++) to->offset[k][b] += f->offset[k][b];
}

void tk_asked_count(const tk_asked_task *t, const tk_figures *f, tk_figures *to)
{
    for (int i = 0; i < t->n; i++) {
        const tk_figure k = t->figures[i];
        to->hits[k] += f->hits[k], to->of[k] += f->of[k];
        if (k == TK_FIG_SYNC) count_offsets(f, TK_OFF_CONTACT, to);
        if (k == TK_FIG_LIPS) count_offsets(f, TK_OFF_LIPS, to);
        if (k == TK_FIG_LIPS) count_offsets(f, TK_OFF_TOGETHER, to);
    }
}

// ---- another clip ------------------------------------------------------------------------------

// How far cuts lie from each other, seconds; scenes of another number of shots are farther.
static double cuts_apart(const tk_scene *s, const tk_scene *o)
{
    const int n = s->n_shots < o->n_shots ? s->n_shots : o->n_shots;
    double apart = 1e3 * abs(s->n_shots - o->n_shots);
    for (int h = 1; h < n; h++) apart += fabs(s->shot[h].start - o->shot[h].start);
    return apart;
}

tk_status tk_asked_other(const tk_config *c, tk_speech *speech, const tk_scene *s, int64_t from,
                         tk_scene *out)
{
    double least = INFINITY;
    int64_t nearest = from;
    for (int k = 0; k < TK_ASKED_OTHERS; k++) {
        TK_TRY(tk_scene_make(&c->world, &c->media, c->codec.patch_frames, speech,
                             (uint64_t)c->world.seed, from + k, out));
        const double apart = cuts_apart(s, out);
        if (apart < least) least = apart, nearest = from + k;
    }
    return tk_scene_make(&c->world, &c->media, c->codec.patch_frames, speech,
                         (uint64_t)c->world.seed, nearest, out);
}
