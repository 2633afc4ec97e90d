// SPDX-License-Identifier: Apache-2.0
#include "infer/story/remix.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LINEAGE = 1000 }; // clips before one

typedef struct remixing {
    tk_config *c;
    const tk_codec_info *codec;
    tk_arena *arena;
    tk_remix *r;
    tk_wrong *wrong;
    int before; // lines that others gathered
} remixing;

static bool found_wrong(const remixing *l)
{
    return l->wrong->n > l->before;
}

// ---- the clips ---------------------------------------------------------------------------------

// Its number; -1: they are too many.
static int add_parent(tk_remix *r, const char *clip, const char *option)
{
    for (int k = 0; k < r->n; k++)
        if (!strcmp(r->parent[k].clip, clip)) return k;
    if (r->n == TK_REMIX_CLIPS) return -1;
    r->parent[r->n] = (tk_parent){.clip = clip, .option = option};
    return r->n++;
}

static tk_status gather_shots(remixing *l)
{
    const tk_storyboard *b = &l->c->story;
    TK_ARENA_NEW(l->r->of, l->arena, b->n_shots + 1);
    bool fit = true;
    for (int64_t i = 0; i < b->n_shots; i++) {
        if (!tk_shot_is_taken(&b->shots[i])) continue;
        const char *option = tk_arena_printf(l->arena, "shots[%" PRId64 "].clip", i);
        if (!option) return TK_FAIL(TK_MEMORY, "out of memory for an option");
        l->r->of[i] = add_parent(l->r, b->shots[i].clip, option);
        if (l->r->of[i] < 0 && fit)
            tk_wrong_add(l->wrong, option,
                         "with it these are more than %d clips; cut some of them together first",
                         TK_REMIX_CLIPS);
        fit = l->r->of[i] >= 0;
    }
    return TK_OK;
}

static tk_status look_at_clips(remixing *l)
{
    tk_remix *r = l->r;
    const char *sized = NULL;
    size_t before = 0;
    for (int k = 0; k < r->n; k++) {
        const bool open = !l->c->story.size[0];
        TK_TRY(tk_parent_look(l->wrong, l->c, l->codec, sized, l->arena, &r->parent[k]));
        if (open && l->c->story.size[0]) sized = r->parent[k].clip;
        before += 1 + json_array_size(json_object_get(r->parent[k].told, "lineage"));
    }
    if (before > LINEAGE)
        tk_wrong_add(l->wrong, r->parent[0].option,
                     "the descriptions of what this goes on from tell of more than %d remixes "
                     "before it",
                     LINEAGE);
    return TK_OK;
}

// ---- the shots that are made -------------------------------------------------------------------

static void take_shots(remixing *l)
{
    const tk_parent *p = &l->r->parent[0];
    tk_storyboard *b = &l->c->story;
    if (b->n_shots) return;
    if (p->n_shots) {
        b->shots = p->shot;
        b->n_shots = p->n_shots;
        l->r->told_shots = true;
    } else if (p->told)
        tk_wrong_add(l->wrong, p->option,
                     "the description of %s does not say its shots; list them as shots:", p->clip);
    else if (!p->wrong)
        tk_wrong_add(l->wrong, p->option,
                     "no shots: %s has no description of talkie's beside it that says them; list "
                     "them as shots:",
                     p->clip);
}

bool tk_remix_makes(const tk_storyboard *b, int64_t shot)
{
    static const double instant = 1e-6; // sums of seconds are not exact
    const tk_remix_config *r = &b->remix;
    double begin = 0;
    for (int64_t k = 0; k < r->n_shots; k++)
        if (r->shots[k] == shot) return true;
    if (r->shots) return false;
    for (int64_t i = 0; i < shot; i++) begin += b->shots[i].seconds;
    return begin + b->shots[shot].seconds > r->from + instant &&
           (r->to <= 0 || begin < r->to - instant);
}

static void check_shot_numbers(remixing *l)
{
    const tk_storyboard *b = &l->c->story;
    char name[48];
    for (int64_t k = 0; k < b->remix.n_shots && b->n_shots; k++) {
        snprintf(name, sizeof name, "remix.shots[%" PRId64 "]", k);
        if (b->remix.shots[k] >= b->n_shots)
            tk_wrong_add(l->wrong, name,
                         "%" PRId64 " is none of the %" PRId64
                         " shots of %s, which are counted from 0",
                         b->remix.shots[k], b->n_shots, l->c->story.remix.clip);
    }
}

static void take_prompt(remixing *l)
{
    tk_storyboard *b = &l->c->story;
    for (int64_t i = 0; i < b->n_shots && *b->remix.prompt; i++)
        if (tk_remix_makes(b, i)) b->shots[i].prompt = b->remix.prompt;
}

static void remix_clip(remixing *l)
{
    take_shots(l);
    check_shot_numbers(l);
    l->c->story.remix.latents = l->r->parent[0].length;
    if (!found_wrong(l)) take_prompt(l);
}

// ---- the shots that are taken ------------------------------------------------------------------

typedef struct taking { // a shot, of its clip
    const remixing *l;
    const tk_parent *p;
    tk_shot_config *shot;
    int64_t i;          // which of the storyboard's
    int64_t begin, end; // latent frames of the clip that it may be of
} taking;

__attribute__((format(printf, 3, 4))) static void wrong_of_shot(const taking *t, const char *key,
                                                                const char *fmt, ...)
{
    char option[48], words[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    snprintf(option, sizeof option, "shots[%" PRId64 "].%s", t->i, key);
    tk_wrong_add(t->l->wrong, option, "%s", words);
}

// Where in the clip its part may lie.
static bool find_shot(taking *t)
{
    const tk_parent *p = t->p;
    const int64_t asked = t->shot->shot;
    t->begin = 0;
    t->end = p->length;
    if (asked < 0) return true;
    if (!p->begin)
        wrong_of_shot(t, "shot",
                      "nothing says where shot %" PRId64
                      " lies in %.300s: it has no description of "
                      "talkie's beside it that fits; give from, seconds and prompt in its place",
                      asked, p->clip);
    else if (asked >= p->n_shots)
        wrong_of_shot(t, "shot",
                      "%" PRId64 " is none of the %" PRId64
                      " shots of %.300s, which are counted from 0",
                      asked, p->n_shots, p->clip);
    if (!p->begin || asked >= p->n_shots) return false;
    t->begin = p->begin[asked];
    t->end = p->begin[asked + 1];
    return true;
}

static bool find_part(const taking *t)
{
    tk_shot_config *s = t->shot;
    const double tick = tk_grid_tick(t->l->codec), room = (double)(t->end - t->begin) * tick;
    const double rest = s->seconds > 0 ? s->seconds : room - s->from;
    const char *of = s->shot < 0 ? "" : "that shot of ";
    if (s->from >= room)
        wrong_of_shot(t, "from", "%g seconds are not within %s%.300s, which lasts %.4g", s->from,
                      of, t->p->clip, room);
    else if (s->from + rest > room + tick / 2)
        wrong_of_shot(t, "seconds", "%g to %g seconds are no part of %s%.300s, which lasts %.4g",
                      s->from, s->from + rest, of, t->p->clip, room);
    if (s->from >= room || s->from + rest > room + tick / 2) return false;
    const int64_t first = t->begin + llround(s->from / tick), last = t->end - 1;
    s->taken_from = first < last ? first : last;
    const int64_t n = llround(rest / tick), most = t->end - s->taken_from;
    s->taken = n < 1 ? 1 : n > most ? most : n;
    s->seconds = (double)s->taken * tick;
    s->taken_until = (double)(s->taken_from + s->taken) * tick;
    return true;
}

// The caption of the clip's shot that its part begins in.
static void take_caption(const taking *t)
{
    const tk_parent *p = t->p;
    int64_t k = 0;
    if (*t->shot->prompt) return;
    while (p->begin && k < p->n_shots && p->begin[k + 1] <= t->shot->taken_from) k++;
    if (p->begin) t->shot->prompt = p->shot[k].prompt;
    if (p->begin) return;
    wrong_of_shot(
        t, "prompt",
        "missing: no description of talkie's beside %.300s says what is seen and heard in it",
        p->clip);
}

// One that cannot be taken goes on as a short one, so that all else can be looked at.
static void take_shot(const remixing *l, int64_t i)
{
    static char nothing[] = "?";
    const int of = l->r->of[i];
    taking t = {
        .l = l, .p = of < 0 ? NULL : &l->r->parent[of], .shot = &l->c->story.shots[i], .i = i};
    char name[32];
    snprintf(name, sizeof name, "shots[%" PRId64 "]", i);
    const bool clear = t.p && !t.p->wrong && !tk_wrong_doubts(l->wrong, name);
    const bool found = clear && find_shot(&t) && find_part(&t);
    if (found) take_caption(&t);
    if (!found) t.shot->seconds = tk_grid_tick(l->codec);
    if (!*t.shot->prompt) t.shot->prompt = nothing;
}

// ---- all of it ---------------------------------------------------------------------------------

tk_status tk_remix_look(tk_wrong *w, tk_config *c, const tk_codec_info *k, tk_arena *a,
                        tk_remix *out)
{
    remixing l = {.c = c, .codec = k, .arena = a, .r = out, .wrong = w, .before = w->n};
    *out = (tk_remix){0};
    TK_ARENA_NEW(out->parent, a, TK_REMIX_CLIPS);
    const bool remix = *c->story.remix.clip && !tk_wrong_doubts(w, "remix");
    if (remix) add_parent(out, c->story.remix.clip, "remix.clip");
    TK_TRY(gather_shots(&l));
    TK_TRY(look_at_clips(&l));
    for (int64_t i = 0; i < c->story.n_shots; i++)
        if (tk_shot_is_taken(&c->story.shots[i])) take_shot(&l, i);
    if (remix) remix_clip(&l);
    return TK_OK;
}

tk_remix_span tk_remix_span_of(const tk_remix_config *c, const tk_story *s)
{
    const int64_t first = s->shot[c->at].first_latent, left = s->grid.latent_frames - first;
    return (tk_remix_span){first, c->latents && c->latents < left ? c->latents : left};
}

void tk_remix_check(tk_wrong *w, tk_config *c, const tk_story *s)
{
    tk_remix_config *o = &c->story.remix;
    if (!*o->clip || tk_wrong_doubts(w, "remix")) return;
    const tk_remix_span span = tk_remix_span_of(o, s);
    o->around = span.n < s->grid.latent_frames;
    if (o->around && o->strength != 1)
        tk_wrong_add(w, "remix.strength",
                     "%.400s lasts %.4g seconds, the shots %.4g: what goes beyond it is made from "
                     "noise alone; leave strength out",
                     o->clip, (double)span.n * s->tick, (double)s->grid.latent_frames * s->tick);
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

// "shots 2, 3 made anew from 0.6 of noise, sound kept"
static void say_made(const tk_remix_config *c, char out[TK_REMIX_WORDS])
{
    const bool inside = c->shots ? c->n_shots > 0 : c->from > 0 || c->to > 0 || !c->around;
    size_t n = 0;
    for (int64_t k = 0; k < c->n_shots; k++)
        add_words(out, &n, "%s%" PRId64,
                  k                ? ", "
                  : c->n_shots > 1 ? "shots "
                                   : "shot ",
                  c->shots[k]);
    if (inside && !c->shots) add_words(out, &n, "%g s to ", c->from);
    if (inside && !c->shots && c->to > 0) add_words(out, &n, "%g s", c->to);
    if (inside && !c->shots && c->to <= 0) add_words(out, &n, "the end");
    if (inside && tk_remix_is_part(c))
        add_words(out, &n, ", of the frame %g to %g across and %g to %g down", c->left, c->right,
                  c->top, c->bottom);
    if (c->around) add_words(out, &n, "%swhat lies around it", inside ? " and " : "");
    add_words(out, &n, " made anew from ");
    if (c->strength < 1)
        add_words(out, &n, "%g of noise", c->strength);
    else
        add_words(out, &n, "noise");
    for (int64_t k = 0; k < c->n_keep; k++) add_words(out, &n, ", %s kept", c->keep[k]);
}

// "shot 2", "0.5 to 1 s of shot 2", "0.5 to 1 s"
static void say_part(const tk_parent *p, const tk_shot_config *s, char *out, size_t *n)
{
    const int64_t k = s->shot;
    const bool known = p->begin && k >= 0 && k < p->n_shots;
    const bool whole = known && s->taken == p->begin[k + 1] - p->begin[k];
    if (!whole) add_words(out, n, "%g to %g s", s->from, s->from + s->seconds);
    if (k >= 0) add_words(out, n, "%sshot %" PRId64, whole ? "" : " of ", k);
}

// "shot 0 kept as shot 0, shot 2 as shot 3 (its sound)"
static void say_taken(const tk_remix *r, const tk_storyboard *b, int k, char *out)
{
    enum { SAID = 8 };
    size_t n = 0;
    int64_t told = 0;
    for (int64_t i = 0; i < b->n_shots; i++) {
        const tk_shot_config *s = &b->shots[i];
        if (!tk_shot_is_taken(s) || r->of[i] != k || told++ >= SAID) continue;
        if (n) add_words(out, &n, ", ");
        say_part(&r->parent[k], s, out, &n);
        add_words(out, &n, "%s as shot %" PRId64, told == 1 ? " kept" : "", i);
        if (s->n_keep == 1) add_words(out, &n, " (its %s)", s->keep[0]);
    }
    if (told > SAID) add_words(out, &n, " and %" PRId64 " others", told - SAID);
}

const char *tk_remix_change(const tk_remix *r, const tk_storyboard *b, int k,
                            char out[TK_REMIX_WORDS])
{
    *out = 0;
    if (*b->remix.clip)
        say_made(&b->remix, out);
    else
        say_taken(r, b, k, out);
    return out;
}

const char *tk_remix_say(const tk_remix *r, const tk_storyboard *b, int k, char out[TK_REMIX_WORDS])
{
    const tk_parent *p = &r->parent[k];
    char change[TK_REMIX_WORDS];
    size_t n = 0;
    *out = 0;
    add_words(out, &n, "%s, from its %s: %s", p->clip, p->latents ? "latents" : "film, encoded",
              tk_remix_change(r, b, k, change));
    return out;
}

void tk_remix_close(tk_remix *r)
{
    for (int k = 0; k < r->n; k++) tk_parent_close(&r->parent[k]);
    *r = (tk_remix){0};
}
