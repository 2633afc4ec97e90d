// SPDX-License-Identifier: Apache-2.0
#include "train/preflight/print.h"
#include "core/base/version.h"
#include "train/run/ceiling.h"
#include "train/run/report.h"
#include <stdio.h>
#include <string.h>

// ---- the table ---------------------------------------------------------------------------------

enum { ROWS = 64 }; // of a table that people read

static bool measured(const tk_flight_report *r, tk_flight_figure f)
{
    for (int i = 0; i < r->n; i++)
        if (r->all[i].figure[f] > 0) return true;
    return false;
}

static double ratio_of(const tk_flight_report *r, int i, tk_flight_figure f)
{
    const double middle = r->middle[(int64_t)f * r->n + i];
    return middle > 0 ? r->all[i].figure[f] / middle : 0;
}

static double lowest_ratio(const tk_flight_report *r, int i)
{
    double least = 1;
    for (tk_flight_figure f = 0; f < TK_FLIGHT_FIGURES; f++) {
        const double x = ratio_of(r, i, f);
        if (x > 0 && x < least) least = x;
    }
    return least;
}

static void print_head(const tk_flight_report *r)
{
    printf("%6s  %-16s %-28s", "rank", "host", "device");
    for (tk_flight_figure f = 0; f < TK_FLIGHT_FIGURES; f++)
        if (measured(r, f)) printf(" %15s", tk_flight_figures[f].name);
    printf("\n%6s  %-16s %-28s", "", "", "");
    for (tk_flight_figure f = 0; f < TK_FLIGHT_FIGURES; f++)
        if (measured(r, f)) printf(" %15s", tk_flight_figures[f].unit);
    printf("\n");
}

static void print_rank(const tk_flight_report *r, int i)
{
    const tk_flight_rank *own = &r->all[i];
    printf("%6d  %-16.16s %-28.28s", i, own->host, own->fact[TK_FLIGHT_DEVICE]);
    for (tk_flight_figure f = 0; f < TK_FLIGHT_FIGURES; f++) {
        if (!measured(r, f)) continue;
        if (own->figure[f] > 0)
            printf(" %10.4g %4.2f", own->figure[f] / tk_flight_figures[f].scale, ratio_of(r, i, f));
        else
            printf(" %15s", "-");
    }
    printf("\n");
}

void tk_flight_print(const tk_flight_report *r)
{
    const tk_preflight_config *c = &r->config->preflight;
    int left_out = 0;
    printf(
        "preflight   %d ranks, %d hosts, products of %lld cubed in %s, %lld MiB copied and sent; "
        "beside each figure its part of the median\n",
        r->n, r->n / r->each, (long long)r->side,
        tk_product_type(r->config) == TK_BF16 ? "bf16" : "fp32", (long long)c->mib);
    print_head(r);
    for (int i = 0; i < r->n; i++)
        if (r->n <= ROWS || lowest_ratio(r, i) < c->slow)
            print_rank(r, i);
        else
            left_out++;
    if (left_out) printf("        %d ranks that are not slow are left out\n", left_out);
    if (r->n > 1)
        printf("all ranks   %.4g GB/s of an all-reduce, %.4g GB/s around the ring\n",
               r->whole.sum / 1e9, r->whole.ring / 1e9);
    printf("train.out   %.4g GB free\n", r->all[0].disk / 1e9);
    for (int k = 0; k < r->verdicts->n; k++) printf("found       %s\n", r->verdicts->line[k]);
    if (!r->verdicts->n)
        printf("found       nothing slow (preflight.slow=%g), wrong or different\n", c->slow);
}

// ---- the file ----------------------------------------------------------------------------------

static json_t *rank_object(const tk_flight_report *r, int i)
{
    const tk_flight_rank *own = &r->all[i];
    json_t *figures = json_object(), *facts = json_object();
    for (tk_flight_figure f = 0; f < TK_FLIGHT_FIGURES; f++)
        if (own->figure[f] > 0)
            json_object_set_new(
                figures, tk_flight_figures[f].name,
                json_pack("{s:f, s:f}", "rate", own->figure[f], "of_median", ratio_of(r, i, f)));
    for (tk_flight_fact f = 0; f < TK_FLIGHT_FACTS; f++)
        json_object_set_new(facts, tk_flight_fact_name[f], json_string(own->fact[f]));
    char product[24];
    snprintf(product, sizeof product, "%016llx", (unsigned long long)own->product);
    return json_pack("{s:i, s:s, s:o, s:o, s:s, s:i, s:i, s:f, s:f, s:f}", "rank", i, "host",
                     own->host, "facts", facts, "figures", figures, "product", product, "near",
                     own->near, "far", own->far, "clock_ahead", own->ahead, "memory_free",
                     own->memory, "disk_free", own->disk);
}

static json_t *preflight_object(const tk_flight_report *r)
{
    json_t *ranks = json_array(), *found = json_array();
    for (int i = 0; i < r->n; i++) json_array_append_new(ranks, rank_object(r, i));
    for (int k = 0; k < r->verdicts->n; k++)
        json_array_append_new(found, json_string(r->verdicts->line[k]));
    const tk_preflight_config *c = &r->config->preflight;
    return json_pack("{s:s, s:i, s:s, s:f, s:I, s:I, s:f, s:f, s:o, s:o}", "format",
                     "talkie-preflight", "version", 1, "revision", tk_revision(), "slow", c->slow,
                     "side", (json_int_t)r->side, "mib", (json_int_t)c->mib, "all_reduce",
                     r->whole.sum, "ring", r->whole.ring, "ranks", ranks, "found", found);
}

tk_status tk_flight_check_output(const char *path)
{
    static const tk_file_kind kind = {
        .name = "report", .at = 0, .head = "{", .words = "\"talkie-preflight\""};
    return *path ? tk_file_check_output(path, &kind, 0, NULL) : TK_OK;
}

tk_status tk_flight_write(const tk_flight_report *r, const char *path)
{
    return *path ? tk_report_write(path, preflight_object(r)) : TK_OK;
}
