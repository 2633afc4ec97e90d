// SPDX-License-Identifier: Apache-2.0
#include "infer/story/remix.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "core/config/wrong.h"
#include "data/media/rows.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Bytes of one; shots of a storyboard, and what one of them remembers; remixes of remixes.
enum { DESCRIPTION = 16 << 20, SHOTS = 5000, REMEMBERED = 64, LINEAGE = 1000 };

typedef struct looking {
    tk_config *c;
    const tk_codec_info *codec;
    tk_arena *arena;
    tk_remix *r;
    tk_wrong *wrong;
    int before; // lines that others gathered
} looking;

// ---- what is wrong -----------------------------------------------------------------------------

static bool is_wrong(const looking *l)
{
    return l->wrong->n > l->before;
}

// ---- the description ---------------------------------------------------------------------------

char *tk_remix_beside(const char *clip, const char *suffix, tk_arena *a)
{
    const char *slash = strrchr(clip, '/'), *dot = strrchr(clip, '.');
    const bool has = dot && dot > (slash ? slash + 1 : clip);
    return tk_arena_printf(a, "%.*s%s", has ? (int)(dot - clip) : (int)strlen(clip), clip, suffix);
}

static int64_t number_in(const json_t *o, const char *key)
{
    const json_t *x = json_object_get(o, key);
    return json_is_integer(x) ? json_integer_value(x) : -1;
}

static const char *text_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

// Whether an entry of a description is of the file as it is.
static tk_status is_entry_of(const json_t *entry, const char *path, bool *is, uint64_t *digest)
{
    char hex[TK_HEX_DIGEST];
    int64_t bytes;
    TK_TRY(tk_file_digest(path, digest, &bytes));
    *is = number_in(entry, "bytes") == bytes &&
          !strcmp(text_in(entry, "digest"), tk_digest_hex(*digest, hex));
    return TK_OK;
}

static tk_status read_description(looking *l, const char *path)
{
    tk_remix *r = l->r;
    tk_arena scratch;
    char *text;
    size_t bytes;
    bool same = false;
    uint64_t digest;
    tk_arena_init(&scratch, 0);
    tk_status st = tk_file_read(path, DESCRIPTION, &scratch, &text, &bytes);
    if (st == TK_OK) r->told = json_loadb(text, bytes, 0, NULL);
    tk_arena_free(&scratch);
    TK_TRY(st);
    if (!r->told || strcmp(text_in(r->told, "format"), "talkie-clip"))
        tk_log("%s describes no clip: the film of %s is encoded", path, r->clip);
    else {
        TK_TRY(is_entry_of(json_object_get(r->told, "mp4"), r->clip, &same, &digest));
        if (!same)
            tk_log_warn_once("%s describes another film than %s is now: that is encoded", path,
                             r->clip);
    }
    if (same) return TK_OK;
    json_decref(r->told);
    r->told = NULL;
    return TK_OK;
}

// ---- what it tells -----------------------------------------------------------------------------

// Frames as the model makes them; a size that nobody asked for is the clip's.
static void take_frames(looking *l)
{
    const json_t *clip = json_object_get(l->r->told, "clip");
    const int64_t wide = number_in(clip, "width"), high = number_in(clip, "height");
    const int64_t fps = number_in(clip, "fps");
    int64_t *size = l->c->story.size;
    l->r->frames = number_in(clip, "frames");
    if (json_array_size(json_object_get(l->r->told, "lineage")) >= LINEAGE)
        tk_wrong_add(l->wrong, "remix.clip",
                     "the description of %s tells of more than %d remixes before it", l->r->clip,
                     LINEAGE);
    if (wide < 1 || high < 1 || wide > 8192 || high > 8192 || l->r->frames < 1) {
        tk_wrong_add(l->wrong, "remix.clip", "the description of %s does not say its frames",
                     l->r->clip);
        return;
    }
    if (fps != l->codec->fps)
        tk_wrong_add(l->wrong, "remix.clip",
                     "%s has %" PRId64 " frames a second, this checkpoint makes %" PRId64
                     "; name a checkpoint that makes as many",
                     l->r->clip, fps, l->codec->fps);
    if (size[0] && (size[0] != wide || size[1] != high))
        tk_wrong_add(l->wrong, *tk_config_place(l->c, "size") ? "size" : "remix.clip",
                     "%" PRId64 "x%" PRId64 " asked, and %s has %" PRId64 "x%" PRId64
                     "; leave size out, or give that",
                     size[0], size[1], l->r->clip, wide, high);
    size[0] = wide, size[1] = high;
    l->c->story.remix.latents = tk_grid_latent(l->codec, l->r->frames);
}

static bool read_told_shot(looking *l, const json_t *from, tk_shot_config *to)
{
    const json_t *seconds = json_object_get(from, "seconds");
    const json_t *remember = json_object_get(from, "remember");
    const char *caption = text_in(from, "caption");
    const size_t n = json_array_size(remember);
    static char none[] = "";
    *to = (tk_shot_config){.features = none, .camera = none, .style = none};
    to->seconds = json_number_value(seconds);
    to->prompt = tk_arena_strdup(l->arena, caption);
    if (!(to->seconds > 0) || !*caption || !to->prompt) return false;
    if (!json_is_array(remember) || n > REMEMBERED) return !remember;
    to->remember = tk_arena_alloc(l->arena, (n + 1) * sizeof *to->remember);
    for (size_t i = 0; i < n && to->remember; i++)
        to->remember[to->n_remember++] = json_integer_value(json_array_get(remember, i));
    return to->remember != NULL;
}

static bool remembers_earlier(const tk_shot_config *shot, int64_t i)
{
    for (int64_t k = 0; k < shot->n_remember; k++)
        if (shot->remember[k] < 0 || shot->remember[k] >= i) return false;
    return true;
}

static tk_status take_shots(looking *l)
{
    const json_t *shots = json_object_get(l->r->told, "shots");
    tk_storyboard *b = &l->c->story;
    const size_t n = json_array_size(shots);
    bool good = n > 0 && n <= SHOTS;
    if (b->n_shots) return TK_OK;
    TK_ARENA_NEW(b->shots, l->arena, (int64_t)n + 1);
    for (size_t i = 0; i < n && good; i++)
        good = read_told_shot(l, json_array_get(shots, i), &b->shots[i]) &&
               remembers_earlier(&b->shots[i], (int64_t)i);
    b->n_shots = good ? (int64_t)n : 0;
    l->r->told_shots = good;
    if (!good)
        tk_wrong_add(
            l->wrong, "remix.clip",
            "the description of %s does not say its shots; list them as shots:", l->r->clip);
    return TK_OK;
}

// ---- latents -----------------------------------------------------------------------------------

// Of all shots that the description tells of, whoever lists the storyboard's.
static double told_seconds(const json_t *told)
{
    const json_t *shots = json_object_get(told, "shots");
    double all = 0;
    for (size_t i = 0; i < json_array_size(shots); i++)
        all += json_number_value(json_object_get(json_array_get(shots, i), "seconds"));
    return all;
}

// The description is of these latents: shots were rounded to latent frames before it was written.
static tk_status check_told_length(const looking *l, const char *path, const tk_latents_form *form)
{
    const double tick = tk_grid_tick(l->codec), told = told_seconds(l->r->told);
    const int64_t rows = form->rows[TK_CODEC_VIDEO];
    if (fabs(told / tick - (double)rows) < 0.5) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s holds %.4g seconds, and the shots that the description of %s tells of last "
                   "%.4g: it was changed since; put back the one that the clip was made with and "
                   "list the shots you want as shots:, or remove the file, and the film is encoded",
                   path, (double)rows * tick, l->r->clip, told);
}

static tk_status look_at_latents(looking *l, const char *path)
{
    tk_remix *r = l->r;
    const json_t *entry = json_object_get(r->told, "latents");
    const tk_codec_info *k = l->codec;
    const int64_t *size = l->c->story.size;
    const int64_t patch = k->patch_size * k->patch_size;
    bool same;
    TK_TRY(tk_latents_look(path, &r->form));
    TK_TRY(is_entry_of(entry, path, &same, &r->digest));
    if (!same)
        return TK_FAIL(TK_INPUT,
                       "%s is damaged, or another clip's: it is not the file that the description "
                       "of %s names; remove it, and the film is encoded",
                       path, r->clip);
    if (r->form.codec != k->digest)
        return TK_FAIL(TK_INPUT,
                       "%s is of codec %016" PRIx64 ", this checkpoint's is %016" PRIx64
                       "; name the checkpoint that made the clip, or remove the file, and the film "
                       "is encoded",
                       path, r->form.codec, k->digest);
    if (r->form.numbers[TK_CODEC_VIDEO] * patch != size[0] * size[1] * k->video_channels ||
        r->form.numbers[TK_CODEC_AUDIO] != k->channels * k->audio_channels)
        return TK_FAIL(TK_INPUT, "%s does not hold frames of %" PRId64 "x%" PRId64 ", as %s has",
                       path, size[0], size[1], r->clip);
    TK_TRY(check_told_length(l, path, &r->form));
    r->latents = path;
    l->c->story.remix.latents = r->form.rows[TK_CODEC_VIDEO];
    return TK_OK;
}

static tk_status find_latents(looking *l)
{
    const char *path = tk_remix_beside(l->r->clip, ".latents", l->arena);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (!json_is_object(json_object_get(l->r->told, "latents"))) return TK_OK;
    if (access(path, F_OK)) {
        tk_log("%s is not there: the film of %s is encoded", path, l->r->clip);
        return TK_OK;
    }
    return tk_wrong_with(l->wrong, "remix.clip", look_at_latents(l, path));
}

// ---- the shots that are made -------------------------------------------------------------------

bool tk_remix_makes(const tk_storyboard *b, int64_t shot)
{
    const tk_remix_config *r = &b->remix;
    double begin = 0;
    for (int64_t k = 0; k < r->n_shots; k++)
        if (r->shots[k] == shot) return true;
    if (r->shots) return false;
    for (int64_t i = 0; i < shot; i++) begin += b->shots[i].seconds;
    return begin + b->shots[shot].seconds > r->from && (r->to <= 0 || begin < r->to);
}

static void check_shot_numbers(looking *l)
{
    const tk_storyboard *b = &l->c->story;
    for (int64_t k = 0; k < b->remix.n_shots && b->n_shots; k++)
        if (b->remix.shots[k] >= b->n_shots)
            tk_wrong_add(l->wrong, "remix.shots",
                         "%" PRId64 " is none of the %" PRId64
                         " shots of %s, which are counted from 0",
                         b->remix.shots[k], b->n_shots, l->r->clip);
}

static void take_prompt(looking *l)
{
    tk_storyboard *b = &l->c->story;
    for (int64_t i = 0; i < b->n_shots && *b->remix.prompt; i++)
        if (tk_remix_makes(b, i)) b->shots[i].prompt = b->remix.prompt;
}

// ---- all of it ---------------------------------------------------------------------------------

static tk_status look_at_film(looking *l)
{
    const char *path = l->r->clip;
    bool pictures;
    int fd;
    TK_TRY(tk_file_open(path, &fd, NULL));
    close(fd);
    TK_TRY(tk_media_has_pictures(path, &pictures));
    return pictures ? TK_OK : TK_FAIL(TK_INPUT, "%s has no pictures: it is no clip", path);
}

// How long a film of somebody's lasts, as it will be read.
static tk_status measure_film(looking *l)
{
    const tk_storyboard *b = &l->c->story;
    const tk_media_rows_want want = {
        .size = {.width = b->size[0] ? b->size[0] : l->c->media.width,
                 .height = b->size[1] ? b->size[1] : l->c->media.height,
                 .fps = l->codec->fps,
                 .sample_rate = l->codec->sample_rate,
                 .channels = l->codec->channels},
        .most = INT32_MAX};
    tk_media_rows x;
    TK_TRY(tk_media_rows_measure(l->r->clip, &want, l->codec, &x));
    const int64_t begun = (int64_t)ceil(x.seconds / tk_grid_tick(l->codec) - 1e-6);
    l->c->story.remix.latents = begun > x.latents ? begun : x.latents; // its last picture is held
    return TK_OK;
}

static tk_status look_at_clip(looking *l)
{
    const char *path = tk_remix_beside(l->r->clip, ".json", l->arena);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_wrong_with(l->wrong, "remix.clip", look_at_film(l)));
    if (is_wrong(l)) return TK_OK;
    if (access(path, F_OK) == 0)
        TK_TRY(tk_wrong_with(l->wrong, "remix.clip", read_description(l, path)));
    if (l->r->told) {
        take_frames(l);
        TK_TRY(take_shots(l));
        if (!is_wrong(l)) TK_TRY(find_latents(l));
    } else if (!is_wrong(l))
        TK_TRY(tk_wrong_with(l->wrong, "remix.clip", measure_film(l)));
    if (!l->c->story.n_shots && !is_wrong(l))
        tk_wrong_add(
            l->wrong, "remix.clip",
            "no shots: %s has no description of talkie's beside it that says them; list them as "
            "shots:",
            l->r->clip);
    check_shot_numbers(l);
    return TK_OK;
}

tk_status tk_remix_look(tk_wrong *w, tk_config *c, const tk_codec_info *k, tk_arena *a,
                        tk_remix *out)
{
    looking l = {.c = c, .codec = k, .arena = a, .r = out, .wrong = w, .before = w->n};
    *out = (tk_remix){0};
    if (!*c->story.remix.clip) return TK_OK;
    out->clip = c->story.remix.clip;
    TK_TRY(look_at_clip(&l));
    if (!is_wrong(&l)) take_prompt(&l);
    return TK_OK;
}

tk_remix_span tk_remix_span_of(const tk_remix_config *c, const tk_story *s)
{
    const int64_t first = s->shot[c->at].first_latent, left = s->grid.latent_frames - first;
    return (tk_remix_span){first, c->latents && c->latents < left ? c->latents : left};
}

void tk_remix_check(tk_wrong *w, const tk_remix *r, tk_config *c, const tk_story *s)
{
    tk_remix_config *o = &c->story.remix;
    if (!r->clip) return;
    const tk_remix_span span = tk_remix_span_of(o, s);
    o->around = span.n < s->grid.latent_frames;
    if (o->around && o->strength != 1)
        tk_wrong_add(w, "remix.strength",
                     "%.400s lasts %.4g seconds, the shots %.4g: what goes beyond it is made from "
                     "noise alone; leave strength out",
                     r->clip, (double)span.n * s->tick, (double)s->grid.latent_frames * s->tick);
}

// ---- in words ----------------------------------------------------------------------------------

__attribute__((format(printf, 3, 4))) static void add_words(char *out, size_t *n, const char *fmt,
                                                            ...)
{
    va_list ap;
    if (*n >= TK_REMIX_WORDS) return;
    va_start(ap, fmt);
    *n += (size_t)vsnprintf(out + *n, TK_REMIX_WORDS - *n, fmt, ap);
    va_end(ap);
}

const char *tk_remix_change(const tk_remix_config *c, char out[TK_REMIX_WORDS])
{
    const bool part = c->left > 0 || c->top > 0 || c->right < 1 || c->bottom < 1;
    const bool inside = c->shots ? c->n_shots > 0 : c->from > 0 || c->to > 0 || !c->around;
    size_t n = 0;
    *out = 0;
    for (int64_t k = 0; k < c->n_shots; k++)
        add_words(out, &n, "%s%" PRId64,
                  k                ? ", "
                  : c->n_shots > 1 ? "shots "
                                   : "shot ",
                  c->shots[k]);
    if (inside && !c->shots) add_words(out, &n, "%g s to ", c->from);
    if (inside && !c->shots && c->to > 0) add_words(out, &n, "%g s", c->to);
    if (inside && !c->shots && c->to <= 0) add_words(out, &n, "the end");
    if (inside && part)
        add_words(out, &n, ", of the frame %g to %g across and %g to %g down", c->left, c->right,
                  c->top, c->bottom);
    if (c->around) add_words(out, &n, "%swhat lies around it", inside ? " and " : "");
    add_words(out, &n, " made anew from ");
    if (c->strength < 1)
        add_words(out, &n, "%g of noise", c->strength);
    else
        add_words(out, &n, "noise");
    for (int64_t k = 0; k < c->n_keep; k++) add_words(out, &n, ", %s kept", c->keep[k]);
    return out;
}

const char *tk_remix_say(const tk_remix *r, const tk_storyboard *b, char out[TK_REMIX_WORDS])
{
    char change[TK_REMIX_WORDS];
    size_t n = 0;
    *out = 0;
    add_words(out, &n, "%s, from its %s: %s", r->clip, r->latents ? "latents" : "film, encoded",
              tk_remix_change(&b->remix, change));
    return out;
}

void tk_remix_close(tk_remix *r)
{
    json_decref(r->told);
    *r = (tk_remix){0};
}
