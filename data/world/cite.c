// SPDX-License-Identifier: Apache-2.0
#include "data/world/cite.h"
#include <string.h>

// What is cited of a person: both, else one of them; and how often by name.
static const double both = 0.6, face_alone = 0.2, by_name = 0.2;

enum { FACE, VOICE };

tk_status tk_world_cited_open(const tk_config *c, const tk_codec_info *k, tk_arena *a,
                              tk_world_cited *out)
{
    *out = (tk_world_cited){.config = c, .codec = *k, .arena = a};
    memset(out->known, -1, sizeof out->known);
    TK_ARENA_NEW(out->clip, a, c->world.clips);
    return TK_OK;
}

// Lists grow by doubling.
static tk_status room_for_one(tk_world_cited *all)
{
    if (all->n < all->room) return TK_OK;
    const int64_t room = all->room ? 2 * all->room : 256;
    tk_clip_reference *reference;
    tk_likeness *likeness;
    TK_ARENA_NEW(reference, all->arena, room);
    TK_ARENA_NEW(likeness, all->arena, room);
    if (all->n) {
        memcpy(reference, all->reference, (size_t)all->n * sizeof *reference);
        memcpy(likeness, all->likeness, (size_t)all->n * sizeof *likeness);
    }
    all->reference = reference;
    all->likeness = likeness;
    all->room = room;
    return TK_OK;
}

static tk_status add_reference(tk_world_cited *all, const tk_likeness *l, int sample, int64_t *out)
{
    const tk_likeness_rows size = tk_likeness_size(l->voice, &all->codec, &all->config->media);
    char *name = l->voice ? tk_arena_printf(all->arena, "a voice: %s, %d", l->who.name, sample + 1)
                          : tk_arena_printf(all->arena, "a face: %s", l->who.name);
    if (!name) return TK_FAIL(TK_MEMORY, "out of memory for the name of a reference");
    TK_TRY(room_for_one(all));
    all->likeness[all->n] = *l;
    all->reference[all->n] = (tk_clip_reference){.name = name,
                                                 .latent_frames = size.latents,
                                                 .high = size.high,
                                                 .wide = size.wide,
                                                 .audio_rows = size.audio_rows};
    *out = all->n++;
    return TK_OK;
}

// The reference that shows so much of one of the cast: sample -1 the face, else one of the voice.
static tk_status find_reference(tk_world_cited *all, int character, int sample, int64_t *out)
{
    int64_t *known = &all->known[character][1 + sample];
    const uint64_t which = (uint64_t)(character * TK_VOICE_SAMPLES + sample);
    const tk_likeness l = {.who = tk_characters[character],
                           .voice = sample >= 0,
                           .words = {.key = tk_rng_key(0, TK_RNG_LIKENESS, which)}};
    if (*known < 0) TK_TRY(add_reference(all, &l, sample, known));
    *out = *known;
    return TK_OK;
}

// A stranger's are of that clip alone.
static tk_status add_stranger(tk_world_cited *all, const tk_scene *s, bool voice, int64_t *out)
{
    const tk_likeness l = {
        .who = s->stranger,
        .voice = voice,
        .words = {.key = tk_rng_key(s->seed, TK_RNG_LIKENESS, (uint64_t)s->index), .n = 100}};
    return add_reference(all, &l, 0, out);
}

static tk_status refer(tk_world_cited *all, const tk_scene *s, int person, int sample, int64_t *out)
{
    const int who = s->person[person];
    return who == TK_STRANGER ? add_stranger(all, s, sample >= 0, out)
                              : find_reference(all, who, sample, out);
}

static tk_status draw_citing(tk_world_cited *all, const tk_scene *s, int person, bool speaks,
                             tk_draws *d, int number, tk_world_citing *out)
{
    const double u = tk_draw(d, 0, 1);
    const int sample = tk_draw_below(d, TK_VOICE_SAMPLES);
    const bool face = !speaks || u < both + face_alone,
               voice = speaks && (u < both || u >= both + face_alone);
    *out = (tk_world_citing){number, tk_draw_chance(d, by_name), -1, -1};
    if (s->person[person] == TK_STRANGER) out->named = false;
    if (face) TK_TRY(refer(all, s, person, -1, &out->face));
    return voice ? refer(all, s, person, sample, &out->voice) : TK_OK;
}

static tk_status add_citation(tk_world_cited *all, const tk_world_citing *c, int what,
                              const tk_character *who, tk_clip_info *clip)
{
    const int64_t reference = what == FACE ? c->face : c->voice;
    if (reference < 0) return TK_OK;
    tk_clip_citation *to = &clip->citation[clip->n_citations++];
    to->reference = (int)reference;
    to->word = tk_arena_strdup(all->arena, c->named ? "" : who->name);
    to->tag = tk_arena_printf(all->arena, "%s %d", what == FACE ? "face" : "voice", c->number);
    return to->word && to->tag ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a citation");
}

tk_status tk_world_cite(tk_world_cited *all, const tk_scene *s, int64_t i, bool speaks,
                        tk_clip_info *clip)
{
    tk_draws d = {.key = tk_rng_key(s->seed, TK_RNG_LIKENESS, (uint64_t)s->index)};
    int number = 0;
    TK_ARENA_NEW(clip->citation, all->arena, 2 * TK_SCENE_PEOPLE);
    for (int p = 0; p < TK_SCENE_PEOPLE; p++) {
        tk_world_citing *c = &all->clip[i][p];
        *c = (tk_world_citing){.face = -1, .voice = -1};
        if (p >= s->n_people || !tk_draw_chance(&d, all->config->world.references)) continue;
        TK_TRY(draw_citing(all, s, p, speaks, &d, ++number, c));
        for (int what = FACE; what <= VOICE; what++)
            TK_TRY(add_citation(all, c, what, tk_scene_character(s, p), clip));
    }
    return TK_OK;
}
