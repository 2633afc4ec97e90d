// SPDX-License-Identifier: Apache-2.0
#include "infer/story/shots.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// More than this is a mistake in the storyboard: a day of large pictures.
#define LARGEST_CLIP ((int64_t)16 << 40) // bytes of all pictures
enum { LONGEST_CAPTION = 4096 };         // bytes

static const char *option_of(int shot, const char *option, char name[48])
{
    snprintf(name, 48, "shots[%d].%s", shot, option);
    return name;
}

// What cannot be goes on as what would be right, so that all else can be looked at.
static void check_picture(tk_wrong *w, const tk_config *c, const tk_codec_info *k, tk_story *s)
{
    const int64_t *size = c->story.size;
    s->grid.width = size[0] ? size[0] : c->media.width;
    s->grid.height = size[1] ? size[1] : c->media.height;
    s->fps = k->fps;
    if (!tk_grid_divides(k, k->patch_frames, s->grid.height, s->grid.width)) {
        const int64_t wide = tk_grid_side(k, s->grid.width), high = tk_grid_side(k, s->grid.height);
        tk_wrong_add(w, "size",
                     "%" PRId64 "x%" PRId64 " is not a multiple of this model's patches of %" PRId64
                     " pixels; nearest: %" PRId64 "x%" PRId64,
                     s->grid.width, s->grid.height, k->patch_size, wide, high);
        s->grid.width = wide;
        s->grid.height = high;
    }
    if (c->story.fps && c->story.fps != k->fps)
        tk_wrong_add(w, "fps",
                     "%" PRId64 " asked, but this checkpoint's codec makes %" PRId64
                     " frames a second; leave fps out or give %" PRId64,
                     c->story.fps, k->fps, k->fps);
    s->channels = k->channels;
    s->sample_rate = k->sample_rate;
    s->tick = tk_grid_tick(k);
}

static tk_status caption_of(tk_wrong *w, const tk_storyboard *b, int i, tk_arena *a, char **out)
{
    const tk_shot_config *from = &b->shots[i];
    const char *all = b->style && !tk_shot_is_taken(from) ? b->style : ""; // that has its own
    const char *style = from->style && *from->style ? from->style : all;
    const char *camera = from->camera ? from->camera : "";
    const char *between = *camera && *style ? ", " : "", *after = *camera  ? ": "
                                                                  : *style ? ", "
                                                                           : "";
    *out = tk_arena_printf(a, "%s%s%s%s%s", camera, between, style, after, from->prompt);
    if (!*out) return TK_FAIL(TK_MEMORY, "out of memory for a caption");
    if (strlen(*out) > LONGEST_CAPTION) {
        char name[48];
        tk_wrong_add(w, option_of(i, "prompt", name),
                     "%zu bytes with its camera and style; at most %d are possible", strlen(*out),
                     LONGEST_CAPTION);
    }
    return TK_OK;
}

// Latent frames of a shot that ends `end` seconds into the storyboard and begins at frame `begin`:
// ends are rounded, not lengths, so that rounding does not add up over many shots.
static int64_t latents_until(double end, double tick, int64_t begin, int64_t room)
{
    const int64_t n = llround(end / tick) - begin;
    return n < 1 ? 1 : n > room ? room : n;
}

// What is possible of what is asked for.
static double possible_seconds(tk_wrong *w, const tk_storyboard *b, int i, double tick,
                               int64_t room)
{
    const double asked = b->shots[i].seconds, longest = (double)room * tick;
    char name[48];
    if (!isfinite(asked) || asked <= 0 || asked > 1e6)
        tk_wrong_add(w, option_of(i, "seconds", name), "%g is no length; up to %g are possible",
                     asked, longest);
    else if (llround(asked / tick) > room)
        tk_wrong_add(w, option_of(i, "seconds", name),
                     "%g is longer than what this model makes at once; the longest possible shot "
                     "is %g seconds (sample.window)",
                     asked, longest);
    else
        return asked;
    return longest;
}

static tk_status lay_shots(tk_wrong *w, const tk_config *c, const tk_codec_info *k, int64_t room,
                           tk_arena *a, tk_story *s)
{
    int64_t latent = 0;
    double end = 0; // seconds asked so far
    s->n_shots = (int)c->story.n_shots;
    TK_ARENA_NEW(s->shot, a, s->n_shots);
    for (int i = 0; i < s->n_shots; i++) {
        const tk_shot_config *from = &c->story.shots[i];
        tk_story_shot *to = &s->shot[i];
        to->asked = possible_seconds(w, &c->story, i, s->tick, room);
        end += to->asked;
        to->latents = from->taken ? from->taken : latents_until(end, s->tick, latent, room);
        to->first_latent = latent;
        to->first_audio = tk_grid_audio_row(k, latent);
        latent += to->latents;
        to->audio_rows = tk_grid_audio_row(k, latent) - to->first_audio;
        to->start = (double)to->first_latent * s->tick;
        to->seconds = (double)to->latents * s->tick;
        to->references = from->references;
        to->n_references = from->n_references;
        TK_TRY(caption_of(w, &c->story, i, a, &to->caption));
    }
    s->grid.latent_frames = latent;
    return TK_OK;
}

static int64_t latents_between(const tk_story *s, int begin, int end)
{
    int64_t n = 0;
    for (int i = begin; i < end; i++) n += s->shot[i].latents;
    return n;
}

// ---- windows -----------------------------------------------------------------------------------

typedef struct cutting {
    tk_wrong *wrong;
    const tk_storyboard *board;
    int64_t room; // latent frames of a window
    tk_prompts words;
    int64_t *latents, *score; // (n_shots)
    tk_remembered *chosen;    // (n_shots)
} cutting;

static tk_status open_cutting(const tk_story *s, tk_arena *a, cutting *c)
{
    const char **prompt;
    TK_ARENA_NEW(prompt, a, s->n_shots);
    TK_ARENA_NEW(c->latents, a, s->n_shots);
    TK_ARENA_NEW(c->score, a, s->n_shots);
    TK_ARENA_NEW(c->chosen, a, s->n_shots);
    for (int i = 0; i < s->n_shots; i++) {
        prompt[i] = c->board->shots[i].prompt;
        c->latents[i] = s->shot[i].latents;
    }
    return tk_prompts_read(s->n_shots, prompt, a, &c->words);
}

// What the storyboard says that shot i remembers.
static void take_asked(const cutting *c, const tk_story *s, int i)
{
    const tk_shot_config *shot = &c->board->shots[i];
    int64_t latents = c->latents[i];
    for (int k = 0; k < (int)shot->n_remember; k++) {
        const int asked = (int)shot->remember[k];
        int at = k;
        for (; at > 0 && c->chosen[at - 1].shot > asked; at--) c->chosen[at] = c->chosen[at - 1];
        c->chosen[at] = (tk_remembered){.shot = asked, .why = TK_MEMORY_ASKED};
        latents += c->latents[asked];
    }
    char name[48];
    if (latents > c->room)
        tk_wrong_add(c->wrong, option_of(i, "remember", name),
                     "with the shot itself these are %g seconds, and a window holds %g "
                     "(sample.window); leave some out",
                     (double)latents * s->tick, (double)c->room * s->tick);
}

// What is chosen outlives the cutting.
static tk_status keep_chosen(const cutting *c, int n, tk_arena *a, tk_window *w)
{
    tk_remembered *own;
    TK_ARENA_NEW(own, a, n ? n : 1);
    for (int k = 0; k < n; k++) {
        own[k] = c->chosen[k];
        if (own[k].word && !(own[k].word = tk_arena_strdup(a, own[k].word)))
            return TK_FAIL(TK_MEMORY, "out of memory for a window");
    }
    w->memory = own;
    w->n_memory = n;
    return TK_OK;
}

static tk_status cut_later_window(const cutting *c, int i, tk_arena *a, tk_story *s)
{
    tk_window *w = &s->windows[s->n_windows++];
    int n = (int)c->board->shots[i].n_remember;
    *w = (tk_window){.target = i, .end = i + 1};
    if (c->board->shots[i].remember)
        take_asked(c, s, i);
    else
        n = tk_memory_choose(&c->words, c->latents, i, c->room - c->latents[i], c->score,
                             c->chosen);
    return keep_chosen(c, n, a, w);
}

static tk_status cut_windows(tk_wrong *w, const tk_storyboard *b, int64_t room, tk_arena *a,
                             tk_story *s)
{
    tk_arena scratch;
    cutting c = {.wrong = w, .board = b, .room = room};
    tk_window first = {.end = 1};
    TK_ARENA_NEW(s->windows, a, s->n_shots);
    while (first.end < s->n_shots && !b->shots[first.end].remember &&
           latents_between(s, 0, first.end + 1) <= room)
        first.end++;
    s->windows[s->n_windows++] = first;
    if (first.end == s->n_shots) return TK_OK;
    tk_arena_init(&scratch, 0);
    tk_status st = open_cutting(s, &scratch, &c);
    for (int i = first.end; i < s->n_shots && st == TK_OK; i++) st = cut_later_window(&c, i, a, s);
    tk_arena_free(&scratch);
    return st;
}

static void check_bytes(tk_wrong *w, const tk_story *s)
{
    int64_t bytes;
    const tk_status st = tk_mul_size(s->grid.frames, s->grid.width * s->grid.height * 3, &bytes);
    if (st == TK_OK && bytes <= LARGEST_CLIP) return;
    tk_status_clear();
    tk_wrong_add(w, "shots",
                 "%" PRId64 " frames of %" PRId64 "x%" PRId64
                 " pixels are more than a clip can hold; make it shorter or smaller",
                 s->grid.frames, s->grid.width, s->grid.height);
}

double tk_story_end(const tk_story *s)
{
    return (double)s->grid.latent_frames * s->tick;
}

int64_t tk_story_latent_at(const tk_story *s, double second)
{
    return (int64_t)floor(second / s->tick + 1e-9);
}

tk_status tk_story_lay(tk_wrong *w, const tk_config *c, const tk_codec *codec, tk_arena *a,
                       tk_story *out)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    *out = (tk_story){.window = c->sample.window > 0 ? c->sample.window : c->world.seconds};
    if (c->story.n_shots < 1) {
        tk_wrong_add(w, "shots", "there are none; a storyboard has at least one shot");
        return TK_OK;
    }
    check_picture(w, c, k, out);
    if (tk_wrong_doubts(w, "shots") || tk_wrong_doubts(w, "sample.window")) return TK_OK;
    int64_t room = tk_grid_latents(k, out->window);
    if (room < 1)
        tk_wrong_add(w, "sample.window",
                     "%g seconds hold not even one latent frame, which lasts %g", out->window,
                     out->tick);
    if (room < 1) room = INT32_MAX; // all else is not for want of that
    TK_TRY(lay_shots(w, c, k, room, a, out));
    const tk_status st = tk_grid_of(k, "storyboard", tk_grid_frame(k, out->grid.latent_frames),
                                    out->grid.height, out->grid.width, TK_GRID_WHOLE, &out->grid);
    if (st != TK_OK) return tk_wrong_with(w, "shots", st);
    out->tail = k->audio_tail;
    if (!tk_wrong_doubts(w, "size")) check_bytes(w, out);
    return cut_windows(w, &c->story, room, a, out);
}

tk_status tk_story_plan(const tk_config *c, const tk_codec *codec, tk_arena *a, tk_story *out)
{
    tk_wrong w = tk_wrong_of(c, "", a);
    TK_TRY(tk_story_lay(&w, c, codec, a, out));
    return tk_wrong_end(&w);
}
