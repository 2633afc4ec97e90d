// SPDX-License-Identifier: Apache-2.0
#include "infer/story/check.h"
#include "data/media/media.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef char key[64];

static const char *option_at(key name, const char *list, int64_t k, const char *option)
{
    snprintf(name, sizeof(key), "%s[%" PRId64 "]%s", list, k, option);
    return name;
}

static void check_keyframe(tk_wrong *w, const tk_storyboard *b, const tk_story *s, int64_t k)
{
    const tk_keyframe_config *f = &b->keyframes[k];
    key name;
    if (!*f->picture && !tk_wrong_doubts(w, option_at(name, "keyframes", k, ".picture")))
        tk_wrong_add(w, option_at(name, "keyframes", k, ""),
                     "no picture: which file is shown at %g s?", f->at);
    if (!s) return;
    const int64_t latent = tk_story_latent_at(s, f->at);
    if (latent >= s->grid.latent_frames)
        tk_wrong_add(w, option_at(name, "keyframes", k, ".at"),
                     "%g is not within the shots, which last %g seconds", f->at, tk_story_end(s));
    for (int64_t i = 0; i < k; i++)
        if (tk_story_latent_at(s, b->keyframes[i].at) == latent) {
            tk_wrong_add(w, option_at(name, "keyframes", k, ".at"),
                         "%g lies in the same latent frame as keyframes[%" PRId64
                         "]; a latent frame lasts %g seconds",
                         f->at, i, s->tick);
            return;
        }
}

static void check_together(tk_wrong *w, const tk_storyboard *b)
{
    if (*b->sound && *b->picture)
        tk_wrong_add(w, "sound",
                     "sound and picture are both given: nothing is left to make; leave "
                     "one of them out");
    if (*b->picture && b->n_keyframes)
        tk_wrong_add(w, "keyframes", "picture gives all frames; leave keyframes out");
    if (*b->remix.clip && tk_story_takes(b))
        tk_wrong_add(w, "remix.clip",
                     "it gives all that is not made anew, and shots are taken of clips too: remix "
                     "first, and take shots of what comes of it");
    if (*b->remix.clip && (b->n_keyframes || *b->sound || *b->picture))
        tk_wrong_add(w, "remix.clip",
                     "it gives all that is not made anew; leave keyframes, sound "
                     "and picture out");
}

// What is given beside shots that are taken is given where they keep nothing.
static void check_given_beside(tk_wrong *w, const tk_storyboard *b, int64_t i)
{
    const tk_shot_config *s = &b->shots[i];
    key name;
    if (!tk_shot_is_taken(s)) return;
    if (*b->sound && tk_shot_keeps(s, TK_AUDIO))
        tk_wrong_add(w, option_at(name, "shots", i, ".keep"),
                     "sound gives all of the sound, and this shot keeps its own: say keep: "
                     "[picture]");
    if (*b->picture && tk_shot_keeps(s, TK_VIDEO))
        tk_wrong_add(w, option_at(name, "shots", i, ".keep"),
                     "picture gives all frames, and this shot keeps its own: say keep: [sound]");
}

// A picture within a shot that keeps its own.
static void check_kept_frames(tk_wrong *w, const tk_storyboard *b, const tk_story *s, int64_t k)
{
    key name;
    const int64_t at = tk_story_latent_at(s, b->keyframes[k].at);
    for (int i = 0; i < s->n_shots; i++) {
        const int64_t begin = s->shot[i].first_latent, end = begin + s->shot[i].latents;
        const bool kept = tk_shot_is_taken(&b->shots[i]) && tk_shot_keeps(&b->shots[i], TK_VIDEO);
        if (kept && at >= begin && at < end)
            tk_wrong_add(w, option_at(name, "keyframes", k, ".at"),
                         "%g lies in shots[%d], which keeps the picture of its clip",
                         b->keyframes[k].at, i);
    }
}

static void check_part(tk_wrong *w, const tk_storyboard *b, const tk_story *s)
{
    const tk_remix_config *r = &b->remix;
    const double to = r->to > 0 ? r->to : tk_story_end(s);
    if (!*r->clip || tk_wrong_doubts(w, "remix")) return;
    if (!r->shots && (r->from >= to || to > tk_story_end(s) + s->tick))
        tk_wrong_add(w, r->to > 0 ? "remix.to" : "remix.from",
                     "from %g to %g seconds is no part of the shots, which last %g", r->from, to,
                     tk_story_end(s));
    if (r->left >= r->right)
        tk_wrong_add(w, "remix.left", "left %g to right %g is no part of the frame", r->left,
                     r->right);
    if (r->top >= r->bottom)
        tk_wrong_add(w, "remix.top", "top %g to bottom %g is no part of the frame", r->top,
                     r->bottom);
}

static void check_member(tk_wrong *w, const tk_storyboard *b, int64_t k)
{
    const tk_cast_config *x = &b->cast[k];
    const size_t n = strlen(x->tag);
    const bool edged = n && (x->tag[0] == ' ' || x->tag[n - 1] == ' ');
    key name;
    if (tk_wrong_doubts(w, option_at(name, "cast", k, ""))) return;
    if (!n || !*x->file || edged || strpbrk(x->tag, "<>\n"))
        tk_wrong_add(w, option_at(name, "cast", k, ""),
                     "wants a tag, as \"face 1\", and a file; it has \"%.200s\" and \"%.200s\"",
                     x->tag, x->file);
    for (int64_t i = 0; n && i < k; i++)
        if (!strcmp(b->cast[i].tag, x->tag)) {
            tk_wrong_add(w, option_at(name, "cast", k, ".tag"),
                         "cast[%" PRId64 "] and cast[%" PRId64 "] are both <%.200s>", i, k, x->tag);
            return;
        }
}

// ---- files -------------------------------------------------------------------------------------

typedef enum wanted { ANY_MEDIA, PICTURES, SOUND } wanted;

// Whether it is there and has what is wanted, by its streams.
static tk_status check_given_file(tk_wrong *w, const char *option, const char *path, wanted what)
{
    tk_media_has has = {.sound = true};
    if (!path || !*path) return TK_OK;
    if (tk_wrong_unread(w, option, path)) return TK_OK;
    const tk_status st =
        what == SOUND ? tk_media_look(path, &has) : tk_media_has_pictures(path, &has.pictures);
    if (st != TK_OK) return tk_wrong_with(w, option, st);
    if (what == PICTURES && !has.pictures)
        tk_wrong_add(w, option, "%.400s has no pictures; name a picture or a film", path);
    if (what == SOUND && !has.sound)
        tk_wrong_add(w, option, "%.400s has no sound; name a sound, or a film that has one", path);
    return TK_OK;
}

static tk_status check_given_files(tk_wrong *w, const tk_storyboard *b)
{
    key name, list;
    TK_TRY(check_given_file(w, "sound", b->sound, SOUND));
    TK_TRY(check_given_file(w, "picture", b->picture, PICTURES));
    for (int64_t k = 0; k < b->n_keyframes; k++)
        TK_TRY(check_given_file(w, option_at(name, "keyframes", k, ".picture"),
                                b->keyframes[k].picture, PICTURES));
    for (int64_t k = 0; k < b->n_cast; k++)
        TK_TRY(
            check_given_file(w, option_at(name, "cast", k, ".file"), b->cast[k].file, ANY_MEDIA));
    for (int64_t k = 0; k < b->n_references; k++)
        TK_TRY(
            check_given_file(w, option_at(name, "references", k, ""), b->references[k], ANY_MEDIA));
    for (int64_t i = 0; i < b->n_shots; i++)
        for (int64_t k = 0; k < b->shots[i].n_references; k++)
            TK_TRY(check_given_file(
                w, option_at(name, option_at(list, "shots", i, ".references"), k, ""),
                b->shots[i].references[k], ANY_MEDIA));
    return TK_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

// Whether anything is left to make.
tk_status tk_story_check_made(tk_wrong *w, const tk_config *c, const tk_story *s,
                              const tk_codec_info *k)
{
    const tk_storyboard *b = &c->story;
    tk_arena a;
    tk_story_given given;
    if (!tk_story_gives(b)) return TK_OK;
    tk_arena_init(&a, 0);
    const tk_status st = tk_story_given_lay(c, s, k, &a, &given);
    tk_arena_free(&a);
    return tk_wrong_with(w, *b->remix.clip ? "remix.clip" : *b->sound ? "sound" : "picture", st);
}

tk_status tk_story_check(tk_wrong *w, const tk_storyboard *b, const tk_story *s)
{
    for (int64_t k = 0; k < b->n_cast; k++) check_member(w, b, k);
    for (int64_t k = 0; k < b->n_keyframes; k++) check_keyframe(w, b, s, k);
    for (int64_t k = 0; k < b->n_keyframes && s; k++) check_kept_frames(w, b, s, k);
    for (int64_t i = 0; i < b->n_shots; i++) check_given_beside(w, b, i);
    check_together(w, b);
    if (s) check_part(w, b, s);
    return check_given_files(w, b);
}
