// SPDX-License-Identifier: Apache-2.0
#include "infer/output/digest.h"
#include "core/base/digest.h"
#include <string.h>
#include <xxhash.h>

static tk_status add_files(const tk_storyboard *b, tk_arena *a, uint64_t *h)
{
    char ***at;
    const int64_t n = tk_story_files(b, NULL);
    TK_ARENA_NEW(at, a, n + 1);
    tk_story_files(b, at);
    for (int64_t i = 0; i < n; i++) {
        uint64_t file;
        if (tk_story_file_again(at, i)) continue;
        TK_TRY(tk_file_digest(*at[i], &file, NULL));
        *h = XXH3_64bits_withSeed(&file, sizeof file, *h);
    }
    for (int64_t i = 0; i < b->n_lent; i++) {
        uint64_t file;
        TK_TRY(tk_file_digest(b->lent[i].file, &file, NULL));
        *h = XXH3_64bits_withSeed(&file, sizeof file, *h);
    }
    return TK_OK;
}

static tk_status digest_options(const tk_config *c, uint64_t *out)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    const char *dump = tk_config_dump(c, TK_CMD_SAMPLE, &a);
    *out = dump ? XXH3_64bits_withSeed(dump, strlen(dump), *out) : 0;
    tk_arena_free(&a);
    return dump ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the options");
}

// They are not made, but cut so.
static tk_status without_transitions(tk_storyboard *b, tk_arena *a)
{
    tk_shot_config *plain;
    TK_ARENA_NEW(plain, a, b->n_shots + 1);
    for (int64_t i = 0; i < b->n_shots; i++) {
        plain[i] = b->shots[i];
        plain[i].dissolve = plain[i].fade_in = plain[i].fade_out = 0;
    }
    b->shots = plain;
    return TK_OK;
}

// The clips that it goes on from, and where in them shots that are taken lie: descriptions say it.
static void digest_parents(const tk_storyboard *b, const tk_remix *r, uint64_t *h)
{
    for (int k = 0; k < r->n; k++)
        if (r->parent[k].latents)
            *h = XXH3_64bits_withSeed(&r->parent[k].digest, sizeof r->parent[k].digest, *h);
    for (int64_t i = 0; i < b->n_shots; i++) {
        const int64_t at[] = {i, b->shots[i].taken_from, b->shots[i].taken};
        if (tk_shot_is_taken(&b->shots[i])) *h = XXH3_64bits_withSeed(at, sizeof at, *h);
    }
}

// Of options with the model that they go by.
static tk_status digest_with_model(const tk_config *c, const tk_trained *t, uint64_t *out)
{
    uint64_t text = 0;
    TK_TRY(digest_options(c, &text));
    const uint64_t model[] = {text, t->meta.digest, tk_codec_get_info(t->meta.codec)->digest,
                              (uint64_t)(c->sample.ema && t->has_ema)};
    *out = XXH3_64bits(model, sizeof model);
    return TK_OK;
}

// Of what latents depend on. bare: all but what makes no other clip.
static tk_status digest_made(const tk_config *bare, const tk_trained *t, const tk_remix *r,
                             tk_arena *a, tk_output_digests *out)
{
    static char none[] = "";
    const tk_storyboard *b = &bare->story;
    tk_config latents = *bare, no_story;
    latents.film = (tk_film_config){0};
    latents.provenance = (tk_provenance_config){none, none, none};
    latents.watermark = (tk_watermark_config){none, none, 0};
    TK_TRY(without_transitions(&latents.story, a));
    TK_TRY(digest_with_model(&latents, t, &out->made));
    digest_parents(b, r, &out->made);
    TK_TRY(add_files(b, a, &out->made));
    tk_config_init(&no_story);
    latents.story = no_story.story;
    const tk_status st = digest_with_model(&latents, t, &out->model);
    tk_config_free(&no_story);
    return st;
}

tk_status tk_output_digest(const tk_config *c, const tk_trained *t, const tk_remix *r,
                           tk_output_digests *out)
{
    tk_config bare = *c;
    tk_arena a;
    static char none[] = "", some[] = "signed";
    const tk_consent_config none_asked = {none, none, none, none, none, NULL, 0, NULL, 0, none};
    bare.parallel = (tk_parallel_config){0};
    bare.codec.file = none;
    bare.story.output = bare.output = bare.story.checkpoint = none;
    bare.jobs = (tk_jobs_config){0};
    bare.log_level = 0;
    bare.sample.graph = bare.sample.latents = 0; // the same clip
    bare.filter = (tk_filter_config){none, none};
    bare.consent = none_asked;
    // Whether it is signed is a thing of the clip's, by which files is not.
    bare.provenance.key = bare.provenance.chain = *c->provenance.key ? some : none;
    bare.watermark.key = *c->watermark.key ? some : none; // nor under which key it is marked
    tk_arena_init(&a, 0);
    tk_status st = digest_made(&bare, t, r, &a, out);
    out->clip = out->made;
    if (st == TK_OK) st = digest_options(&bare, &out->clip);
    tk_arena_free(&a);
    return st;
}
