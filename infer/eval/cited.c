// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/cited.h"
#include "data/world/likeness.h"
#include "train/step/references.h"

static const char *const face_tag[TK_SCENE_PEOPLE] = {"face 1", "face 2"},
                         *const voice_tag[TK_SCENE_PEOPLE] = {"voice 1", "voice 2"};

tk_status tk_cited_captions(const tk_scene *s, bool speaks, tk_arena *a, const tk_clip_shot **out)
{
    tk_clip_info info = {.n_shots = s->n_shots};
    TK_ARENA_NEW(info.shot, a, s->n_shots);
    TK_ARENA_NEW(info.citation, a, 2 * TK_SCENE_PEOPLE);
    for (int k = 0; k < s->n_shots; k++) info.shot[k].caption = (char *)s->shot[k].caption;
    for (int i = 0; i < s->n_people; i++)
        for (int voice = 0; voice < (speaks ? 2 : 1); voice++)
            info.citation[info.n_citations++] =
                (tk_clip_citation){.tag = (char *)(voice ? voice_tag : face_tag)[i],
                                   .word = (char *)tk_scene_character(s, i)->name};
    return tk_cite_captions(&info, a, out);
}

// Somebody of the cast who is neither in the scene nor given already.
static int somebody_else(const tk_scene *s, int i, int given)
{
    int who = (s->person[i] + 1 + (int)(s->index % (TK_CAST - 1))) % TK_CAST;
    for (;; who = (who + 1) % TK_CAST) {
        bool here = who == given;
        for (int k = 0; k < s->n_people; k++) here |= s->person[k] == who;
        if (!here) return who;
    }
}

static tk_status add_likeness(const tk_likeness *l, const char *tag, const tk_media_config *m,
                              const tk_codec *codec, tk_speech *speech, tk_arena *a,
                              tk_references *out)
{
    const tk_likeness_rows size = tk_likeness_size(l->voice, tk_codec_get_info(codec), m);
    tk_reference *r = &out->ref[out->n++];
    *r = (tk_reference){.tag = tag,
                        .shot = -1,
                        .latents = size.latents,
                        .high = size.high,
                        .wide = size.wide,
                        .audio_rows = size.audio_rows};
    return tk_likeness_make(l, codec, m, speech, a, l->voice ? &r->audio : &r->video);
}

tk_status tk_cited_references(const tk_scene *s, const tk_media_config *m, const tk_codec *codec,
                              tk_speech *speech, bool wrong, tk_arena *a, tk_references *out)
{
    int other = -1;
    *out = (tk_references){0};
    TK_ARENA_NEW(out->ref, a, 2 * TK_SCENE_PEOPLE);
    for (int i = 0; i < s->n_people; i++) {
        tk_likeness l = {.who = *tk_scene_character(s, i),
                         .words = {.key = tk_rng_key(s->seed, TK_RNG_LIKENESS, (uint64_t)s->index),
                                   .n = 200 + 100 * (uint64_t)i}};
        if (wrong) l.who = tk_characters[other = somebody_else(s, i, other)];
        TK_TRY(add_likeness(&l, face_tag[i], m, codec, speech, a, out));
        l.voice = true;
        if (speech) TK_TRY(add_likeness(&l, voice_tag[i], m, codec, speech, a, out));
    }
    return TK_OK;
}

// ---- what counts -------------------------------------------------------------------------------

static void forget_figures(tk_figures *f, int n, const tk_figure *figure)
{
    for (int k = 0; k < n; k++) f->hits[figure[k]] = f->of[figure[k]] = 0;
}

void tk_keep_held_out(const tk_scene *s, tk_figures *f)
{
    static const tk_figure people[] = {TK_FIG_WHO,        TK_FIG_CLOTHES,       TK_FIG_VOICE,
                                       TK_FIG_SAME_FACE,  TK_FIG_SAME_CLOTHES,  TK_FIG_SAME_VOICE,
                                       TK_FIG_STORY_FACE, TK_FIG_STORY_CLOTHES, TK_FIG_STORY_VOICE},
                           sets[] = {TK_FIG_SET,        TK_FIG_SCAPE,     TK_FIG_SAME_SET,
                                     TK_FIG_SAME_SCAPE, TK_FIG_STORY_SET, TK_FIG_STORY_SCAPE},
                           things[] = {TK_FIG_COLOUR, TK_FIG_KIND, TK_FIG_OBJECT, TK_FIG_SAME,
                                       TK_FIG_STORY_OBJECT};
    bool known_person = false, known_thing = false;
    for (int i = 0; i < s->n_people; i++) known_person |= !tk_is_held_out(s->person[i]);
    for (int i = 0; i < s->n_things; i++)
        known_thing |= s->thing[i].kind != TK_HELD_KIND || s->thing[i].colour != TK_HELD_COLOUR;
    if (known_person) forget_figures(f, sizeof people / sizeof *people, people);
    if (s->set != TK_HELD_SET) forget_figures(f, sizeof sets / sizeof *sets, sets);
    if (known_thing) forget_figures(f, sizeof things / sizeof *things, things);
}
