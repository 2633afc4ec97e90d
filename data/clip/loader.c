// SPDX-License-Identifier: Apache-2.0
// The loader: which clips there are, which of them is which document; ahead.c reads them.
#include "core/numbers/rng.h"
#include "data/clip/ahead.h"
#include "data/clip/internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int tk_loader_file_number(const tk_loader *l, int64_t index)
{
    int64_t low = 0, high = l->n_files - 1;
    while (low < high) {
        int64_t mid = (low + high + 1) / 2;
        if (l->first[mid] <= index)
            low = mid;
        else
            high = mid - 1;
    }
    return (int)low;
}

static tk_status make_loader_room(tk_loader *l, int64_t n_files)
{
    TK_ARENA_NEW(l->file, &l->arena, n_files);
    TK_ARENA_NEW(l->first, &l->arena, n_files + 1);
    return TK_OK;
}

static void ask_listed(tk_wrong *w, const char *list, int64_t i, const char *path)
{
    char name[48];
    snprintf(name, sizeof name, "%s[%lld]", list, (long long)i);
    tk_wrong_unread(w, name, path);
}

// A file named twice would be trained on twice as often, which nobody means.
tk_status tk_loader_ask(tk_wrong *w, const tk_data_config *c)
{
    tk_file_id *id;
    char name[48];
    TK_ARENA_NEW(id, w->arena, c->n_files + 1);
    for (int64_t k = 0; k < c->n_files; k++) {
        ask_listed(w, "data.files", k, c->files[k]);
        id[k] = tk_file_identity(c->files[k]);
        snprintf(name, sizeof name, "data.files[%lld]", (long long)k);
        for (int64_t i = 0; i < k; i++)
            if (tk_file_same(id[i], id[k]))
                tk_wrong_add(w, name,
                             "data.files[%lld] %.400s and data.files[%lld] %.400s are the same "
                             "file; name it once",
                             (long long)i, c->files[i], (long long)k, c->files[k]);
    }
    for (int64_t k = 0; k < c->n_check; k++) {
        ask_listed(w, "data.check", k, c->check[k]);
        snprintf(name, sizeof name, "data.check[%lld]", (long long)k);
        for (int64_t i = 0; i < c->n_files; i++)
            if (tk_file_same(id[i], tk_file_identity(c->check[k])))
                tk_wrong_add(w, name,
                             "%.400s is trained on too (data.files[%lld]); hold out clips of their "
                             "own",
                             c->check[k], (long long)i);
    }
    return TK_OK;
}

static tk_status ask_here(const tk_data_config *c)
{
    tk_data_config own = *c; // what is checked on is somebody else's
    tk_arena a;
    own.n_check = 0;
    tk_arena_init(&a, 0);
    tk_wrong w = tk_wrong_of(NULL, "", &a);
    tk_status st = tk_loader_ask(&w, &own);
    if (st == TK_OK) st = tk_wrong_end(&w);
    tk_arena_free(&a);
    return st;
}

static tk_status open_clip_files(tk_loader *l, const tk_data_config *c, const char *codec_file,
                                 tk_comm *world)
{
    TK_TRY(tk_agree(world, make_loader_room(l, c->n_files)));
    TK_TRY(tk_agree(world, ask_here(c)));
    for (int64_t k = 0; k < c->n_files; k++) {
        TK_TRY(tk_clips_open_shared(world, c->files[k], codec_file, &l->file[k]));
        l->n_files = k + 1;
        l->first[k + 1] = l->n += l->file[k].n;
        uint64_t mine = tk_codec_get_info(l->file[k].codec)->digest;
        if (mine != tk_codec_get_info(l->file[0].codec)->digest)
            return TK_FAIL(TK_INPUT,
                           "%s and %s were made with different codecs; make one with the codec of "
                           "the other (codec.from=...)",
                           l->file[0].path, l->file[k].path);
    }
    TK_ARENA_NEW(l->named, &l->arena, l->n);
    return TK_OK;
}

// All but the clips that are held out, or these.
static tk_status choose_clips(tk_loader *l, const tk_data_config *c, bool held_out)
{
    if (c->hold_out >= l->n)
        return TK_FAIL(
            TK_INPUT,
            "data.hold_out is %lld, but data.files hold %lld clips: some must be left to "
            "train on",
            (long long)c->hold_out, (long long)l->n);
    l->n -= c->hold_out;
    if (!held_out) return TK_OK;
    l->base = l->n;
    l->n = c->hold_out;
    return TK_OK;
}

static tk_status new_loader(tk_loader **out)
{
    tk_loader *l = *out = tk_alloc(sizeof *l);
    if (!l) return TK_FAIL(TK_MEMORY, "out of memory for the loader");
    tk_arena_init(&l->arena, 0);
    tk_arena_init(&l->ring_arena, 1 << 20);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    pthread_cond_init(&l->ready, NULL);
    return TK_OK;
}

void tk_loader_free(tk_loader *l)
{
    for (int64_t k = 0; k < l->n_files; k++) tk_clips_close(&l->file[k]);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->ready);
    tk_arena_free(&l->ring_arena);
    tk_arena_free(&l->arena);
    tk_free(l);
}

static tk_status describe_file(tk_loader *l, const tk_clip_shape *s)
{
    TK_TRY(make_loader_room(l, 1));
    l->n_files = 1;
    TK_TRY(tk_clips_describe(s, &l->file[0]));
    l->first[1] = l->n = l->file[0].n;
    return TK_OK;
}

tk_status tk_loader_describe(const tk_clip_shape *s, tk_loader **out)
{
    tk_loader *l;
    *out = NULL;
    TK_TRY(new_loader(&l));
    l->described = true;
    const tk_status st = describe_file(l, s);
    if (st != TK_OK)
        tk_loader_free(l);
    else
        *out = l;
    return st;
}

static tk_status open_loader(const tk_data_config *c, const char *codec_file, tk_comm *world,
                             bool held_out, tk_loader **out)
{
    tk_loader *l;
    *out = NULL;
    if (c->n_files < 1)
        return tk_agree(world, TK_FAIL(TK_INPUT, "data.files names no clip file; make one with "
                                                 "`talkie data world` or `talkie data import`"));
    TK_TRY(tk_agree(world, new_loader(&l)));
    l->threads = c->threads < 1 ? 1 : c->threads;
    l->prefetch = c->prefetch < 1 ? 1 : c->prefetch;
    l->max_bad = c->max_bad < 1 ? 1 : c->max_bad;
    tk_status st = tk_agree(world, open_clip_files(l, c, codec_file, world));
    if (st == TK_OK) st = tk_agree(world, choose_clips(l, c, held_out));
    if (st != TK_OK)
        tk_loader_free(l);
    else
        *out = l;
    return st;
}

tk_status tk_loader_open(const tk_data_config *c, const char *codec_file, tk_comm *world,
                         tk_loader **out)
{
    return open_loader(c, codec_file, world, false, out);
}

tk_status tk_loader_open_held_out(const tk_data_config *c, const char *codec_file, tk_comm *world,
                                  tk_loader **out)
{
    return open_loader(c, codec_file, world, true, out);
}

bool tk_loader_reads(const tk_loader *l)
{
    return !l->described;
}

int64_t tk_loader_count(const tk_loader *l)
{
    return l->n;
}

const tk_codec *tk_loader_codec(const tk_loader *l)
{
    return l->file[0].codec;
}

const tk_clip_info *tk_loader_info(const tk_loader *l, int64_t index, const tk_bucket **bucket)
{
    int f = tk_loader_file_number(l, index);
    const tk_clips *c = &l->file[f];
    const tk_clip_info *info = &c->clip[index - l->first[f]];
    if (bucket) *bucket = &c->bucket[info->bucket];
    return info;
}

const tk_clips *tk_loader_file(const tk_loader *l, int64_t index)
{
    return &l->file[tk_loader_file_number(l, index)];
}

int64_t tk_loader_sample(const tk_loader *l, uint64_t seed, int64_t step, int64_t batch, int64_t j)
{
    int64_t at = step * batch + j;
    const tk_key key = tk_rng_key(seed, TK_RNG_ORDER, (uint64_t)(at / l->n));
    return l->base + tk_rng_permute(key, at % l->n, l->n);
}

void tk_loader_most_cited(const tk_loader *l, int64_t *video, int64_t *audio)
{
    int64_t most[2] = {0};
    for (int64_t f = 0; f < l->n_files; f++)
        for (int64_t i = 0; i < l->file[f].n; i++) {
            const tk_clip_info *c = &l->file[f].clip[i];
            for (int m = 0; m < 2; m++) {
                int64_t n = 0;
                for (int k = 0; k < c->n_citations; k++)
                    n += tk_reference_count(&l->file[f], c->citation[k].reference, m);
                if (n > most[m]) most[m] = n;
            }
        }
    *video = most[0];
    *audio = most[1];
}

void tk_loader_cites(tk_loader *l, bool yes)
{
    l->cites = yes;
}

tk_status tk_loader_text_form(const tk_loader *l, tk_text_form *out)
{
    TK_TRY(tk_clips_text_form(l->n_files, l->file, out));
    out->empty = l->empty;
    return TK_OK;
}

void tk_loader_texts(tk_loader *l, bool yes)
{
    l->texts = yes;
}

tk_status tk_loader_read_raw(const tk_loader *l, int64_t index, void *raw)
{
    const tk_bucket *b;
    const tk_clip_info *i = tk_loader_info(l, index, &b);
    const tk_clips *c = &l->file[tk_loader_file_number(l, index)];
    TK_TRY(tk_clip_pread(c, raw, b->video_bytes, b->video_address + i->slot * b->video_bytes));
    return tk_clip_pread(c, raw, b->audio_bytes, b->audio_address + i->slot * b->audio_bytes);
}

int64_t tk_loader_skipped(const tk_loader *l)
{
    return l->skipped;
}

int64_t tk_loader_bytes(const tk_loader *l)
{
    return __atomic_load_n(&l->bytes, __ATOMIC_RELAXED);
}
