// SPDX-License-Identifier: Apache-2.0
#include "train/plan/machine.h"
#include "core/config/load.h"
#include <stddef.h>
#include <string.h>

// ---- the tables --------------------------------------------------------------------------------

// A number that is not given stays below its bounds.
#define NUMBER(n, field, words)                                                                   \
    {                                                                                             \
        .name = n, .kind = TK_OPT_FLOAT, .offset = offsetof(OF, field), .fdef = -1, .fmax = 1e30, \
        .help = words                                                                             \
    }
#define CHOICE(n, field, def, words, ...)                                                      \
    {                                                                                          \
        .name = n, .kind = TK_OPT_ENUM, .offset = offsetof(OF, field), .idef = def, .imax = 1, \
        .names = {__VA_ARGS__}, .help = words                                                  \
    }
#define TEXT(n, field, words)                                                                      \
    {                                                                                              \
        .name = n, .kind = TK_OPT_STRING, .offset = offsetof(OF, field), .sdef = "", .help = words \
    }
#define COUNT(n, field, def, words)                                                           \
    {                                                                                         \
        .name = n, .kind = TK_OPT_INT, .offset = offsetof(OF, field), .idef = def, .imin = 1, \
        .imax = 1 << 20, .help = words                                                        \
    }
#define LIST(n, field, number, table, words)                                             \
    {                                                                                    \
        .name = n, .kind = TK_OPT_ITEMS, .items = &table, .offset = offsetof(OF, field), \
        .count = offsetof(OF, number), .imax = 64, .help = words                         \
    }
#define BASIS(n, field) \
    CHOICE(n, field, TK_ASSUMED, "whether it was measured or is assumed", "measured", "assumed")
#define SOURCE(n, field) TEXT(n, field, "where it was measured, or why it is assumed to be so")
#define FIGURE(n, field, value_name, words)                                       \
    NUMBER(n "." value_name, field.value, words), BASIS(n ".basis", field.basis), \
        SOURCE(n ".source", field.source)
#define PRECISION(field) \
    CHOICE("precision", field, TK_PRECISION_FP32, "numbers of the work", "fp32", "bf16")
#define OF tk_product_rate
static const tk_option product_rows[] = {
    PRECISION(precision),
    COUNT("side", side, 1, "the shortest side from which on the rate holds"),
    NUMBER("rate", rate.value, "FLOP/s"),
    BASIS("basis", rate.basis),
    SOURCE("source", rate.source),
};
static const tk_table product_table = TK_TABLE(product_rows, OF, "rate");
#undef OF

#define OF tk_attention_rate
static const tk_option attention_rows[] = {
    PRECISION(precision),
    NUMBER("forward", fore.value, "FLOP/s"),
    NUMBER("backward", back.value, "FLOP/s, of twice the forward's FLOPs"),
    BASIS("basis", fore.basis),
    SOURCE("source", fore.source),
};
static const tk_table attention_table = TK_TABLE(attention_rows, OF, "rate");
#undef OF

#define OF tk_peak_rate
static const tk_option peak_rows[] = {
    PRECISION(precision),
    NUMBER("rate", rate.value, "FLOP/s that MFU is a share of"),
    BASIS("basis", rate.basis),
    SOURCE("source", rate.source),
};
static const tk_table peak_table = TK_TABLE(peak_rows, OF, "rate");
#undef OF

#define OF tk_link
static const tk_option link_rows[] = {
    CHOICE("place", place, TK_LINK_NODE, "between GPUs of a node, or of several", "node",
           "network"),
    NUMBER("rate", rate.value, "bytes/s of a GPU, each way"),
    NUMBER("latency", latency, "seconds"),
    BASIS("basis", rate.basis),
    SOURCE("source", rate.source),
};
static const tk_table link_table = TK_TABLE(link_rows, OF, "link");
#undef OF

#define OF tk_machine
static const tk_option machine_rows[] = {
    TEXT("name", name, "what it is called"),
    COUNT("gpus", gpus, 1, "GPUs of a node"),
    FIGURE("memory", memory, "bytes", "memory of a GPU"),
    FIGURE("context", context, "bytes", "memory that driver and libraries take"),
    FIGURE("communicator", communicator, "bytes", "memory that a communicator takes"),
    FIGURE("copy", copy, "rate", "bytes/s, read and written, of copies within the device"),
    FIGURE("kernels", share, "share", "share of that rate that other kernels reach"),
    FIGURE("host", host, "rate", "bytes/s of copies from the host"),
    FIGURE("launch", launch, "seconds", "time of the shortest kernel"),
    LIST("products", product, n_product, product_table, "rates of matrix products"),
    LIST("attention", attention, n_attention, attention_table, "rates of attention"),
    LIST("peaks", peak, n_peak, peak_table, "peak rates"),
    LIST("links", link, n_link, link_table, "links of a GPU"),
};
static const tk_table machine_table = TK_TABLE(machine_rows, OF, "machine");
#undef OF

// ---- what must be there ------------------------------------------------------------------------

// Adds an error line for each number of a struct that is not given.
static tk_status check_numbers(tk_loading *l, const tk_table *t, const void *base,
                               const tk_source *source, const char *name)
{
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++) {
        if (o->kind != TK_OPT_FLOAT || source->row[i].bad) continue;
        if (*(const double *)tk_option_at(o, base) >= o->fmin) continue;
        char full[TK_NAME_MAX];
        snprintf(full, sizeof full, "%.95s%s%.95s", name, *name ? "." : "", o->name);
        const tk_place at = source->given ? source->at : (tk_place){.file = l->file};
        TK_TRY(tk_config_error(l, at, full, "missing: %s", o->help));
    }
    return TK_OK;
}

static tk_status check_machine(tk_loading *l)
{
    const tk_machine *m = l->base;
    TK_TRY(check_numbers(l, &machine_table, m, &l->source, ""));
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(&machine_table, i)); i++) {
        const tk_source *list = &l->source.row[i];
        if (o->kind != TK_OPT_ITEMS || list->bad) continue;
        if (*tk_option_count_at(o, m) == 0)
            TK_TRY(
                tk_config_error(l, (tk_place){.file = l->file}, o->name, "missing: %s", o->help));
        for (int64_t k = 0; k < *tk_option_count_at(o, m); k++) {
            char name[TK_NAME_MAX];
            snprintf(name, sizeof name, "%s[%lld]", o->name, (long long)k);
            TK_TRY(check_numbers(l, o->items, tk_option_item(o, m, k), &list->item[k], name));
        }
    }
    return TK_OK;
}

tk_status tk_machine_load(tk_machine *m, const char *file)
{
    memset(m, 0, sizeof *m);
    tk_arena_init(&m->arena, 0);
    tk_loading l = {.table = &machine_table, .base = m, .arena = &m->arena, .file = file};
    const tk_status st = tk_table_load(&l, check_machine);
    if (st != TK_OK) tk_machine_free(m);
    return st;
}

void tk_machine_free(tk_machine *m)
{
    tk_arena_free(&m->arena);
    memset(m, 0, sizeof *m);
}

// ---- asking ------------------------------------------------------------------------------------

const tk_rating *tk_machine_product(const tk_machine *m, int64_t precision, int64_t side)
{
    const tk_product_rate *best = NULL, *least = NULL;
    for (int64_t i = 0; i < m->n_product; i++) {
        const tk_product_rate *r = &m->product[i];
        if (r->precision != precision) continue;
        if (!least || r->side < least->side) least = r;
        if (r->side <= side && (!best || r->side > best->side)) best = r;
    }
    if (!best) best = least; // shorter than any class
    return best ? &best->rate : NULL;
}

const tk_attention_rate *tk_machine_attention(const tk_machine *m, int64_t precision)
{
    for (int64_t i = 0; i < m->n_attention; i++)
        if (m->attention[i].precision == precision) return &m->attention[i];
    return NULL;
}

const tk_rating *tk_machine_peak(const tk_machine *m, int64_t precision)
{
    for (int64_t i = 0; i < m->n_peak; i++)
        if (m->peak[i].precision == precision) return &m->peak[i].rate;
    return NULL;
}

const tk_link *tk_machine_link(const tk_machine *m, tk_link_place place)
{
    for (int64_t i = 0; i < m->n_link; i++)
        if (m->link[i].place == (int64_t)place) return &m->link[i];
    return NULL;
}

static void count(const tk_rating *f, int *assumed, int *figures)
{
    *assumed += f->basis == TK_ASSUMED;
    ++*figures;
}

int tk_machine_assumed(const tk_machine *m, int *figures)
{
    const tk_rating *one[] = {&m->memory, &m->context, &m->communicator, &m->copy,
                              &m->share,  &m->host,    &m->launch};
    int assumed = 0;
    *figures = 0;
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) count(one[i], &assumed, figures);
    for (int64_t i = 0; i < m->n_product; i++) count(&m->product[i].rate, &assumed, figures);
    for (int64_t i = 0; i < m->n_attention; i++) count(&m->attention[i].fore, &assumed, figures);
    for (int64_t i = 0; i < m->n_peak; i++) count(&m->peak[i].rate, &assumed, figures);
    for (int64_t i = 0; i < m->n_link; i++) count(&m->link[i].rate, &assumed, figures);
    return assumed;
}
