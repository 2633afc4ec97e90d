// SPDX-License-Identifier: Apache-2.0
#include "infer/story/parent.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "data/media/rows.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Bytes of one; shots of a storyboard, and what one of them remembers.
enum { DESCRIPTION = 16 << 20, SHOTS = 5000, REMEMBERED = 64 };
static const double LONGEST = 1e6; // seconds of a shot; more is no clip's

typedef struct looking {
    tk_config *c;
    const tk_codec_info *codec;
    const char *sized; // the clip that the size is of; NULL: it was asked for, or is not known
    tk_arena *arena;
    tk_parent *p;
    tk_wrong *wrong;
    int before; // lines that others gathered
} looking;

// ---- the description ---------------------------------------------------------------------------

char *tk_parent_beside(const char *clip, const char *suffix, tk_arena *a)
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
    tk_parent *p = l->p;
    tk_arena scratch;
    char *text;
    size_t bytes;
    bool same = false;
    uint64_t digest;
    tk_arena_init(&scratch, 0);
    tk_status st = tk_file_read(path, DESCRIPTION, &scratch, &text, &bytes);
    if (st == TK_OK) p->told = json_loadb(text, bytes, 0, NULL);
    tk_arena_free(&scratch);
    TK_TRY(st);
    if (!p->told || strcmp(text_in(p->told, "format"), "talkie-clip"))
        tk_log("%s describes no clip: the film of %s is encoded", path, p->clip);
    else {
        TK_TRY(is_entry_of(json_object_get(p->told, "mp4"), p->clip, &same, &digest));
        if (!same)
            tk_log_warn_once("%s describes another film than %s is now: that is encoded", path,
                             p->clip);
    }
    if (same) return TK_OK;
    json_decref(p->told);
    p->told = NULL;
    return TK_OK;
}

// ---- what it tells -----------------------------------------------------------------------------

static void check_clocks(const looking *l, const json_t *clip)
{
    const tk_codec_info *k = l->codec;
    const int64_t fps = number_in(clip, "fps"), rate = number_in(clip, "sample_rate");
    const int64_t channels = number_in(clip, "channels");
    if (fps != k->fps)
        tk_wrong_add(l->wrong, l->p->option,
                     "%s has %" PRId64 " frames a second, this checkpoint makes %" PRId64
                     "; name a checkpoint that makes as many",
                     l->p->clip, fps, k->fps);
    if (rate != k->sample_rate || channels != k->channels)
        tk_wrong_add(l->wrong, l->p->option,
                     "%s has %" PRId64 " samples a second of %" PRId64
                     " channels, this checkpoint makes %" PRId64 " of %" PRId64
                     "; name a checkpoint that makes as many",
                     l->p->clip, rate, channels, k->sample_rate, k->channels);
}

// A size that nobody asked for is the clip's, and then that of all others.
static void take_size(looking *l, int64_t wide, int64_t high)
{
    int64_t *size = l->c->story.size;
    const bool same = size[0] == wide && size[1] == high, asked = *tk_config_place(l->c, "size");
    if (size[0] && !same && l->sized)
        tk_wrong_add(l->wrong, l->p->option,
                     "%s has %" PRId64 "x%" PRId64 ", and %s %" PRId64 "x%" PRId64
                     ": clips of one film are of one size; make it anew in that, or give its film "
                     "without the JSON beside it, which is scaled",
                     l->p->clip, wide, high, l->sized, size[0], size[1]);
    else if (size[0] && !same)
        tk_wrong_add(l->wrong, asked ? "size" : l->p->option,
                     "%" PRId64 "x%" PRId64 " asked, and %s has %" PRId64 "x%" PRId64
                     "; leave size out, or give that",
                     size[0], size[1], l->p->clip, wide, high);
    if (!l->sized) size[0] = wide, size[1] = high;
}

// Frames as the model makes them.
static void take_frames(looking *l)
{
    const json_t *clip = json_object_get(l->p->told, "clip");
    const int64_t wide = number_in(clip, "width"), high = number_in(clip, "height");
    const int64_t frames = number_in(clip, "frames");
    if (wide < 1 || high < 1 || wide > 8192 || high > 8192 || frames < 1) {
        tk_wrong_add(l->wrong, l->p->option, "the description of %s does not say its frames",
                     l->p->clip);
        return;
    }
    check_clocks(l, clip);
    take_size(l, wide, high);
    l->p->length = tk_grid_latent(l->codec, frames);
}

static bool read_told_shot(looking *l, const json_t *from, tk_shot_config *to)
{
    const json_t *seconds = json_object_get(from, "seconds");
    const json_t *remember = json_object_get(from, "remember");
    const char *caption = text_in(from, "caption");
    const size_t n = json_array_size(remember);
    static char none[] = "";
    *to =
        (tk_shot_config){.features = none, .camera = none, .style = none, .clip = none, .shot = -1};
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

static tk_status read_told_shots(looking *l)
{
    tk_parent *p = l->p;
    const json_t *shots = json_object_get(p->told, "shots");
    const size_t n = json_array_size(shots);
    bool good = n > 0 && n <= SHOTS;
    TK_ARENA_NEW(p->shot, l->arena, (int64_t)n + 1);
    for (size_t i = 0; i < n && good; i++)
        good = read_told_shot(l, json_array_get(shots, i), &p->shot[i]) &&
               remembers_earlier(&p->shot[i], (int64_t)i);
    p->n_shots = good ? (int64_t)n : 0;
    return TK_OK;
}

// Shots were rounded to latent frames before they were told. A film in which they dissolve is
// shorter than they are.
static tk_status find_shots(looking *l)
{
    tk_parent *p = l->p;
    const double tick = tk_grid_tick(l->codec);
    int64_t *begin, all = 0;
    TK_ARENA_NEW(begin, l->arena, p->n_shots + 1);
    for (int64_t i = 0; i < p->n_shots; i++) {
        if (p->shot[i].seconds > LONGEST) return TK_OK;
        all += llround(p->shot[i].seconds / tick);
        begin[i + 1] = all;
    }
    if (p->n_shots && all == p->length) p->begin = begin;
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
    const double tick = tk_grid_tick(l->codec), told = told_seconds(l->p->told);
    const int64_t rows = form->rows[TK_CODEC_VIDEO];
    if (fabs(told / tick - (double)rows) < 0.5) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s holds %.4g seconds, and the shots that the description of %s tells of last "
                   "%.4g: it was changed since; put back the one that the clip was made with and "
                   "list the shots you want as shots:, or remove the file, and the film is encoded",
                   path, (double)rows * tick, l->p->clip, told);
}

// As much sound as pictures: a track's tail is in it.
static tk_status check_sound(const looking *l, const char *path, const tk_latents_form *form)
{
    const int64_t pictures = form->rows[TK_CODEC_VIDEO], sounds = form->rows[TK_CODEC_AUDIO];
    const int64_t want = tk_grid_audio_row(l->codec, pictures) + l->codec->audio_tail;
    if (sounds == want) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s holds %" PRId64 " rows of sound, and its %" PRId64
                   " latent frames take %" PRId64 "; remove it, and the film is encoded",
                   path, sounds, pictures, want);
}

static tk_status look_at_latents(looking *l, const char *path)
{
    tk_parent *p = l->p;
    const json_t *entry = json_object_get(p->told, "latents");
    const tk_codec_info *k = l->codec;
    const int64_t *size = l->c->story.size;
    const int64_t patch = k->patch_size * k->patch_size;
    bool same;
    TK_TRY(tk_latents_look(path, &p->form));
    TK_TRY(is_entry_of(entry, path, &same, &p->digest));
    if (!same)
        return TK_FAIL(TK_INPUT,
                       "%s is damaged, or another clip's: it is not the file that the description "
                       "of %s names; remove it, and the film is encoded",
                       path, p->clip);
    if (p->form.codec != k->digest)
        return TK_FAIL(TK_INPUT,
                       "%s is of codec %016" PRIx64 ", this checkpoint's is %016" PRIx64
                       "; name the checkpoint that made the clip, or remove the file, and the film "
                       "is encoded",
                       path, p->form.codec, k->digest);
    if (p->form.numbers[TK_CODEC_VIDEO] * patch != size[0] * size[1] * k->video_channels ||
        p->form.numbers[TK_CODEC_AUDIO] != k->channels * k->audio_channels)
        return TK_FAIL(TK_INPUT, "%s does not hold frames of %" PRId64 "x%" PRId64 ", as %s has",
                       path, size[0], size[1], p->clip);
    TK_TRY(check_told_length(l, path, &p->form));
    TK_TRY(check_sound(l, path, &p->form));
    p->latents = path;
    p->length = p->form.rows[TK_CODEC_VIDEO];
    return TK_OK;
}

static tk_status find_latents(looking *l)
{
    const char *path = tk_parent_beside(l->p->clip, ".latents", l->arena);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (!json_is_object(json_object_get(l->p->told, "latents"))) return TK_OK;
    if (access(path, F_OK)) {
        tk_log("%s is not there: the film of %s is encoded", path, l->p->clip);
        return TK_OK;
    }
    return tk_wrong_with(l->wrong, l->p->option, look_at_latents(l, path));
}

// ---- all of it ---------------------------------------------------------------------------------

static tk_status look_at_film(looking *l)
{
    const char *path = l->p->clip;
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
    TK_TRY(tk_media_rows_measure(l->p->clip, &want, l->codec, &x));
    const int64_t begun = (int64_t)ceil(x.seconds / tk_grid_tick(l->codec) - 1e-6);
    l->p->length = begun > x.latents ? begun : x.latents; // its last picture is held
    return TK_OK;
}

static bool is_wrong(const looking *l)
{
    return l->wrong->n > l->before;
}

static tk_status look_at_known(looking *l)
{
    take_frames(l);
    TK_TRY(read_told_shots(l));
    const bool missing = !l->c->story.n_shots && !l->p->n_shots; // which the storyboard needs
    if (!is_wrong(l) && !missing) TK_TRY(find_latents(l));
    return find_shots(l);
}

static tk_status look_at_clip(looking *l)
{
    const char *path = tk_parent_beside(l->p->clip, ".json", l->arena);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_wrong_with(l->wrong, l->p->option, look_at_film(l)));
    if (is_wrong(l)) return TK_OK;
    if (access(path, F_OK) == 0)
        TK_TRY(tk_wrong_with(l->wrong, l->p->option, read_description(l, path)));
    if (l->p->told) return look_at_known(l);
    return is_wrong(l) ? TK_OK : tk_wrong_with(l->wrong, l->p->option, measure_film(l));
}

tk_status tk_parent_look(tk_wrong *w, tk_config *c, const tk_codec_info *k, const char *sized,
                         tk_arena *a, tk_parent *p)
{
    looking l = {
        .c = c, .codec = k, .sized = sized, .arena = a, .p = p, .wrong = w, .before = w->n};
    *p = (tk_parent){.clip = p->clip, .option = p->option};
    const tk_status st = look_at_clip(&l);
    p->wrong = is_wrong(&l);
    return st;
}

void tk_parent_close(tk_parent *p)
{
    json_decref(p->told);
    *p = (tk_parent){0};
}
