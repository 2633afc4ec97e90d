// SPDX-License-Identifier: Apache-2.0
// Reading ahead: threads read documents in step order into a ring of steps.
//
// One counter hands out runs of documents; a thread takes the next run as soon as the ring has room
// for its step, reads it with no lock held, and marks it done. A run is one document, or several
// small ones: waking the trainer costs as much as reading tens of kilobytes. The trainer waits only
// for the document it asks for. What a document holds depends on its number alone, so threads may
// finish in any order.
#include "data/clip/ahead.h"
#include "core/base/log.h"
#include "data/clip/internal.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { RUN_BYTES = 256 << 10 };

// Ends the stream under way, if any, and gives its memory back.
static void stop_reading(tk_loader *l)
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
    stop_reading(l);
    tk_loader_free(l);
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

static tk_status read_cited(const tk_loader *l, const tk_clips *c, const tk_clip_info *info,
                            const tk_document_read *d, void *raw)
{
    int64_t at[2] = {0};
    for (int k = 0; k < info->n_citations && l->cites; k++) {
        const int r = info->citation[k].reference;
        TK_TRY(tk_clips_read_reference(c, r, d->cited[0] + at[0], d->cited[1] + at[1], raw));
        for (int m = 0; m < 2; m++) at[m] += tk_reference_count(c, r, m);
    }
    return TK_OK;
}

static tk_status read_rows(const tk_loader *l, const tk_document_read *d, const tk_clip_info *info,
                           void *raw)
{
    const int f = tk_loader_file_number(l, d->index);
    const int64_t i = d->index - l->first[f];
    TK_TRY(tk_clips_read(&l->file[f], i, d->video, d->audio, raw));
    TK_TRY(read_cited(l, &l->file[f], info, d, raw));
    return l->texts ? tk_clips_read_text(&l->file[f], i, d->text, raw) : TK_OK;
}

// Reads one document into its place in the ring; no lock is held.
static void read_document(tk_loader *l, tk_document_read *d, int64_t step, int64_t j, void *raw)
{
    const tk_bucket *b;
    const tk_codec_info *i = tk_codec_get_info(tk_loader_codec(l));
    d->index = tk_loader_sample(l, l->seed, step, l->batch, j);
    d->st = read_rows(l, d, tk_loader_info(l, d->index, &b), raw);
    if (d->st != TK_OK) {
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
    tk_reader *w = arg;
    tk_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && l->next / l->docs >= l->released + l->depth)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->stop) break;
        int64_t step = l->next / l->docs, j = l->next % l->docs; // a run is of one step
        int64_t n = l->docs - j < l->run ? l->docs - j : l->run;
        tk_document_read *d = &l->ring[step % l->depth * l->docs + j];
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
        l->worker[k] = (tk_reader){.loader = l, .raw = raw};
    }
    return TK_OK;
}

tk_status tk_loader_start(tk_loader *l, uint64_t seed, int64_t first, int64_t batch,
                          int64_t doc_begin, int64_t doc_end)
{
    stop_reading(l);
    l->stop = false;
    l->seed = seed, l->start = first, l->batch = batch;
    l->begin = doc_begin, l->docs = doc_end - doc_begin, l->depth = l->prefetch + 1;
    l->next = l->released = l->bad_run = 0;
    if (l->docs < 1) return TK_OK; // this rank reads nothing
    if (l->texts && !l->empty) TK_TRY(tk_clips_read_empty(&l->file[0], &l->arena, &l->empty));
    TK_TRY(make_ring(l));
    sigset_t all, before; // signals are for other threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (l->running < l->threads && !failed) {
        tk_reader *w = &l->worker[l->running];
        failed = pthread_create(&w->thread, NULL, load_ahead, w);
        l->running += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!l->running)
        return TK_FAIL(TK_MEMORY, "cannot start a loader thread: %s", strerror(failed));
    return TK_OK;
}

// A damaged document, which is so for every rank: named once, counted; too many in a row end the
// run. A read that failed may have failed here alone, and others would go on with rows that this
// rank has not: it ends the run at once.
static tk_status note_bad(tk_loader *l, tk_document_read *d)
{
    if (d->st != TK_INPUT) {
        tk_status_set(d->st, d->why);
        return d->st;
    }
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
    tk_document_read *d = &l->ring[at % l->depth * l->docs + j - l->begin];
    if (!__atomic_load_n(&d->done, __ATOMIC_ACQUIRE)) {
        pthread_mutex_lock(&l->lock);
        while (!d->done) pthread_cond_wait(&l->ready, &l->lock);
        pthread_mutex_unlock(&l->lock);
    }
    *out = (tk_sample){.index = d->index,
                       .ok = d->st == TK_OK,
                       .video = d->video,
                       .audio = d->audio,
                       .cited = {l->cites ? d->cited[0] : NULL, l->cites ? d->cited[1] : NULL},
                       .text = l->texts ? d->text : NULL};
    out->info = tk_loader_info(l, d->index, &out->bucket);
    if (d->st != TK_OK) return note_bad(l, d);
    l->bad_run = 0;
    return TK_OK;
}

void tk_loader_release(tk_loader *l, int64_t step)
{
    if (l->docs < 1) return;
    pthread_mutex_lock(&l->lock);
    while (l->released <= step - l->start) {
        tk_document_read *d = &l->ring[l->released % l->depth * l->docs];
        for (int64_t j = 0; j < l->docs; j++) { // nobody may still be reading into them
            while (!d[j].done) pthread_cond_wait(&l->ready, &l->lock);
            d[j].done = d[j].noted = false;
        }
        l->released++;
    }
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
}
