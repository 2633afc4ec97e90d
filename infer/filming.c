// SPDX-License-Identifier: Apache-2.0
#include "infer/filming.h"
#include "core/base/log.h"
#include "data/codec/decoder.h"
#include "infer/cut/edit.h"
#include "infer/filtering.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <stdio.h>

tk_status tk_studio_stopped(const tk_studio *a)
{
    const tk_studio_place *p = a->place[0];
    int64_t kept = 0;
    if (p->job->stored.path)
        return TK_FAIL(TK_STOPPED, "%s: stopped on request; run the same command again",
                       p->job->file);
    for (int64_t i = 0; i < p->reel.reel.shape.n; i++) kept += p->reel.there[i];
    return TK_FAIL(TK_STOPPED,
                   "%s: stopped on request; %" PRId64 " of %" PRId64 " windows are kept in %s: run "
                   "the same command again to go on",
                   p->job->file, kept, p->reel.reel.shape.n, p->reel.folder);
}

typedef struct clip_source { // pictures and sound as long as nobody asks to stop
    tk_media_source source;  // the first member
    tk_media_source *of;
    const tk_studio *a;
    tk_review *review; // of it; NULL: none
} clip_source;

static bool stops_writing(const tk_studio *a)
{
    return tk_stop_asked() || (a->writing && a->writing(a->ctx));
}

static tk_status next_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    const clip_source *c = (const clip_source *)s;
    if (stops_writing(c->a)) return tk_studio_stopped(c->a);
    TK_TRY(c->of->picture(c->of, frame, rgb));
    return tk_review_see(c->review, frame, *rgb);
}

static tk_status next_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    const clip_source *c = (const clip_source *)s;
    if (stops_writing(c->a)) return tk_studio_stopped(c->a);
    TK_TRY(c->of->sound(c->of, first, n, pcm));
    return tk_review_hear(c->review, first, n, pcm);
}

typedef struct approval { // of a clip that is whole, before any of it is there
    tk_review *review;
    tk_job *job;
    bool told; // it was begun to tell who lends to it that it is made
} approval;

static tk_status approve_clip(void *ctx)
{
    approval *x = ctx;
    TK_TRY(tk_review_verdict(x->review));
    x->told = true;
    return tk_lent_tell(&x->job->lent, TK_CAMEO_MADE, x->job->told_output);
}

// What is left of a clip that is refused for what is said or can be read in it goes, too.
static tk_status unless_review_refuses(const tk_review *r, const char *output, tk_status st)
{
    char words[4096];
    if (st != TK_INPUT || !tk_review_refuses(r)) return st;
    snprintf(words, sizeof words, "%s", tk_status_message());
    TK_TRY(tk_reel_files_remove(output));
    tk_status_set(st, words);
    return st;
}

// The film of what a source decodes, past who reviews it.
static tk_status write_film(tk_studio *a, tk_studio_place *at, tk_latent_source *rows,
                            tk_review *review, tk_media_source *made)
{
    tk_job *job = at->job;
    tk_edit edit;
    approval approves = {review, job, false};
    const tk_provenance p = {.storyboard = job->told_file ? job->told_file : job->file,
                             .output = job->output,
                             .told = job->told_output ? job->told_output : job->config.story.output,
                             .digest = job->digest.clip,
                             .made = job->digest.made,
                             .draft = job->draft,
                             .config = &job->config,
                             .story = &job->story,
                             .refs = &at->refs,
                             .remix = &job->remix,
                             .latents = rows,
                             .cut = &job->cut,
                             .trained = job->trained,
                             .layout = &a->parallel,
                             .averaged = a->session.averaged,
                             .seconds = tk_now() - at->begun,
                             .approve = approve_clip,
                             .ctx = &approves};
    tk_edit_open(&edit, &job->cut, made);
    clip_source all = {
        {edit.source.shape, next_picture, next_sound, NULL}, &edit.source, a, review};
    const tk_status st =
        unless_review_refuses(review, job->output, tk_output_write(&p, &all.source));
    if (st != TK_OK && approves.told) tk_lent_tell_unmade(&job->lent, job->told_output, st);
    tk_edit_close(&edit);
    return st;
}

tk_status tk_studio_film(tk_studio *a, tk_studio_place *at)
{
    tk_decoder clip;
    tk_job *job = at->job;
    tk_review *review;
    const tk_codec *codec = job->trained->meta.codec;
    if (a->mesh.replica.rank) return TK_OK;
    TK_TRY(tk_review_open(job, job->uid, &review));
    tk_latent_source *rows = job->stored.path ? &at->stored.source : &at->reel.source;
    tk_status st = tk_decoder_open(&clip, codec, &job->story.grid, rows, TK_DECODER_WINDOW);
    if (st == TK_OK) {
        st = write_film(a, at, rows, review, &clip.source);
        tk_decoder_close(&clip);
    }
    tk_review_close(review);
    TK_TRY(st);
    TK_TRY(tk_lent_look(&job->lent));
    return tk_reel_files_remove(job->output);
}
