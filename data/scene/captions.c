// SPDX-License-Identifier: Apache-2.0
// What a shot's caption says, in one of several wordings: "size[, move][, style, set]: clause",
// style and set in the first shot and where they are told again.
#include "data/scene/physics.h"
#include "data/scene/plot.h"
#include <stdio.h>
#include <string.h>

enum { WORDINGS = 3, MOST_BYTES = 80 };

// Wordings of a clause, one of which is drawn. %t the thing, %o the other thing, %n the person, %m
// the other one, %w the words spoken, %p a third of the frame, %d where to.
typedef struct clause {
    tk_beat beat;
    tk_outcome outcome;
    const char *of[WORDINGS];
} clause;

static const clause clauses[] = {
    {TK_BEAT_DROP, TK_OUTCOME_BOUNCES, {"%t bounces %p", "%t falls %p and bounces"}},
    {TK_BEAT_DROP, TK_OUTCOME_LIES, {"%t drops %p", "%t thuds down %p", "%t falls %p"}},
    {TK_BEAT_RISE, TK_OUTCOME_RISES, {"%t rises", "%t floats up", "%t goes up"}},
    {TK_BEAT_RAMP, TK_OUTCOME_ROLLS, {"%t rolls down the ramp", "%t runs down the ramp"}},
    {TK_BEAT_RAMP,
     TK_OUTCOME_HITS,
     {"%t rolls down the ramp, hits %o", "%t runs down the ramp into %o"}},
    {TK_BEAT_SPLASH,
     TK_OUTCOME_SINKS,
     {"%t falls into the water, sinks", "%t splashes down, sinks"}},
    {TK_BEAT_SPLASH,
     TK_OUTCOME_FLOATS,
     {"%t falls into the water, floats", "%t splashes down, floats"}},
    {TK_BEAT_HIT, TK_OUTCOME_HITS, {"%t hits %o", "%t runs into %o", "%t knocks into %o"}},
    {TK_BEAT_LETGO, TK_OUTCOME_LIES, {"%n drops %t", "%n lets %t fall"}},
    {TK_BEAT_LETGO, TK_OUTCOME_BOUNCES, {"%n drops %t, it bounces", "%n lets %t bounce"}},
    {TK_BEAT_LETGO, TK_OUTCOME_SINKS, {"%n drops %t into the water, it sinks", "%n lets %t sink"}},
    {TK_BEAT_LETGO,
     TK_OUTCOME_FLOATS,
     {"%n drops %t into the water, it floats", "%n lets %t float"}},
    {TK_BEAT_LETGO, TK_OUTCOME_RISES, {"%n lets %t go", "%n lets %t rise"}},
    {TK_BEAT_WALK, TK_OUTCOME_NONE, {"%n walks %d", "%n goes %d"}},
    {TK_BEAT_TURN, TK_OUTCOME_NONE, {"%n turns %d", "%n looks %d"}},
    {TK_BEAT_SAY, TK_OUTCOME_NONE, {"%n says %w", "%n: %w"}},
    {TK_BEAT_ASK, TK_OUTCOME_NONE, {"%n asks %w", "%n asks %m %w"}},
    {TK_BEAT_ANSWER, TK_OUTCOME_NONE, {"%n answers %w", "%n answers: %w"}},
    {TK_BEAT_LOOK, TK_OUTCOME_NONE, {"%n waits", "%n stands there"}},
    {TK_BEAT_LOOK, TK_OUTCOME_LIES, {"%t lies there", "%t lies still"}},
    {TK_BEAT_LOOK, TK_OUTCOME_BOUNCES, {"%t bounces on", "%t still bounces"}},
    {TK_BEAT_LOOK, TK_OUTCOME_FALLS, {"%t falls on", "%t still falls"}},
    {TK_BEAT_LOOK, TK_OUTCOME_ROLLS, {"%t rolls on", "%t still rolls"}},
    {TK_BEAT_LOOK, TK_OUTCOME_SLIDES, {"%t slides on", "%t still slides"}},
    {TK_BEAT_LOOK, TK_OUTCOME_SINKS, {"%t sinks on", "%t still sinks"}},
    {TK_BEAT_LOOK, TK_OUTCOME_FLOATS, {"%t floats there", "%t still floats"}},
    {TK_BEAT_LOOK, TK_OUTCOME_RISES, {"%t rises on", "%t still rises"}},
};

// Whether such an event comes to the shot's thing in [from, to).
static bool comes_to(const tk_scene *s, const tk_shot *h, tk_event_kind kind, double from,
                     double to)
{
    for (int i = 0; i < s->n_events; i++) {
        const tk_scene_event *e = &s->event[i];
        if (e->kind == kind && e->thing == h->thing && e->t >= from && e->t < to) return true;
    }
    return false;
}

static tk_outcome outcome_of_fall(const tk_scene *s, const tk_shot *h)
{
    const tk_thing *o = &s->thing[h->thing];
    const double end = h->start + h->seconds;
    if (o->kind == TK_BALLOON) return TK_OUTCOME_RISES;
    if (comes_to(s, h, TK_EVENT_SPLASH, h->start, end))
        return o->heavy ? TK_OUTCOME_SINKS : TK_OUTCOME_FLOATS;
    return o->kind == TK_BALL && !o->heavy ? TK_OUTCOME_BOUNCES : TK_OUTCOME_LIES;
}

// Of a thing that nobody has just set going.
static tk_outcome outcome_of_going_on(const tk_scene *s, const tk_shot *h)
{
    const double end = h->start + h->seconds;
    const tk_arc *a = tk_arc_of(s, h->thing, h->start + 1e-9);
    if (a->law == TK_LAW_BOB) return TK_OUTCOME_FLOATS;
    if (a->law == TK_LAW_DRAG) return a->vend > 0 ? TK_OUTCOME_RISES : TK_OUTCOME_SINKS;
    if (a->law != TK_LAW_FREE) return TK_OUTCOME_LIES;
    if (a->ay == 0)
        return s->thing[h->thing].kind == TK_BALL ? TK_OUTCOME_ROLLS : TK_OUTCOME_SLIDES;
    if (comes_to(s, h, TK_EVENT_SPLASH, h->start, end)) return outcome_of_fall(s, h);
    return comes_to(s, h, TK_EVENT_IMPACT, h->start, end) ? TK_OUTCOME_BOUNCES : TK_OUTCOME_FALLS;
}

static tk_outcome outcome_of(const tk_scene *s, const tk_shot *h)
{
    switch (h->beat) {
    case TK_BEAT_DROP:
    case TK_BEAT_RISE:
    case TK_BEAT_SPLASH:
    case TK_BEAT_LETGO:
        return outcome_of_fall(s, h);
    case TK_BEAT_RAMP:
        return h->other < 0 ? TK_OUTCOME_ROLLS : TK_OUTCOME_HITS;
    case TK_BEAT_HIT:
        return TK_OUTCOME_HITS;
    default:
        return h->thing < 0 ? TK_OUTCOME_NONE : outcome_of_going_on(s, h);
    }
}

// One of the wordings for what happens in the shot; NULL: it cannot be said.
static const char *wording_of(const tk_shot *h, tk_draws *d)
{
    for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++) {
        const clause *c = &clauses[i];
        int n = 0;
        if (c->beat != h->beat || c->outcome != h->outcome) continue;
        while (n < WORDINGS && c->of[n]) n++;
        return c->of[tk_draw_below(d, n)];
    }
    return NULL;
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

static void put_thing(line_of_text *l, const tk_scene *s, tk_style style, int thing)
{
    const tk_thing *o = &s->thing[thing];
    put_words(l, "the ");
    if (style != TK_STYLE_NOIR) {
        put_words(l, tk_colour_name[o->colour]);
        put_words(l, " ");
    }
    put_words(l, tk_kind_name[o->kind]);
}

// By name, or by a pronoun if the shot before was about nobody else.
static void put_person(line_of_text *l, const tk_scene *s, int k)
{
    const int who = s->shot[k].person;
    const tk_character *c = tk_scene_character(s, who);
    if (k == 0 || s->shot[k - 1].person != who)
        put_words(l, c->name);
    else
        put_words(l, c->pronoun[0] == 'S' ? "she" : "he");
}

// The words of the shot's line, in quotes.
static void put_spoken(line_of_text *l, const tk_scene *s, const tk_shot *h)
{
    const tk_scene_line *line = &s->line[h->first_line];
    for (int i = 0; i < line->n; i++) {
        put_words(l, i ? " " : "\"");
        put_words(l, tk_word_text(line->word[i]));
    }
    put_words(l, "\"");
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
            put_thing(l, s, h->style, h->thing);
            break;
        case 'o':
            put_thing(l, s, h->style, h->other);
            break;
        case 'n':
            put_person(l, s, k);
            break;
        case 'm':
            put_words(l, tk_scene_character(s, h->other)->name);
            break;
        case 'w':
            put_spoken(l, s, h);
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

static void put_head(line_of_text *l, const tk_scene *s, int k)
{
    static const char *const move[TK_MOVES] = {"", ", pan", ", push in"};
    const tk_shot *h = &s->shot[k];
    put_words(l, tk_size_name[h->size]);
    put_words(l, move[h->move]);
    if (h->reverse) put_words(l, ", reverse");
    if (h->tells) {
        put_words(l, ", ");
        put_words(l, tk_style_name[h->style]);
        put_words(l, ", ");
        put_words(l, tk_set_name[s->set]);
    }
    put_words(l, ": ");
}

bool tk_plot_caption(tk_plot *p, int k)
{
    const tk_scene *s = p->s;
    tk_shot *h = &p->s->shot[k];
    line_of_text l = {h->caption, sizeof h->caption, 0};
    h->outcome = outcome_of(s, h);
    const char *wording = wording_of(h, &p->d);
    if (!wording) return false;
    put_head(&l, s, k);
    put_clause(&l, s, k, wording);
    if (h->n_lines && !strstr(wording, "%w")) {
        put_words(&l, ". ");
        put_words(&l, tk_scene_character(s, h->person)->pronoun);
        put_words(&l, " says ");
        put_spoken(&l, s, h);
    }
    return l.n <= MOST_BYTES;
}
