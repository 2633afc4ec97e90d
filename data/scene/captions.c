// SPDX-License-Identifier: Apache-2.0
// What a shot's caption says, in one of several wordings: "size[, move][, style, set]: clause".
#include "data/scene/physics.h"
#include "data/scene/plot.h"
#include <stdio.h>
#include <string.h>

// Wordings, one of which is drawn. %t the thing, %o the other thing, %n the person, %p a third of
// the frame, %d where to.
typedef struct wordings {
    const char *of[4];
} wordings;

static const wordings
    drop_bounces = {{"%t bounces %p", "%t falls and bounces %p", "%t drops %p, bounces"}},
    drop_lies = {{"%t drops %p", "%t thuds down %p", "%t falls %p"}},
    rises = {{"%t rises", "%t floats up", "%t goes up"}},
    ramp = {{"%t rolls down the ramp", "%t runs down the ramp"}},
    ramp_hits = {{"%t rolls down the ramp, hits %o", "%t runs down the ramp into %o"}},
    sinks = {{"%t falls into the water, sinks", "%t splashes down and sinks"}},
    floats = {{"%t falls into the water, floats", "%t splashes down and floats"}},
    hits = {{"%t hits %o", "%t runs into %o", "%t knocks into %o"}},
    letgo = {{"%n drops %t", "%n lets %t fall"}},
    letgo_bounces = {{"%n drops %t, it bounces", "%n lets %t bounce"}},
    letgo_sinks = {{"%n drops %t into the water, it sinks", "%n lets %t sink"}},
    letgo_floats = {{"%n drops %t into the water, it floats", "%n lets %t float"}},
    letgo_rises = {{"%n lets %t go", "%n lets %t rise"}}, walks = {{"%n walks %d", "%n goes %d"}},
    turns = {{"%n turns %d", "%n looks %d"}}, waits = {{"%n waits", "%n stands there", "%n"}},
    lies = {{"%t lies there", "%t lies still", "%t"}},
    bounces_on = {{"%t bounces on", "%t still bounces"}},
    rolls_on = {{"%t rolls on", "%t still rolls"}}, slides_on = {{"%t slides on"}},
    sinks_on = {{"%t sinks", "%t goes down"}}, floats_on = {{"%t floats", "%t bobs there"}},
    rises_on = {{"%t rises on", "%t goes on up"}}, falls_on = {{"%t falls"}};

// Whether such an event comes to the shot's thing before time t.
static bool comes_to(const tk_scene *s, const tk_shot *h, tk_event_kind kind, double t)
{
    for (int i = 0; i < s->n_events; i++) {
        const tk_scene_event *e = &s->event[i];
        if (e->kind == kind && e->thing == h->thing && e->t < t) return true;
    }
    return false;
}

static const wordings *after_fall(const tk_scene *s, const tk_shot *h, bool by_person)
{
    const tk_thing *o = &s->thing[h->thing];
    if (o->kind == TK_BALLOON) return by_person ? &letgo_rises : &rises;
    if (comes_to(s, h, TK_EVENT_SPLASH, h->start + h->seconds)) {
        if (o->heavy) return by_person ? &letgo_sinks : &sinks;
        return by_person ? &letgo_floats : &floats;
    }
    if (o->kind == TK_BALL && !o->heavy) return by_person ? &letgo_bounces : &drop_bounces;
    return by_person ? &letgo : &drop_lies;
}

// What a thing is seen to do that nobody has just set going.
static const wordings *going_on(const tk_scene *s, const tk_shot *h)
{
    const tk_arc *a = tk_arc_of(s, h->thing, h->start + 1e-9);
    if (a->law == TK_LAW_BOB) return &floats_on;
    if (a->law == TK_LAW_DRAG) return a->vend > 0 ? &rises_on : &sinks_on;
    if (a->law != TK_LAW_FREE) return &lies;
    if (a->ay == 0) return s->thing[h->thing].kind == TK_BALL ? &rolls_on : &slides_on;
    return comes_to(s, h, TK_EVENT_IMPACT, h->start) ? &bounces_on : &falls_on;
}

static const wordings *wordings_of(const tk_scene *s, const tk_shot *h)
{
    switch (h->beat) {
    case TK_BEAT_DROP:
    case TK_BEAT_SPLASH:
        return after_fall(s, h, false);
    case TK_BEAT_RISE:
        return &rises;
    case TK_BEAT_RAMP:
        return h->other < 0 ? &ramp : &ramp_hits;
    case TK_BEAT_HIT:
        return &hits;
    case TK_BEAT_LETGO:
        return after_fall(s, h, true);
    case TK_BEAT_WALK:
        return &walks;
    case TK_BEAT_TURN:
        return &turns;
    default:
        return h->person >= 0 ? &waits : going_on(s, h);
    }
}

typedef struct line_of_text {
    char *to;
    size_t room, n;
} line_of_text;

static void put_words(line_of_text *l, const char *words)
{
    const int n = snprintf(l->to + l->n, l->room - l->n, "%s", words);
    l->n += (size_t)n < l->room - l->n ? (size_t)n : l->room - l->n - 1;
}

static void put_thing(line_of_text *l, const tk_scene *s, int thing)
{
    const tk_thing *o = &s->thing[thing];
    put_words(l, "the ");
    if (s->style != TK_STYLE_NOIR) {
        put_words(l, tk_colour_name[o->colour]);
        put_words(l, " ");
    }
    put_words(l, tk_kind_name[o->kind]);
}

// By name, or by a pronoun if the shot before was about nobody else.
static void put_person(line_of_text *l, const tk_scene *s, int k)
{
    const int who = s->shot[k].person;
    const tk_character *c = &tk_characters[s->person[who]];
    if (k == 0 || s->shot[k - 1].person != who)
        put_words(l, c->name);
    else
        put_words(l, c->pronoun[0] == 'S' ? "she" : "he");
}

static void put_clause(line_of_text *l, const tk_scene *s, int k, const char *form)
{
    static const char *const toward[] = {"left", "to us", "right"};
    const tk_shot *h = &s->shot[k];
    for (; *form; form++) {
        const char one[2] = {*form, 0};
        if (*form != '%') {
            put_words(l, one);
            continue;
        }
        switch (*++form) {
        case 't':
            put_thing(l, s, h->thing);
            break;
        case 'o':
            put_thing(l, s, h->other);
            break;
        case 'n':
            put_person(l, s, k);
            break;
        case 'p':
            put_words(l, tk_place_name[h->place]);
            break;
        case 'd':
            put_words(l, toward[h->toward + 1]);
            break;
        }
    }
}

void tk_plot_caption(tk_plot *p, int k)
{
    static const char *const move[TK_MOVES] = {"", ", pan", ", push in"};
    const tk_scene *s = p->s;
    tk_shot *h = &p->s->shot[k];
    const wordings *w = wordings_of(s, h);
    int n = 0;
    while (n < 4 && w->of[n]) n++;
    line_of_text l = {h->caption, sizeof h->caption, 0};
    put_words(&l, tk_size_name[h->size]);
    put_words(&l, move[h->move]);
    if (h->reverse) put_words(&l, ", reverse");
    if (k == 0) {
        put_words(&l, ", ");
        put_words(&l, tk_style_name[s->style]);
        put_words(&l, ", ");
        put_words(&l, tk_set_name[s->set]);
    }
    put_words(&l, ": ");
    put_clause(&l, s, k, w->of[tk_draw_below(&p->d, n)]);
}
