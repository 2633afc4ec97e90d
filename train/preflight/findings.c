// SPDX-License-Identifier: Apache-2.0
#include "train/preflight/findings.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const tk_flight_figure_row tk_flight_figures[TK_FLIGHT_FIGURES] = {
    {"product", "GFLOP/s", 1e9, "matrix products",
     "a lower clock, heat, or another program that computes there"},
    {"copy", "GB/s", 1e9, "copies within the device",
     "a lower memory clock, memory that corrects errors, or another program"},
    {"upload", "GB/s", 1e9, "copies from the host",
     "a narrower PCIe link, or cores far from the device"},
    {"download", "GB/s", 1e9, "copies to the host",
     "a narrower PCIe link, or cores far from the device"},
    {"files", "GB/s", 1e9, "reading data.files", "its way to the file system"},
    {"sum", "GB/s", 1e9, "all-reduces within the host", "a link between its devices"},
    {"near", "GB/s", 1e9, "messages within the host", "the link between the two devices"},
    {"far", "GB/s", 1e9, "messages between hosts", "the network cards and cables of the two hosts"},
};
const char *const tk_flight_fact_name[TK_FLIGHT_FACTS] = {"device", "kernel", "software"};

enum { CLOCK_SECONDS = 1 };             // that clocks may be apart
static const double MEMORY_LEAST = 0.5; // of the median, that a host should have free

// ---- the middle --------------------------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double upper_median(double *x, int n)
{
    if (!n) return 0;
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

static bool is_link(tk_flight_figure f)
{
    return f == TK_FLIGHT_NEAR || f == TK_FLIGHT_FAR;
}

static bool same_device(const tk_flight_rank *a, const tk_flight_rank *b)
{
    return !strcmp(a->fact[TK_FLIGHT_DEVICE], b->fact[TK_FLIGHT_DEVICE]);
}

// room: (n).
static double middle_of(const tk_flight_rank *all, int n, tk_flight_figure f, int like,
                        double *room)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        if (all[i].figure[f] > 0 && (is_link(f) || same_device(&all[i], &all[like])))
            room[count++] = all[i].figure[f];
    return upper_median(room, count);
}

tk_status tk_flight_medians(const tk_flight_rank *all, int n, tk_arena *a, double **middle)
{
    double *room;
    TK_ARENA_NEW(room, a, n);
    TK_ARENA_NEW(*middle, a, (int64_t)n * TK_FLIGHT_FIGURES);
    for (tk_flight_figure f = 0; f < TK_FLIGHT_FIGURES; f++)
        for (int i = 0; i < n; i++) { // of those alike, that of the one before
            double *to = *middle + (int64_t)f * n + i;
            const bool again = i && (is_link(f) || same_device(&all[i], &all[i - 1]));
            *to = again ? to[-1] : middle_of(all, n, f, i, room);
        }
    return TK_OK;
}

int tk_flight_ranks_of_host(const tk_flight_rank *all, int n)
{
    int k = 1;
    while (k < n && !strcmp(all[k].host, all[0].host)) k++;
    if (n % k) return 1;
    for (int i = 0; i < n; i++) {
        const int first = i / k * k;
        const bool own = !strcmp(all[i].host, all[first].host);
        const bool other = i < k || i % k || strcmp(all[i].host, all[i - 1].host);
        if (!own || !other) return 1;
    }
    return k;
}

// ---- words -------------------------------------------------------------------------------------

__attribute__((format(printf, 2, 3))) static tk_status say(tk_flight_verdicts *v, const char *fmt,
                                                           ...)
{
    char words[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    if (v->n == v->room) {
        char **more;
        TK_ARENA_NEW(more, v->arena, 2 * v->room + 8);
        if (v->n) memcpy(more, v->line, (size_t)v->n * sizeof *more);
        v->line = more;
        v->room = 2 * v->room + 8;
    }
    v->line[v->n] = tk_arena_strdup(v->arena, words);
    if (!v->line[v->n]) return TK_FAIL(TK_MEMORY, "out of memory for what was found");
    v->n++;
    return TK_OK;
}

// ---- what is slow ------------------------------------------------------------------------------

typedef struct slowness {
    const tk_flight_rank *all;
    int n;
    double slow;
    tk_flight_figure f;
    const double *middle; // (n)
} slowness;

static bool is_slow(const slowness *s, int i)
{
    const double x = s->all[i].figure[s->f];
    return x > 0 && x < s->slow * s->middle[i];
}

// The ranks of rank i's host: how many there are, how many of them are slow, and the first of them.
static int slow_on_host(const slowness *s, int i, int *ranks, int *first)
{
    int count = 0;
    *ranks = 0;
    *first = i;
    for (int k = s->n - 1; k >= 0; k--) {
        if (strcmp(s->all[k].host, s->all[i].host)) continue;
        *first = k;
        (*ranks)++;
        count += is_slow(s, k);
    }
    return count;
}

// A host whose ranks are all slow is one finding.
static tk_status say_slow(const slowness *s, int i, tk_flight_verdicts *v)
{
    const tk_flight_figure_row *f = &tk_flight_figures[s->f];
    const tk_flight_rank *r = &s->all[i];
    const double x = r->figure[s->f];
    const int other = s->f == TK_FLIGHT_NEAR ? r->near : s->f == TK_FLIGHT_FAR ? r->far : -1;
    char who[224];
    int ranks, first;
    const bool host = slow_on_host(s, i, &ranks, &first) == ranks && ranks > 1;
    if (other >= 0) {
        snprintf(who, sizeof who, "the link between rank %d on %s and rank %d on %s", i, r->host,
                 other, s->all[other].host);
    } else if (host) {
        if (i != first) return TK_OK;
        snprintf(who, sizeof who, "host %s, all of its %d ranks (rank %d on)", r->host, ranks, i);
    } else {
        snprintf(who, sizeof who, "rank %d on %s", i, r->host);
    }
    return say(v, "%s: %s at %.2f of the median, %.4g of %.4g %s. It may be %s", who, f->what,
               x / s->middle[i], x / f->scale, s->middle[i] / f->scale, f->unit, f->reason);
}

static tk_status judge_rates(const tk_flight_rank *all, int n, const double *middle, double slow,
                             tk_flight_verdicts *v)
{
    slowness s = {.all = all, .n = n, .slow = slow};
    for (s.f = 0; s.f < TK_FLIGHT_FIGURES; s.f++) {
        s.middle = middle + (int64_t)s.f * n;
        for (int i = 0; i < n; i++)
            if (is_slow(&s, i)) TK_TRY(say_slow(&s, i, v));
    }
    return TK_OK;
}

// ---- what is wrong -----------------------------------------------------------------------------

// The digest that most ranks with rank i's device have, the lowest rank's of equally many.
static uint64_t usual_product(const tk_flight_rank *all, int n, int i, int *ranks)
{
    uint64_t usual = 0;
    int most = 0;
    *ranks = 0;
    for (int k = 0; k < n; k++) {
        int same = 0;
        if (!same_device(&all[k], &all[i])) continue;
        (*ranks)++;
        for (int j = 0; j < n; j++)
            same += same_device(&all[j], &all[i]) && all[j].product == all[k].product;
        if (same > most) most = same, usual = all[k].product;
    }
    return usual;
}

static tk_status judge_products(const tk_flight_rank *all, int n, tk_flight_verdicts *v)
{
    uint64_t usual = 0;
    int ranks = 0;
    for (int i = 0; i < n; i++) {
        const tk_flight_rank *r = &all[i];
        if (!i || !same_device(r, &all[i - 1])) usual = usual_product(all, n, i, &ranks);
        if (r->unsteady)
            TK_TRY(say(v,
                       "rank %d on %s: the same matrix product gave other bits the second time. "
                       "Take this device out of service",
                       i, r->host));
        else if (r->product != usual)
            TK_TRY(say(v,
                       "rank %d on %s: a matrix product gives other bits than on most of the %d "
                       "ranks with such a device: it computes wrongly, or its libraries differ",
                       i, r->host, ranks));
    }
    return TK_OK;
}

static tk_status judge_bytes(const tk_flight_rank *all, int n, tk_flight_verdicts *v)
{
    for (int i = 0; i < n; i++) {
        const tk_flight_rank *r = &all[i];
        if (r->bad_bytes)
            TK_TRY(say(v,
                       "rank %d on %s: %lld bytes of its device's memory came back as others "
                       "than were written. Take it out of service",
                       i, r->host, (long long)r->bad_bytes));
        if (r->wrong_sum)
            TK_TRY(say(v, "rank %d on %s: an all-reduce gave it wrong numbers", i, r->host));
        if (r->wrong_from >= 0)
            TK_TRY(say(v,
                       "the link between rank %d on %s and rank %d on %s: what arrives is not "
                       "what was sent",
                       r->wrong_from, all[r->wrong_from].host, i, r->host));
    }
    return TK_OK;
}

// ---- what is different -------------------------------------------------------------------------

static const char *usual_fact(const tk_flight_rank *all, int n, tk_flight_fact f)
{
    const char *usual = "";
    int most = 0;
    for (int k = 0; k < n; k++) {
        int same = 0;
        if (k && !strcmp(all[k].fact[f], all[k - 1].fact[f])) continue;
        for (int j = 0; j < n; j++) same += !strcmp(all[j].fact[f], all[k].fact[f]);
        if (same > most) most = same, usual = all[k].fact[f];
    }
    return usual;
}

static tk_status judge_facts(const tk_flight_rank *all, int n, tk_flight_verdicts *v)
{
    for (tk_flight_fact f = 0; f < TK_FLIGHT_FACTS; f++) {
        const char *usual = usual_fact(all, n, f);
        for (int i = 0; i < n; i++)
            if (strcmp(all[i].fact[f], usual))
                TK_TRY(say(v, "rank %d on %s: its %s is %s, that of most is %s", i, all[i].host,
                           tk_flight_fact_name[f], all[i].fact[f], usual));
    }
    return TK_OK;
}

static tk_status judge_hosts(const tk_flight_rank *all, int n, tk_flight_verdicts *v)
{
    double *memory;
    TK_ARENA_NEW(memory, v->arena, n);
    for (int i = 0; i < n; i++) memory[i] = all[i].memory;
    const double usual = upper_median(memory, n);
    for (int i = 0; i < n; i++) {
        const tk_flight_rank *r = &all[i];
        if (i && !strcmp(r->host, all[i - 1].host)) continue;
        if (fabs(r->ahead) > CLOCK_SECONDS)
            TK_TRY(say(v, "host %s: its clock is %.1f s %s the others'", r->host, fabs(r->ahead),
                       r->ahead > 0 ? "ahead of" : "behind"));
        if (r->memory < MEMORY_LEAST * usual)
            TK_TRY(say(v,
                       "host %s: %.4g GB of its memory are free, %.2f of the median: something "
                       "else runs there",
                       r->host, r->memory / 1e9, r->memory / usual));
        if (r->lost)
            TK_TRY(say(v,
                       "host %s: the folder of train.out is not the one that rank 0 on %s sees: it "
                       "must lie on a file system that all hosts share",
                       r->host, all[0].host));
    }
    return TK_OK;
}

tk_status tk_flight_judge(const tk_flight_rank *all, int n, const double *middle, double slow,
                          tk_flight_verdicts *v)
{
    TK_TRY(judge_rates(all, n, middle, slow, v));
    TK_TRY(judge_products(all, n, v));
    TK_TRY(judge_bytes(all, n, v));
    TK_TRY(judge_facts(all, n, v));
    return judge_hosts(all, n, v);
}
