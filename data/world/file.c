// SPDX-License-Identifier: Apache-2.0
// The world's clips into a file: rank 0 fits the codec, then clips are dealt out to the ranks,
// which render, encode and write them. Within a rank the threads share clips, never one product, so
// that a clip's numbers do not depend on the number of threads either.
#include "data/world/file.h"
#include "core/base/log.h"
#include "data/clip/clip.h"
#include "data/film/film.h"
#include "data/speech/flite.h"
#include "data/world/cite.h"
#include "data/world/truth.h"
#include "parallel/mesh.h"
#include "parallel/mpi/deal.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

typedef struct studio { // what making clips needs; one clip's buffers a thread
    const tk_config *c;
    const tk_codec *codec;
    tk_codec_info info; // as far as it is known before the fit
    tk_grid grid;
    tk_speech *speech; // NULL: nobody speaks
    tk_clip_writer *writer;
    tk_world_cited cited;
} studio;

typedef struct take { // one clip, as media and as rows
    tk_media media;
    float *video, *audio;
    tk_scene scene;
} take;

static tk_status new_take(const studio *s, tk_arena *a, take *t)
{
    const tk_media_config *m = &s->c->media;
    const tk_codec_config *k = &s->c->codec;
    t->media = tk_media_shape(m, s->grid.frames, s->grid.samples);
    TK_ARENA_NEW(t->media.rgb, a, s->grid.frames * m->height * m->width * 3);
    TK_ARENA_NEW(t->media.pcm, a, s->grid.samples * m->channels);
    TK_ARENA_NEW(t->video, a, s->grid.video_rows * k->video_channels);
    TK_ARENA_NEW(t->audio, a, s->grid.audio_rows * m->channels * k->audio_channels);
    return TK_OK;
}

static tk_status make_clip_scene(const studio *s, int64_t i, tk_scene *scene)
{
    const tk_config *c = s->c;
    return tk_scene_make(&c->world, &c->media, c->codec.patch_frames, s->speech,
                         (uint64_t)c->world.seed, c->world.first + i, scene);
}

static tk_status film(const studio *s, int64_t i, take *t)
{
    const tk_media_config *m = &s->c->media;
    TK_TRY(make_clip_scene(s, i, &t->scene));
    TK_TRY(tk_film_render(&t->scene, m, s->speech, t->media.frames, t->media.rgb));
    return tk_film_sound(&t->scene, m, s->speech, t->media.samples, t->media.pcm);
}

typedef struct source { // the codec's view of the studio
    const studio *studio;
    take take;
    tk_progress progress;
    int64_t fit;
} source;

static tk_status next_clip(void *ctx, int64_t i, tk_media *clip)
{
    source *s = ctx;
    TK_TRY(film(s->studio, i, &s->take));
    *clip = s->take.media;
    if (i >= s->progress.done) tk_progress_at(&s->progress, i, "");
    return TK_OK;
}

// It is fitted on them or, where there is one, measured.
static tk_status show_clips_to_codec(const studio *s, tk_codec **codec)
{
    enum { MEASURED = 16 };
    const tk_config *c = s->c;
    source src = {.studio = s};
    tk_arena a;
    tk_arena_init(&a, 0);
    const int64_t most = *codec ? MEASURED : c->codec.fit_clips;
    const int64_t n = most < c->world.clips ? most : c->world.clips;
    tk_status st = new_take(s, &a, &src.take);
    if (st == TK_OK) {
        tk_progress_begin(&src.progress, *codec ? "measuring the codec" : "fitting the codec",
                          "clips", n);
        st = *codec ? tk_codec_measure(*codec, next_clip, &src, n)
                    : tk_codec_fit(&c->codec, &c->media, next_clip, &src, n, codec);
        tk_progress_at(&src.progress, n, "");
        tk_progress_end(&src.progress);
    }
    tk_arena_free(&a);
    return st;
}

// Shots of a clip with the rows between their cuts. Audio row r lies at sample r * hop; a row
// belongs to the shot it lies in, what is beyond the end to the last.
static tk_status describe_world_clip(studio *s, int64_t i, tk_arena *a, tk_clip_info *out)
{
    const tk_config *c = s->c;
    tk_scene scene;
    TK_TRY(make_clip_scene(s, i, &scene));
    *out = (tk_clip_info){.slot = i, .n_shots = scene.n_shots};
    out->name = tk_arena_printf(a, "world %lld/%lld", (long long)c->world.seed,
                                (long long)(c->world.first + i));
    TK_ARENA_NEW(out->shot, a, scene.n_shots);
    int64_t row = 0, latent = 0;
    for (int k = 0; k < scene.n_shots; k++) {
        const tk_shot *h = &scene.shot[k];
        int64_t latents = llround(h->seconds / tk_grid_tick(&s->info));
        int64_t end = tk_grid_audio_row(&s->info, latent += latents);
        if (k + 1 == scene.n_shots) end = s->grid.audio_rows;
        out->shot[k] = (tk_clip_shot){.start = h->start,
                                      .seconds = h->seconds,
                                      .latent_frames = latents,
                                      .audio_rows = end - row,
                                      .caption = tk_arena_strdup(a, h->caption)};
        if (!out->shot[k].caption) return TK_FAIL(TK_MEMORY, "out of memory for captions");
        row = end;
    }
    if (!out->name) return TK_FAIL(TK_MEMORY, "out of memory for names");
    return tk_world_cite(&s->cited, &scene, i, s->speech != NULL, out);
}

static tk_status describe_all(studio *s, tk_arena *a, tk_clip_info **out)
{
    TK_ARENA_NEW(*out, a, s->c->world.clips);
    TK_TRY(tk_world_cited_open(s->c, &s->info, a, &s->cited));
    for (int64_t i = 0; i < s->c->world.clips; i++)
        TK_TRY(describe_world_clip(s, i, a, &(*out)[i]));
    return TK_OK;
}

static tk_status make_world_clip(const studio *s, int64_t i, take *t)
{
    TK_TRY(film(s, i, t));
    TK_TRY(tk_codec_encode_video(s->codec, &t->media, t->video));
    TK_TRY(tk_codec_encode_audio(s->codec, &t->media, t->audio));
    return tk_clip_writer_put(s->writer, i, t->video, t->audio);
}

enum { CLIPS_AT_ONCE = 4 }; // for each thread of a rank that asks for clips

typedef struct crew { // the threads of this rank
    const studio *s;
    take *take; // (threads)
    tk_team team;
    tk_deal *deal;
    int64_t done, told; // clips; told to the deal
} crew;

// On the thread that may send messages.
static void tell_done(crew *c)
{
    for (const int64_t done = __atomic_load_n(&c->done, __ATOMIC_RELAXED); c->told < done;
         c->told++)
        tk_deal_step(c->deal);
}

static tk_status make_some(crew *c, int64_t first, int64_t n, int threads)
{
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t i = first; i < first + n; i++) {
        const int thread = omp_get_thread_num();
        if (!tk_team_failed(&c->team))
            tk_team_report(&c->team, make_world_clip(c->s, i, &c->take[thread]));
        __atomic_fetch_add(&c->done, 1, __ATOMIC_RELAXED);
        if (thread == 0) tell_done(c);
    }
    tell_done(c);
    return tk_team_result(&c->team);
}

static tk_status new_takes(const studio *s, int threads, tk_arena *a, take **out)
{
    TK_ARENA_NEW(*out, a, threads);
    for (int t = 0; t < threads; t++) TK_TRY(new_take(s, a, &(*out)[t]));
    return TK_OK;
}

// This rank's share of the clips, as they are dealt out.
static tk_status make_share(tk_comm *world, const studio *s, int threads)
{
    const int64_t n_clips = s->c->world.clips;
    crew c = {.s = s, .team = {TK_OK, ""}};
    int64_t first, n = 1;
    tk_arena a;
    TK_TRY(tk_deal_open(world, tk_comm_self(), n_clips, "filming", "clips", n_clips, &c.deal));
    tk_arena_init(&a, 0);
    tk_status st = new_takes(s, threads, &a, &c.take);
    while (st == TK_OK && n) {
        st = tk_deal_next_few(c.deal, (int64_t)CLIPS_AT_ONCE * threads, &first, &n);
        if (st == TK_OK && n) st = make_some(&c, first, n, threads);
    }
    tk_arena_free(&a);
    return tk_deal_close(c.deal, st);
}

static tk_status make_reference(const studio *s, int64_t r)
{
    const tk_likeness *l = &s->cited.likeness[r];
    float *rows;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = tk_likeness_make(l, s->codec, &s->c->media, s->speech, &a, &rows);
    if (st == TK_OK)
        st = tk_clip_writer_put_reference(s->writer, r, l->voice ? NULL : rows,
                                          l->voice ? rows : NULL);
    tk_arena_free(&a);
    return st;
}

// Each rank makes every so many of them, by all its threads.
static tk_status make_references(tk_comm *world, const studio *s, int threads)
{
    tk_team team = {TK_OK, ""};
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t r = world->rank; r < s->cited.n; r += world->size)
        if (!tk_team_failed(&team)) tk_team_report(&team, make_reference(s, r));
    return tk_team_result(&team);
}

static tk_status write_clips(tk_comm *world, tk_config *c, studio *s, int threads, tk_arena *a)
{
    tk_bucket bucket = {.frames = s->grid.frames,
                        .height = c->media.height,
                        .width = c->media.width,
                        .latent_frames = s->grid.latent_frames,
                        .high = s->grid.high,
                        .wide = s->grid.wide,
                        .audio_rows = s->grid.audio_rows,
                        .audio_channels = c->media.channels,
                        .slots = c->world.clips};
    tk_clip_info *clips = NULL;
    char *yaml = tk_config_dump(c, TK_CMD_DATA, a);
    tk_status st = yaml ? describe_all(s, a, &clips) : TK_FAIL(TK_MEMORY, "out of memory");
    TK_TRY(tk_agree(world, st));
    const tk_clip_plan plan = {.path = c->output,
                               .config = yaml,
                               .codec = s->codec,
                               .refer = c->codec.store == TK_CODEC_REFER,
                               .n_buckets = 1,
                               .buckets = &bucket,
                               .n = c->world.clips,
                               .clips = clips,
                               .n_references = s->cited.n,
                               .references = s->cited.reference};
    TK_TRY(tk_clip_writer_open(world, &plan, &s->writer));
    st = tk_agree(world, make_share(world, s, threads));
    if (st == TK_OK) st = tk_agree(world, make_references(world, s, threads));
    if (st != TK_OK) {
        tk_clip_writer_abort(s->writer);
        return st;
    }
    tk_truth_of of = {c, s->speech, &s->cited};
    return tk_clip_writer_commit(s->writer, tk_world_write_truth, &of);
}

// Rank 0 fits a codec, or measures the one that is given; all have it then.
static tk_status get_world_codec(tk_comm *world, const studio *s, tk_codec **codec)
{
    tk_status st = TK_OK;
    if (world->rank == 0) st = show_clips_to_codec(s, codec);
    if (world->rank == 0 && st == TK_OK) st = tk_codec_keep(&s->c->codec, *codec);
    TK_TRY(tk_agree(world, st));
    if (world->rank) tk_codec_free(*codec);
    return tk_codec_broadcast(world, codec, 0);
}

static tk_status make_world_clips(tk_comm *world, tk_config *c, studio *s, tk_codec **codec,
                                  tk_arena *a)
{
    int threads = 1;
    TK_TRY(tk_mesh_take_threads(world, c->parallel.threads, &threads));
    TK_TRY(tk_codec_given(world, &c->codec, &c->media, codec));
    s->info = *codec ? *tk_codec_get_info(*codec) : tk_codec_planned(&c->codec, &c->media);
    TK_TRY(tk_grid_of(&s->info, "media",
                      tk_scene_frames(&c->world, &c->media, c->codec.patch_frames), c->media.height,
                      c->media.width, TK_GRID_WHOLE, &s->grid));
    TK_TRY(tk_agree(world, tk_scene_open_speech(&c->world, &c->media, &s->speech)));
    TK_TRY(get_world_codec(world, s, codec));
    s->codec = *codec;
    TK_TRY(write_clips(world, c, s, threads, a));
    const tk_codec_info *i = tk_codec_get_info(*codec);
    tk_log("%s: %lld clips of %.2f s; codec: video %.1f dB, audio %.1f %s", c->output,
           (long long)c->world.clips, (double)s->grid.frames / (double)c->media.fps,
           i->video_psnr_db, i->audio_db, tk_codec_audio_figure(*codec));
    return TK_OK;
}

// ---- what is wrong -----------------------------------------------------------------------------

static tk_status ask_world_output(tk_wrong *w, const tk_config *c)
{
    char *inputs[2];
    int n = 0;
    if (!*c->output) tk_wrong_add(w, "output", "where to? name the clip file with -o FILE.h5");
    if (!*c->output || tk_wrong_doubts(w, "output")) return TK_OK;
    if (*c->codec.file) inputs[n++] = c->codec.file;
    if (*c->codec.from) inputs[n++] = c->codec.from;
    return tk_wrong_with(w, "output", tk_clips_check_output(c->output, n, inputs));
}

static tk_status ask_grid(tk_wrong *w, const tk_config *c, const tk_codec_info *info)
{
    const tk_media_config *m = &c->media;
    tk_grid g;
    if (tk_wrong_doubts(w, "world") || tk_wrong_doubts(w, "media")) return TK_OK;
    return tk_wrong_with(w, "media.width",
                         tk_grid_of(info, "media.width",
                                    tk_scene_frames(&c->world, m, info->patch_frames), m->height,
                                    m->width, TK_GRID_WHOLE, &g));
}

tk_status tk_world_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    const tk_config *c = &in->config;
    const tk_world_config *x = &c->world;
    tk_codec_info info;
    bool known;
    (void)ranks; // any number makes the same
    TK_TRY(ask_world_output(w, c));
    TK_TRY(tk_codec_ask(w, &c->codec, &c->media, &info, &known));
    if (known) TK_TRY(ask_grid(w, c, &info));
    if (tk_wrong_doubts(w, "world.people")) return TK_OK;
    if (!x->things && !x->people && !tk_wrong_doubts(w, "world.things"))
        tk_wrong_add(w, "world.things",
                     "world.things and world.people are both 0: there is nothing to film");
    const bool speaks = tk_scene_speaks(x, &c->media);
    return speaks ? tk_wrong_with(w, "world.speech", tk_flite_open()) : TK_OK;
}

tk_status tk_world_run(tk_comm *world, tk_config *c)
{
    tk_arena a;
    tk_codec *codec = NULL;
    studio s = {.c = c};
    tk_arena_init(&a, 0);
    const tk_status st = make_world_clips(world, c, &s, &codec, &a);
    tk_codec_free(codec);
    tk_speech_close(s.speech);
    tk_arena_free(&a);
    return st;
}
