// SPDX-License-Identifier: Apache-2.0
#include "core/device/late.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { LOOK_NS = 30 * 1000 * 1000 }; // between looks of a host that waits

typedef struct moment { // where an event lies: behind `number` entries of the queue
    tk_queue queue;
    uint64_t number;
    double at; // seconds of the clock, once it is done
    int holds; // the event's, and those of entries that are to set `at`
} moment;

typedef enum entry_kind { JOB, WAIT, STAMP } entry_kind;

typedef struct entry {
    struct entry *next;
    entry_kind kind;
    tk_late_job job;
    tk_queue of; // WAIT: for so many entries of that queue
    uint64_t number;
    moment *moment; // STAMP
} entry;

struct tk_late;

typedef struct lane { // of a queue
    struct tk_late *late;
    pthread_t thread;
    bool runs;
    entry *first, *last;
    uint64_t asked, done; // entries
} lane;

typedef struct tk_late {
    pthread_mutex_t lock; // of everything here, and of moments
    pthread_cond_t news;  // an entry more, or one done
    lane lane[TK_QUEUES];
    bool ends;
} tk_late;

// ---- the threads -------------------------------------------------------------------------------

static void let_go_of_moment(moment *m)
{
    if (--m->holds == 0) tk_free(m);
}

// With the lock held, which a job is done without.
static void do_entry(tk_late *s, lane *l, const entry *e)
{
    if (e->kind == JOB) {
        pthread_mutex_unlock(&s->lock);
        e->job.run(e->job.work);
        pthread_mutex_lock(&s->lock);
    }
    if (e->kind == WAIT)
        while (s->lane[e->of].done < e->number) pthread_cond_wait(&s->news, &s->lock);
    if (e->kind == STAMP) {
        if (e->moment->queue == (tk_queue)(l - s->lane) && e->moment->number == l->done + 1)
            e->moment->at = tk_now();
        let_go_of_moment(e->moment);
    }
}

static void *work_on_lane(void *of)
{
    lane *l = of;
    tk_late *s = l->late;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        entry *e = l->first;
        if (!e && s->ends) break;
        if (!e) {
            pthread_cond_wait(&s->news, &s->lock);
            continue;
        }
        do_entry(s, l, e);
        l->first = e->next;
        if (!l->first) l->last = NULL;
        l->done++;
        tk_free(e);
        pthread_cond_broadcast(&s->news);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

// Signals are for the host's threads.
static tk_status start_lane(lane *l, tk_queue q)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&l->thread, NULL, work_on_lane, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return TK_FAIL(TK_MEMORY, "no thread for queue %d of a device: %s", (int)q,
                       strerror(failed));
    l->runs = true;
    return TK_OK;
}

static tk_status open_late(tk_device *d)
{
    pthread_condattr_t clock;
    tk_late *s;
    TK_NEW(s, 1);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&s->news, &clock);
    pthread_condattr_destroy(&clock);
    for (int q = 0; q < TK_QUEUES; q++) s->lane[q].late = s;
    d->impl = s;
    return TK_OK;
}

void tk_late_close(tk_device *d)
{
    tk_late *s = d->impl;
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
    for (int q = 0; q < TK_QUEUES; q++)
        if (s->lane[q].runs) pthread_join(s->lane[q].thread, NULL);
    pthread_cond_destroy(&s->news);
    pthread_mutex_destroy(&s->lock);
    tk_free(s);
    d->impl = NULL;
}

// ---- asking ------------------------------------------------------------------------------------

static tk_status new_entry(entry_kind kind, entry **out)
{
    TK_NEW(*out, 1);
    (*out)->kind = kind;
    return TK_OK;
}

// With the lock held. Returns the entry's number.
static uint64_t append_entry(tk_late *s, lane *l, entry *e)
{
    if (l->last)
        l->last->next = e;
    else
        l->first = e;
    l->last = e;
    pthread_cond_broadcast(&s->news);
    return ++l->asked;
}

tk_status tk_late_post(tk_device *d, tk_queue q, const tk_late_job *job)
{
    entry *e;
    if (!d->impl) TK_TRY(open_late(d));
    tk_late *s = d->impl;
    TK_TRY(new_entry(JOB, &e));
    e->job = *job;
    tk_status st = s->lane[q].runs ? TK_OK : start_lane(&s->lane[q], q);
    if (st != TK_OK) tk_free(e);
    if (st != TK_OK) return st;
    pthread_mutex_lock(&s->lock);
    append_entry(s, &s->lane[q], e);
    pthread_mutex_unlock(&s->lock);
    return TK_OK;
}

// ---- the host waits ----------------------------------------------------------------------------

// The job that the queue is at, itself or through those that it still waits for.
static tk_late_job job_at(const tk_late *s, tk_queue q)
{
    const entry *e = s->lane[q].first;
    while (e && e->kind == WAIT && s->lane[e->of].done < e->number) e = s->lane[e->of].first;
    return e && e->kind == JOB ? e->job : (tk_late_job){0};
}

static struct timespec in_a_while(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += LOOK_NS;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

// With the lock held, which it gives away.
static void wait_for_entries(tk_late *s, tk_queue q, uint64_t number)
{
    const void *looked_at = NULL;
    while (s->lane[q].done < number) {
        const struct timespec until = in_a_while();
        if (pthread_cond_timedwait(&s->news, &s->lock, &until) != ETIMEDOUT) continue;
        const tk_late_job job = job_at(s, q);
        if (!job.look) continue;
        pthread_mutex_unlock(&s->lock);
        job.look(job.context, job.op, job.work != looked_at);
        looked_at = job.work;
        pthread_mutex_lock(&s->lock);
    }
}

void tk_late_reach(tk_device *d, tk_queue q)
{
    tk_late *s = d->impl;
    if (!s || !s->lane[q].runs) return;
    pthread_mutex_lock(&s->lock);
    wait_for_entries(s, q, s->lane[q].asked);
    pthread_mutex_unlock(&s->lock);
}

tk_status tk_late_sync(tk_device *d)
{
    for (int q = 0; q < TK_QUEUES; q++) tk_late_reach(d, (tk_queue)q);
    return TK_OK;
}

// ---- events ------------------------------------------------------------------------------------

tk_status tk_late_event_open(tk_event *e)
{
    moment *m;
    TK_NEW(m, 1);
    m->holds = 1;
    e->impl = m;
    return TK_OK;
}

void tk_late_event_close(tk_event *e)
{
    tk_late *s = e->device->impl;
    if (s) pthread_mutex_lock(&s->lock);
    let_go_of_moment(e->impl);
    if (s) pthread_mutex_unlock(&s->lock);
}

static bool is_past(const tk_late *s, const moment *m)
{
    return s->lane[m->queue].done >= m->number;
}

// On a queue without a thread it is done.
tk_status tk_late_event_record(tk_event *e, tk_queue q)
{
    tk_late *s = e->device->impl;
    moment *m = e->impl;
    entry *stamp = NULL;
    if (s && s->lane[q].runs) TK_TRY(new_entry(STAMP, &stamp));
    if (s) pthread_mutex_lock(&s->lock);
    m->queue = q;
    m->number = 0;
    m->at = tk_now();
    if (stamp) {
        stamp->moment = m;
        m->holds++;
        m->number = append_entry(s, &s->lane[q], stamp);
    }
    if (s) pthread_mutex_unlock(&s->lock);
    return TK_OK;
}

tk_status tk_late_event_wait(tk_event *e, tk_queue q)
{
    tk_late *s = e->device->impl;
    const moment *m = e->impl;
    entry *wait = NULL;
    if (!s || m->number == 0 || m->queue == q) return TK_OK;
    if (s->lane[q].runs) TK_TRY(new_entry(WAIT, &wait));
    pthread_mutex_lock(&s->lock);
    if (wait) {
        wait->of = m->queue;
        wait->number = m->number;
        append_entry(s, &s->lane[q], wait);
    } else {
        wait_for_entries(s, m->queue, m->number);
    }
    pthread_mutex_unlock(&s->lock);
    return TK_OK;
}

tk_status tk_late_event_sync(tk_event *e)
{
    tk_late *s = e->device->impl;
    const moment *m = e->impl;
    if (!s) return TK_OK;
    pthread_mutex_lock(&s->lock);
    wait_for_entries(s, m->queue, m->number);
    pthread_mutex_unlock(&s->lock);
    return TK_OK;
}

tk_status tk_late_event_done(tk_event *e, bool *done)
{
    tk_late *s = e->device->impl;
    if (s) pthread_mutex_lock(&s->lock);
    *done = !s || is_past(s, e->impl);
    if (s) pthread_mutex_unlock(&s->lock);
    return TK_OK;
}

// Both are done: nobody sets their times any more.
tk_status tk_late_event_seconds(tk_event *from, tk_event *to, double *seconds)
{
    *seconds = ((const moment *)to->impl)->at - ((const moment *)from->impl)->at;
    return TK_OK;
}
