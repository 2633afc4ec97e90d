// SPDX-License-Identifier: Apache-2.0
// The plan of an import: a function of the files' lengths alone, so every rank makes the same one.
#include "data/import/internal.h"
#include "data/media/reader.h"
#include <stdlib.h>

// Frames of the shorter clip after the last whole one; 0 = none.
static int64_t rest_of(const tk_import *im, const tk_import_file *f)
{
    const int64_t rest = f->frames % im->clip_frames;
    if ((double)rest / (double)im->c->media.fps < im->c->import.min_seconds - 1e-6) return 0;
    return tk_grid_frame(&im->info, tk_grid_latent(&im->info, rest));
}

// The bucket for clips of that length, made if it is not there; arrays have room for all lengths.
static int bucket_of(tk_import *im, const tk_grid *g)
{
    for (int k = 0; k < im->n_buckets; k++)
        if (im->bucket[k].frames == g->frames) return k;
    im->bucket[im->n_buckets] = (tk_bucket){.frames = g->frames,
                                            .height = g->height,
                                            .width = g->width,
                                            .latent_frames = g->latent_frames,
                                            .high = g->high,
                                            .wide = g->wide,
                                            .audio_rows = g->audio_rows,
                                            .audio_channels = im->c->media.channels};
    return im->n_buckets++;
}

static tk_status plan_clip(tk_import *im, const tk_import_file *f, int64_t i, int64_t frames)
{
    const double fps = (double)im->c->media.fps;
    const tk_media_config *m = &im->c->media;
    tk_clip_info *c = &im->clip[i];
    tk_grid g;
    TK_TRY(tk_grid_of(&im->info, f->path, frames, m->height, m->width, TK_GRID_WHOLE, &g));
    im->frames_of[i] = frames;
    c->bucket = bucket_of(im, &g);
    c->slot = im->bucket[c->bucket].slots++;
    c->n_shots = 1;
    c->n_citations = im->cited[f - im->file].n;
    c->citation = im->cited[f - im->file].citation;
    c->name = tk_arena_printf(&im->arena, "%s @ %.2f s", f->path,
                              (double)((i - f->first_clip) * im->clip_frames) / fps);
    if (!c->name) return TK_FAIL(TK_MEMORY, "out of memory for %lld clips", (long long)im->n);
    TK_ARENA_NEW(c->shot, &im->arena, 1);
    c->shot[0] = (tk_clip_shot){.seconds = (double)frames / fps,
                                .latent_frames = g.latent_frames,
                                .audio_rows = g.audio_rows,
                                .caption = (char *)f->caption,
                                .feature_rows = f->text.rows,
                                .feature = f->text.number};
    return TK_OK;
}

typedef struct tk_order {
    int64_t clips;
    int file;
} tk_order;

static int by_clips(const void *a, const void *b)
{
    const tk_order *x = a, *y = b;
    if (x->clips != y->clips) return x->clips < y->clips ? 1 : -1;
    return x->file - y->file;
}

// Long files first, so that the last ones dealt out are short.
static tk_status set_order(tk_import *im)
{
    tk_order *order;
    TK_ARENA_NEW(order, &im->arena, im->n_files);
    TK_ARENA_NEW(im->order, &im->arena, im->n_files);
    for (int i = 0; i < im->n_files; i++) order[i] = (tk_order){im->file[i].clips, i};
    qsort(order, (size_t)im->n_files, sizeof *order, by_clips);
    for (int i = 0; i < im->n_files; i++) im->order[i] = order[i].file;
    return TK_OK;
}

tk_status tk_import_plan(tk_import *im)
{
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        f->first_clip = im->n;
        f->clips = f->frames / im->clip_frames + (rest_of(im, f) > 0);
        im->n += f->clips;
    }
    if (im->n == 0)
        return TK_FAIL(TK_INPUT, "no clips: every file is shorter than import.min_seconds (%g s)",
                       im->c->import.min_seconds);
    TK_ARENA_NEW(im->clip, &im->arena, im->n);
    TK_ARENA_NEW(im->frames_of, &im->arena, im->n);
    TK_ARENA_NEW(im->bucket, &im->arena, tk_grid_latent(&im->info, im->clip_frames));
    for (int i = 0; i < im->n_files; i++) {
        const tk_import_file *f = &im->file[i];
        const int64_t whole = f->frames / im->clip_frames;
        for (int64_t k = 0; k < f->clips; k++)
            TK_TRY(
                plan_clip(im, f, f->first_clip + k, k < whole ? im->clip_frames : rest_of(im, f)));
    }
    const tk_media_config *m = &im->c->media;
    TK_ARENA_NEW(im->buffer.rgb, &im->arena, im->clip_frames * m->height * m->width * 3);
    TK_ARENA_NEW(im->buffer.pcm, &im->arena,
                 tk_media_samples(m, im->clip_frames) * m->channels + 1);
    return set_order(im);
}

void tk_import_tell_plan(const tk_import *im)
{
    int silent = 0, bare = 0, none = 0, untold = 0;
    const char *first_bare = "", *first_none = "", *first_untold = "";
    for (int i = im->n_files; i-- > 0;) {
        const tk_import_file *f = &im->file[i];
        if (f->left_out) continue;
        silent += !f->has_audio;
        if (!f->has_caption) bare++, first_bare = f->path;
        if (im->features.n && !f->text.rows) untold++, first_untold = f->path;
        if (!f->clips) none++, first_none = f->path;
    }
    if (bare)
        tk_log("%d of %d files have no caption (a .txt of the same name beside them), so theirs is "
               "empty: %s%s",
               bare, im->n_files, first_bare, bare > 1 ? " ..." : "");
    if (untold)
        tk_log("%d of %d files have no text features (a .npy of the same name beside them), so "
               "theirs are an empty caption's: %s%s",
               untold, im->n_files, first_untold, untold > 1 ? " ..." : "");
    if (none)
        tk_log("%d of %d files are too short for a clip of import.min_seconds (%g s): %s%s", none,
               im->n_files, im->c->import.min_seconds, first_none, none > 1 ? " ..." : "");
    if (silent) tk_log("%d of %d files have no sound: silence", silent, im->n_files);
}
