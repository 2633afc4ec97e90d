// SPDX-License-Identifier: Apache-2.0
// The loader: threads read documents in step order into a ring of steps.
//
// One counter hands out runs of documents; a thread takes the next run as soon as the ring has room
// for its step, reads it with no lock held, and marks it done. A run is one document, or several
// small ones: waking the trainer costs as much as reading tens of kilobytes. The trainer waits only
// for the document it asks for. What a document holds depends on its number alone, so threads may
// finish in any order.
#include "data/clip/loader.h"
#include "core/base/log.h"
#include "core/numbers/rng.h"
#include "data/clip/internal.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { WORDS = 512, RUN_BYTES = 256 << 10 };

typedef struct document { // of one step in the ring
    bool done;            // set under the lock, released to a trainer that looks without it
    bool ok, noted;       // noted: taken before, though not ok
    int64_t index;
    float *video, *audio;
    float *cited[2]; // references
    float *text;     // text features
    char why[WORDS]; // not ok: the message
} document;

typedef struct worker {
    tk_loader *loader;
    pthread_t thread;
    void *raw; // one sample's bytes
} worker;

struct tk_loader {
    bool described; // its clips are nowhere
    bool cites;     // references are read
    bool texts;     // ... text features
    float *empty;   // those of an empty caption, once they were read; NULL: zeros
    int64_t base;   // number of its first clip
    int64_t n_files, n, threads, prefetch, max_bad;
    tk_clips *file;
    int64_t *first; // (n_files + 1) sample number of each file's first clip
    bool *named;    // (n) bad samples already warned of
    int64_t skipped, bad_run, bytes;
    double waited;
    tk_arena arena;
    // the running stream; all below are under `lock` but what start() alone sets
    tk_arena ring_arena;
    pthread_mutex_t lock;
    pthread_cond_t room, ready;
    worker *worker;
    int64_t text;    // most numbers of a clip's text features
    int64_t running; // threads started
    bool stop;
    uint64_t seed;
    int64_t start, batch, begin, docs, depth,
        run;                // first step, documents a step here, steps in the ring, most in a run
    int64_t next, released; // next document to read; steps given back
    document *ring;         // (depth, docs)
};

static int file_of(const tk_loader *l, int64_t index)
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

// A file named twice would be trained on twice as often, which nobody means.
static tk_status check_twice(const tk_data_config *c)
{
    tk_arena a;
    tk_file_id *id;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    id = tk_arena_alloc(&a, (size_t)c->n_files * sizeof *id);
    if (!id) st = TK_FAIL(TK_MEMORY, "out of memory for %lld files", (long long)c->n_files);
    for (int64_t k = 0; k < c->n_files && st == TK_OK; k++) {
        id[k] = tk_file_identity(c->files[k]);
        for (int64_t i = 0; i < k && st == TK_OK; i++)
            if (tk_file_same(id[i], id[k]))
                st = TK_FAIL(TK_INPUT,
                             "data.files[%lld] %s and data.files[%lld] %s are the same file; name "
                             "it once",
                             (long long)i, c->files[i], (long long)k, c->files[k]);
    }
    tk_arena_free(&a);
    return st;
}

static tk_status open_clip_files(tk_loader *l, const tk_data_config *c, const char *codec_file,
                                 tk_comm *world)
{
    TK_TRY(tk_agree(world, make_loader_room(l, c->n_files)));
    TK_TRY(tk_agree(world, check_twice(c)));
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
        tk_loader_close(l);
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
        tk_loader_close(l);
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

// Ends the stream under way, if any, and gives its memory back.
static void stop_stream(tk_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    for (int64_t k = 0; k < l->running; k++) pthread_join(l->worker[k].thread, NULL);
    l->running = 0;
    l->ring = NULL;
    tk_arena_free(&l->ring_arena);
    tk_arena_init(&l->ring_arena, 1 << 20);
}

void tk_loader_close(tk_loader *l)
{
    if (!l) return;
    stop_stream(l);
    for (int64_t k = 0; k < l->n_files; k++) tk_clips_close(&l->file[k]);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->ready);
    tk_arena_free(&l->ring_arena);
    tk_arena_free(&l->arena);
    tk_free(l);
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
    int f = file_of(l, index);
    const tk_clips *c = &l->file[f];
    const tk_clip_info *info = &c->clip[index - l->first[f]];
    if (bucket) *bucket = &c->bucket[info->bucket];
    return info;
}

const tk_clips *tk_loader_file(const tk_loader *l, int64_t index)
{
    return &l->file[file_of(l, index)];
}

int64_t tk_loader_sample(const tk_loader *l, uint64_t seed, int64_t step, int64_t batch, int64_t j)
{
    int64_t at = step * batch + j;
    const tk_key key = tk_rng_key(seed, TK_RNG_ORDER, (uint64_t)(at / l->n));
    return l->base + tk_rng_permute(key, at % l->n, l->n);
}

static int64_t reference_count(const tk_clips *c, int k, int m)
{
    return c->reference[k].bytes[m] / 2;
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
                    n += reference_count(&l->file[f], c->citation[k].reference, m);
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

// Of a clip's text features all numbers, and of those of a shot all bytes, at most.
static void most_text(const tk_loader *l, int64_t *numbers, int64_t *bytes)
{
    for (int64_t f = 0; f < l->n_files; f++) {
        const tk_clips *c = &l->file[f];
        for (int64_t i = 0; i < c->n; i++) {
            const int64_t n = tk_clip_text_rows(&c->clip[i]) * c->features.channels;
            *numbers = n > *numbers ? n : *numbers;
        }
        for (int64_t k = 0; k < c->features.n; k++)
            if (c->features.feature[k].bytes > *bytes) *bytes = c->features.feature[k].bytes;
    }
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

static tk_status read_cited(const tk_loader *l, const tk_clips *c, const tk_clip_info *info,
                            const document *d, void *raw)
{
    int64_t at[2] = {0};
    for (int k = 0; k < info->n_citations && l->cites; k++) {
        const int r = info->citation[k].reference;
        TK_TRY(tk_clips_read_reference(c, r, d->cited[0] + at[0], d->cited[1] + at[1], raw));
        for (int m = 0; m < 2; m++) at[m] += reference_count(c, r, m);
    }
    return TK_OK;
}

// Reads one document into its place in the ring; no lock is held.
static void read_document(tk_loader *l, document *d, int64_t step, int64_t j, void *raw)
{
    int64_t index = tk_loader_sample(l, l->seed, step, l->batch, j);
    const tk_bucket *b;
    const tk_codec_info *i = tk_codec_get_info(tk_loader_codec(l));
    int f = file_of(l, index);
    const tk_clip_info *info = tk_loader_info(l, index, &b);
    d->index = index;
    d->ok =
        tk_clips_read(&l->file[f], index - l->first[f], d->video, d->audio, raw) == TK_OK &&
        read_cited(l, &l->file[f], info, d, raw) == TK_OK &&
        (!l->texts || tk_clips_read_text(&l->file[f], index - l->first[f], d->text, raw) == TK_OK);
    if (!d->ok) {
        snprintf(d->why, sizeof d->why, "%s", tk_status_message());
        tk_status_clear();
        memset(d->video, 0, (size_t)tk_bucket_video_count(b, i) * sizeof(float));
        memset(d->audio, 0, (size_t)tk_bucket_audio_count(b, i) * sizeof(float));
        if (l->texts) memset(d->text, 0, (size_t)l->text * sizeof(float));
    }
    __atomic_fetch_add(&l->bytes, b->video_bytes + b->audio_bytes, __ATOMIC_RELAXED);
}

static void *load_ahead(void *arg)
{
    worker *w = arg;
    tk_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && l->next / l->docs >= l->released + l->depth)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->stop) break;
        int64_t step = l->next / l->docs, j = l->next % l->docs; // a run is of one step
        int64_t n = l->docs - j < l->run ? l->docs - j : l->run;
        document *d = &l->ring[step % l->depth * l->docs + j];
        l->next += n;
        pthread_mutex_unlock(&l->lock);
        for (int64_t k = 0; k < n; k++)
            read_document(l, &d[k], l->start + step, l->begin + j + k, w->raw);
        pthread_mutex_lock(&l->lock);
        for (int64_t k = 0; k < n; k++) __atomic_store_n(&d[k].done, true, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&l->lock);
        pthread_cond_signal(&l->ready); // who wakes finds the lock free
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

// Room for the largest sample of any bucket in every place of the ring; from its size, the length
// of a run, so that every thread has one of a step's.
static tk_status make_ring(tk_loader *l)
{
    const tk_codec_info *i = tk_codec_get_info(tk_loader_codec(l));
    int64_t video = 1, audio = 1;
    for (int64_t f = 0; f < l->n_files; f++)
        for (int k = 0; k < l->file[f].n_buckets; k++) {
            const tk_bucket *b = &l->file[f].bucket[k];
            int64_t v = tk_bucket_video_count(b, i), a = tk_bucket_audio_count(b, i);
            video = v > video ? v : video, audio = a > audio ? a : audio;
        }
    int64_t cited[2] = {0}, text_bytes = 0;
    if (l->cites) tk_loader_most_cited(l, &cited[0], &cited[1]);
    if (l->texts) most_text(l, &l->text, &text_bytes);
    int64_t fair = (l->docs + l->threads - 1) / l->threads,
            small = RUN_BYTES / (2 * (video + audio + 2 * l->text));
    l->run = small < 1 ? 1 : small < fair ? small : fair;
    TK_ARENA_NEW(l->ring, &l->ring_arena, l->depth * l->docs);
    for (int64_t k = 0; k < l->depth * l->docs; k++) {
        TK_ARENA_NEW(l->ring[k].video, &l->ring_arena, video);
        TK_ARENA_NEW(l->ring[k].audio, &l->ring_arena, audio);
        TK_ARENA_NEW(l->ring[k].text, &l->ring_arena, l->text + 1);
        for (int m = 0; m < 2; m++) TK_ARENA_NEW(l->ring[k].cited[m], &l->ring_arena, cited[m] + 1);
    }
    TK_ARENA_NEW(l->worker, &l->ring_arena, l->threads);
    int64_t most = video > audio ? video : audio;
    for (int m = 0; m < 2; m++) most = cited[m] > most ? cited[m] : most;
    most = text_bytes / 2 > most ? text_bytes / 2 : most;
    for (int64_t k = 0; k < l->threads; k++) {
        uint16_t *raw;
        TK_ARENA_NEW(raw, &l->ring_arena, most);
        l->worker[k] = (worker){.loader = l, .raw = raw};
    }
    return TK_OK;
}

tk_status tk_loader_start(tk_loader *l, uint64_t seed, int64_t first, int64_t batch,
                          int64_t doc_begin, int64_t doc_end)
{
    stop_stream(l);
    l->stop = false;
    l->seed = seed, l->start = first, l->batch = batch;
    l->begin = doc_begin, l->docs = doc_end - doc_begin, l->depth = l->prefetch + 1;
    l->next = l->released = l->bad_run = 0;
    if (l->docs < 1) return TK_OK; // this rank reads nothing
    if (l->texts && !l->empty) TK_TRY(tk_clips_read_empty(&l->file[0], &l->arena, &l->empty));
    TK_TRY(make_ring(l));
    sigset_t all, before; // signals are the main thread's
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (l->running < l->threads && !failed) {
        worker *w = &l->worker[l->running];
        failed = pthread_create(&w->thread, NULL, load_ahead, w);
        l->running += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!l->running)
        return TK_FAIL(TK_MEMORY, "cannot start a loader thread: %s", strerror(failed));
    return TK_OK;
}

// A document that could not be read: named once, counted; too many in a row end the run.
static tk_status note_bad(tk_loader *l, document *d)
{
    if (d->noted) return TK_OK;
    d->noted = true;
    l->skipped++;
    l->bad_run++;
    if (!l->named[d->index]) tk_log_warn("skipped: %s", d->why);
    l->named[d->index] = true;
    if (l->bad_run >= l->max_bad)
        return TK_FAIL(TK_INPUT,
                       "%lld samples in a row could not be read (data.max_bad); the last: "
                       "%s",
                       (long long)l->bad_run, d->why);
    return TK_OK;
}

tk_status tk_loader_take(tk_loader *l, int64_t step, int64_t j, tk_sample *out)
{
    int64_t at = step - l->start;
    if (j < l->begin || j >= l->begin + l->docs || at < l->released || at >= l->released + l->depth)
        return TK_FAIL(TK_INTERNAL, "document %lld of step %lld is not in the loader's ring",
                       (long long)j, (long long)step);
    document *d = &l->ring[at % l->depth * l->docs + j - l->begin];
    if (!__atomic_load_n(&d->done, __ATOMIC_ACQUIRE)) {
        double began = tk_now();
        pthread_mutex_lock(&l->lock);
        while (!d->done) pthread_cond_wait(&l->ready, &l->lock);
        pthread_mutex_unlock(&l->lock);
        l->waited += tk_now() - began;
    }
    *out = (tk_sample){.index = d->index,
                       .ok = d->ok,
                       .video = d->video,
                       .audio = d->audio,
                       .cited = {l->cites ? d->cited[0] : NULL, l->cites ? d->cited[1] : NULL},
                       .text = l->texts ? d->text : NULL};
    out->info = tk_loader_info(l, d->index, &out->bucket);
    if (!d->ok) return note_bad(l, d);
    l->bad_run = 0;
    return TK_OK;
}

void tk_loader_release(tk_loader *l, int64_t step)
{
    if (l->docs < 1) return;
    pthread_mutex_lock(&l->lock);
    while (l->released <= step - l->start) {
        document *d = &l->ring[l->released % l->depth * l->docs];
        for (int64_t j = 0; j < l->docs; j++) { // nobody may still be reading into them
            while (!d[j].done) pthread_cond_wait(&l->ready, &l->lock);
            d[j].done = d[j].noted = false;
        }
        l->released++;
    }
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
}

tk_status tk_loader_read_raw(const tk_loader *l, int64_t index, void *raw)
{
    const tk_bucket *b;
    const tk_clip_info *i = tk_loader_info(l, index, &b);
    const tk_clips *c = &l->file[file_of(l, index)];
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

double tk_loader_wait_seconds(const tk_loader *l)
{
    return l->waited;
}
