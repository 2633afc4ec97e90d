// SPDX-License-Identifier: Apache-2.0
#include "parallel/devices.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- deciding ----------------------------------------------------------------------------------

enum { LIST = 256, NAMED = 8 };

// "rank 3" or "ranks 0, 1, 2 and 5 more": those with (or without) a card. Returns `out`.
static char *ranks_with(const tk_rank_cards *all, int n, bool card, char out[LIST])
{
    int many = 0, named = 0;
    size_t at;
    for (int i = 0; i < n; i++) many += (all[i].cards > 0) == card;
    at = (size_t)snprintf(out, LIST, "rank%s", many == 1 ? "" : "s");
    for (int i = 0; i < n && named < NAMED; i++)
        if ((all[i].cards > 0) == card)
            at += (size_t)snprintf(out + at, LIST - at, "%s %d", named++ ? "," : "", i);
    if (many > named) snprintf(out + at, LIST - at, " and %d more", many - named);
    return out;
}

static const tk_rank_cards *first_without(const tk_rank_cards *all, int n)
{
    for (int i = 0; i < n; i++)
        if (!all[i].cards) return &all[i];
    return NULL;
}

static tk_status same_card(const tk_rank_cards *all, int a, int b, int n)
{
    int ranks = 0;
    for (int i = 0; i < n; i++) ranks += !strcmp(all[i].host, all[b].host);
    return TK_FAIL(TK_INPUT,
                   "ranks %d and %d would share one GPU (%s on %s: %d rank%s there, %d GPU%s "
                   "visible to rank %d). Start a rank for each GPU, or say parallel.share_gpu=true",
                   a, b, all[b].is.name, all[b].host, ranks, ranks == 1 ? "" : "s", all[b].cards,
                   all[b].cards == 1 ? "" : "s", b);
}

typedef struct holder { // of a card
    const tk_card *card;
    int rank;
} holder;

static int by_card(const void *a, const void *b)
{
    const holder *x = a, *y = b;
    const int order = memcmp(x->card->id, y->card->id, sizeof x->card->id);
    return order ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

static bool is_same(const tk_card *a, const tk_card *b)
{
    return !memcmp(a->id, b->id, sizeof a->id);
}

// Who holds which card, those of one card side by side; NULL: out of memory.
static holder *holders_of(const tk_rank_cards *all, int n)
{
    holder *h = tk_alloc((size_t)n * sizeof *h);
    for (int i = 0; i < n && h; i++) h[i] = (holder){&all[i].is, i};
    if (h) qsort(h, (size_t)n, sizeof *h, by_card);
    return h;
}

static tk_status one_each(const tk_rank_cards *all, int n)
{
    holder *h = holders_of(all, n);
    tk_status st = h ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory");
    for (int i = 1; i < n && st == TK_OK; i++)
        if (is_same(h[i - 1].card, h[i].card)) st = same_card(all, h[i - 1].rank, h[i].rank, n);
    tk_free(h);
    return st;
}

bool tk_devices_isolated(const tk_rank_cards *all, int n)
{
    bool others = false;
    for (int i = 0; i < n; i++) {
        if (strcmp(all[i].host, all[0].host)) continue;
        if (all[i].cards != 1) return false;
        others |= !is_same(&all[i].is, &all[0].is);
    }
    return others;
}

tk_status tk_devices_decide(const tk_rank_cards *all, int n, int64_t asked, bool share,
                            tk_device_kind *kind)
{
    char have[LIST], lack[LIST];
    int with = 0;
    *kind = (tk_device_kind)asked;
    if (asked != TK_DEVICE_AUTO && asked != TK_DEVICE_CUDA) return TK_OK;
    for (int i = 0; i < n; i++) with += all[i].cards > 0;
    *kind = with ? TK_DEVICE_CUDA : TK_DEVICE_CPU;
    if (!with && asked == TK_DEVICE_AUTO) return TK_OK;
    if (!with)
        return TK_FAIL(TK_INPUT, "device=cuda: %s. device=cpu computes without a GPU", all[0].why);
    if (with < n)
        return TK_FAIL(TK_INPUT,
                       "%s can use a GPU, %s (%s) cannot: %s. Give every rank one, or say "
                       "device=cpu",
                       ranks_with(all, n, true, have), ranks_with(all, n, false, lack),
                       first_without(all, n)->host, first_without(all, n)->why);
    return share ? TK_OK : one_each(all, n);
}

// ---- looking -----------------------------------------------------------------------------------

// A rank without a card is no failure yet: the others may have none either.
static void look_for_cards(const tk_mesh *m, const tk_device_ops *cuda, tk_rank_cards *own)
{
    if (gethostname(own->host, sizeof own->host - 1)) strcpy(own->host, "?");
    if (!cuda) {
        snprintf(own->why, sizeof own->why,
                 "this talkie was built without CUDA (make CUDA_HOME=...)");
        return;
    }
    tk_status st = cuda->cards(&own->cards);
    if (st == TK_OK) {
        own->card = m->rank_on_node % own->cards;
        st = cuda->card(own->card, &own->is);
    }
    if (st == TK_OK) return;
    own->cards = 0;
    snprintf(own->why, sizeof own->why, "%s", tk_status_message());
    tk_status_clear();
}

static void say_cards(const tk_rank_cards *all, int n)
{
    int cards = 0;
    holder *h = holders_of(all, n);
    for (int i = 0; i < n && h; i++) cards += i == 0 || !is_same(h[i - 1].card, h[i].card);
    tk_free(h);
    if (cards == n || !cards)
        tk_log("device cuda: %s, a GPU for each rank", all[0].is.name);
    else
        tk_log("device cuda: %s, %d GPU%s shared by %d ranks", all[0].is.name, cards,
               cards == 1 ? "" : "s", n);
    if (tk_devices_isolated(all, n))
        tk_log_warn("ranks of %s see one GPU each, so that these cannot reach each other's memory "
                    "directly. Let ranks see all GPUs of their node (srun --gpu-bind=none; no "
                    "CUDA_VISIBLE_DEVICES for each rank)",
                    all[0].host);
}

// On rank 0.
static void say_choice(const tk_rank_cards *all, int n, const tk_parallel_config *p,
                       tk_device_kind kind)
{
    static bool said; // a command may open it several times
    if (said) return;
    said = true;
    if (kind == TK_DEVICE_CUDA)
        say_cards(all, n);
    else if (p->device == TK_DEVICE_AUTO && tk_device_find(TK_DEVICE_CUDA))
        tk_log("device cpu: %s", all[0].why);
}

static tk_status choose_kind(tk_mesh *m, const tk_parallel_config *p, tk_rank_cards *own,
                             tk_device_kind *kind)
{
    tk_rank_cards *all = tk_alloc((size_t)m->world.size * sizeof *all);
    TK_TRY(tk_agree(&m->world, all ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory")));
    look_for_cards(m, tk_device_find(TK_DEVICE_CUDA), own);
    tk_status st = tk_comm_all_gather(&m->world, own, all, sizeof *own);
    if (st == TK_OK) st = tk_devices_decide(all, m->world.size, p->device, p->share_gpu, kind);
    tk_status_set_shared(st != TK_OK); // all have the same before them
    if (st == TK_OK && m->world.rank == 0) say_choice(all, m->world.size, p, *kind);
    tk_free(all);
    return st;
}

// ---- attention ---------------------------------------------------------------------------------

static void say_attention(const tk_device *d, const char *why)
{
    static bool said; // a command may open it several times
    const int64_t v = d->attention.version;
    if (said || !d->ops->attends) return;
    said = true;
    if (v)
        tk_log("attention: cuDNN %lld.%lld.%lld, where it takes it", (long long)(v / 10000),
               (long long)(v / 100 % 100), (long long)(v % 100));
    else
        tk_log("attention: our own kernels%s%s", *why ? ": " : "", why);
}

// The first rank whose library is not rank 0's; -1: there is none.
static int odd_one(const int64_t *version, int n)
{
    for (int i = 1; i < n; i++)
        if (version[i] != version[0]) return i;
    return -1;
}

// All ranks the same way, since another gives other bits: with one version of the library, or
// without.
static tk_status attend_alike(tk_mesh *m, const tk_parallel_config *p, tk_device *d)
{
    const int64_t mib = 1 << 20, workspace = p->attention_workspace * mib;
    char why[512];
    TK_TRY(tk_agree(&m->world, tk_device_attend(d, p->attention, workspace)));
    snprintf(why, sizeof why, "%s", d->attention.version ? "" : tk_status_message());
    tk_status_clear();
    int64_t *version = tk_alloc(tk_array_bytes(m->world.size, sizeof *version));
    TK_TRY(tk_agree(&m->world, version ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory")));
    tk_status st = tk_comm_all_gather(&m->world, &d->attention.version, version, sizeof *version);
    const int odd = st == TK_OK ? odd_one(version, m->world.size) : -1;
    if (odd >= 0)
        snprintf(why, sizeof why,
                 "rank 0 has cuDNN of version %lld, rank %d of %lld (0: none); attention by cuDNN "
                 "needs the same on all",
                 (long long)version[0], odd, (long long)version[odd]);
    tk_free(version);
    TK_TRY(st);
    if (odd >= 0 && p->attention == TK_ATTENTION_CUDNN)
        return tk_agree(&m->world, TK_FAIL(TK_INPUT, "attention=cudnn: %s", why));
    if (odd >= 0) TK_TRY(tk_agree(&m->world, tk_device_attend(d, TK_ATTENTION_OWN, workspace)));
    say_attention(d, why);
    return TK_OK;
}

tk_status tk_devices_open(tk_mesh *m, const tk_parallel_config *p, size_t bytes, tk_device *d)
{
    tk_rank_cards own = {.cards = 0};
    tk_device_kind kind = (tk_device_kind)p->device;
    if (kind == TK_DEVICE_AUTO || kind == TK_DEVICE_CUDA) TK_TRY(choose_kind(m, p, &own, &kind));
    TK_TRY(tk_agree(&m->world, tk_device_open_card(d, tk_device_find(kind), own.card,
                                                   tk_mesh_threads(m, p), bytes)));
    TK_TRY(attend_alike(m, p, d));
    return tk_mesh_attach(m, d);
}
