// SPDX-License-Identifier: Apache-2.0
#include "infer/story/naming.h"
#include "core/base/log.h"
#include "core/config/named.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- given, and not named ----------------------------------------------------------------------

// Whether a text names what has the tag, by that or by another one of its character.
static bool names_it(const char *text, const char *tag)
{
    const size_t bytes = strlen(tag);
    const long number = tk_tag_number(tag, bytes);
    tk_named x;
    for (tk_naming of = {.at = text ? text : ""}; tk_named_next(&of, &x);) {
        const bool same = x.bytes == bytes && !memcmp(x.text, tag, bytes);
        if (x.person) continue;
        if (same || (number >= 0 && tk_tag_number(x.text, x.bytes) == number)) return true;
    }
    return false;
}

static bool is_named_somewhere(const tk_storyboard *b, const char *tag)
{
    if (names_it(b->style, tag)) return true;
    for (int64_t i = 0; i < b->n_shots; i++) {
        const tk_shot_config *s = &b->shots[i];
        if (names_it(s->prompt, tag) || names_it(s->camera, tag) || names_it(s->style, tag))
            return true;
    }
    return false;
}

static const char *colon(const char *place)
{
    return *place ? ": " : "";
}

static void tell_unnamed(const tk_config *c)
{
    const tk_storyboard *b = &c->story;
    for (int64_t k = 0; k < b->n_cast; k++) {
        char name[48];
        snprintf(name, sizeof name, "cast[%" PRId64 "].tag", k);
        const char *place = tk_config_place(c, name);
        if (!is_named_somewhere(b, b->cast[k].tag))
            tk_log_warn("%s%s%s: <%.60s> is given to all shots, and no prompt names it: write it "
                        "where it is seen or heard, or leave it out",
                        place, colon(place), name, b->cast[k].tag);
    }
    for (int64_t i = 0; i < b->n_cameo; i++) {
        const char *kind = tk_cameo_lends(b, i, "face") ? "face" : "voice";
        const char *place = tk_config_place(c, "cameo");
        char tag[48];
        snprintf(tag, sizeof tag, "%s %" PRId64, kind, i + 1);
        if (!is_named_somewhere(b, tag))
            tk_log_warn("%s%scameo: %.60s is given to all shots, and no prompt names <%s>: write "
                        "it where that person is seen or heard, or leave the handle out",
                        place, colon(place), b->cameo[i], tag);
    }
}

// ---- named by the clip, and not given ----------------------------------------------------------

enum { MOST_TOLD = 10 }; // the description may be anybody's

// Whether anything is made of a shot that may have its prompt from a clip; *clip: which one.
static bool makes_told(const tk_config *c, const tk_remix *r, int64_t shot, const char **clip)
{
    const tk_shot_config *s = &c->story.shots[shot];
    const bool taken = tk_shot_is_taken(s);
    *clip = taken ? s->clip : c->story.remix.clip;
    return taken ? s->n_keep == 1 : r->told_shots && tk_remix_makes(&c->story, shot);
}

static int tell_not_given(const tk_config *c, const char *clip, int64_t shot, int told)
{
    const tk_storyboard *b = &c->story;
    const bool taken = tk_shot_is_taken(&b->shots[shot]);
    char all[TK_TAGS_WORDS];
    tk_named x;
    for (tk_naming of = {.at = b->shots[shot].prompt}; told < MOST_TOLD && tk_named_next(&of, &x);)
        if (!x.person && tk_tag_is_meant(x.text, x.bytes) && !tk_tag_given(b, x.text, x.bytes) &&
            ++told)
            tk_log_warn("%s: the prompt %s %" PRId64
                        ", which is made anew, names <%.*s>, and that is not given; %s. Give it as "
                        "cast or cameo, or say %s",
                        clip, taken ? "that it has for shot" : "of its shot", shot,
                        (int)(x.bytes < 60 ? x.bytes : 60), x.text, tk_tags_say(b, all),
                        taken ? "another prompt" : "remix.prompt");
    return told;
}

void tk_naming_tell(const tk_config *c, const tk_remix *r)
{
    tell_unnamed(c);
    const char *clip;
    int told = 0;
    for (int64_t i = 0; i < c->story.n_shots && told < MOST_TOLD; i++)
        if (makes_told(c, r, i, &clip)) told = tell_not_given(c, clip, i, told);
}
