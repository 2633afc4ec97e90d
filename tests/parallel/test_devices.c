// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 60 */
// Which device each rank computes on: what is decided from what all found, and its words.
#include "parallel/devices.h"
#include "tests/support/ranks.h"
#include <stdio.h>

static tk_comm world;

// Ranks 0 to n - 1 of hosts of `per_host`, each with `cards` cards of its host.
static void fill(tk_rank_cards *all, int n, int per_host, int cards)
{
    memset(all, 0, (size_t)n * sizeof *all);
    for (int i = 0; i < n; i++) {
        tk_rank_cards *p = &all[i];
        snprintf(p->host, sizeof p->host, "node%d", i / per_host);
        p->cards = cards;
        if (cards) p->card = i % per_host % cards;
        if (!cards) snprintf(p->why, sizeof p->why, "no driver");
        snprintf(p->is.name, sizeof p->is.name, "Card");
        p->is.id[0] = (unsigned char)(i / per_host);
        p->is.id[1] = (unsigned char)p->card;
    }
}

static void auto_is_cuda_where_all_have_a_card(void **state)
{
    tk_rank_cards all[8];
    tk_device_kind kind;
    (void)state;
    fill(all, 8, 4, 4);
    assert_ok(tk_devices_decide(all, 8, TK_DEVICE_AUTO, false, &kind));
    assert_int_equal(kind, TK_DEVICE_CUDA);
    fill(all, 8, 4, 0);
    assert_ok(tk_devices_decide(all, 8, TK_DEVICE_AUTO, false, &kind));
    assert_int_equal(kind, TK_DEVICE_CPU);
    fill(all, 8, 4, 2);
    assert_ok(tk_devices_decide(all, 8, TK_DEVICE_REF, false, &kind));
    assert_int_equal(kind, TK_DEVICE_REF);
}

static void who_lacks_a_card_is_named(void **state)
{
    tk_rank_cards all[20];
    tk_device_kind kind;
    (void)state;
    fill(all, 8, 4, 4);
    for (int i = 4; i < 8; i++) all[i].cards = 0, strcpy(all[i].why, "no driver");
    assert_status(tk_devices_decide(all, 8, TK_DEVICE_AUTO, false, &kind), TK_INPUT);
    assert_says("ranks 0, 1, 2, 3 can use a GPU, ranks 4, 5, 6, 7 (node1) cannot: no driver. Give "
                "every rank one, or say device=cpu");
    fill(all, 20, 20, 20);
    all[3].cards = 0;
    assert_status(tk_devices_decide(all, 20, TK_DEVICE_CUDA, true, &kind), TK_INPUT);
    assert_says("ranks 0, 1, 2, 4, 5, 6, 7, 8 and 11 more can use a GPU, rank 3 (node0) cannot");
    fill(all, 2, 2, 0);
    assert_status(tk_devices_decide(all, 2, TK_DEVICE_CUDA, true, &kind), TK_INPUT);
    assert_says("device=cuda: no driver. device=cpu computes without a GPU");
}

static void sharing_is_asked_for(void **state)
{
    tk_rank_cards all[6];
    tk_device_kind kind;
    (void)state;
    fill(all, 6, 3, 2);
    assert_status(tk_devices_decide(all, 6, TK_DEVICE_AUTO, false, &kind), TK_INPUT);
    assert_says(
        "ranks 0 and 2 would share one GPU (Card on node0: 3 ranks there, 2 GPUs visible to "
        "rank 2). Start a rank for each GPU, or say parallel.share_gpu=true");
    assert_ok(tk_devices_decide(all, 6, TK_DEVICE_AUTO, true, &kind));
    assert_int_equal(kind, TK_DEVICE_CUDA);
    fill(all, 4, 2, 2);
    all[3].is = all[2].is; // each sees one, and it is the same
    all[3].cards = all[2].cards = 1;
    assert_status(tk_devices_decide(all, 4, TK_DEVICE_CUDA, false, &kind), TK_INPUT);
    assert_says("ranks 2 and 3 would share one GPU (Card on node1: 2 ranks there, 1 GPU visible");
}

static void isolated_ranks_are_known(void **state)
{
    tk_rank_cards all[8];
    (void)state;
    fill(all, 8, 4, 4);
    assert_false(tk_devices_isolated(all, 8)); // each sees all
    for (int i = 0; i < 8; i++) all[i].cards = 1;
    assert_true(tk_devices_isolated(all, 8)); // each sees its own
    fill(all, 8, 4, 1);
    assert_false(tk_devices_isolated(all, 8)); // all of a host see the same
    fill(all, 8, 1, 1);
    assert_false(tk_devices_isolated(all, 8)); // one a host
}

// On whatever this is: all ranks come to the same, or to the same words.
static void all_ranks_open_the_same(void **state)
{
    const tk_parallel_config options[] = {{.device = TK_DEVICE_AUTO},
                                          {.device = TK_DEVICE_CPU},
                                          {.device = TK_DEVICE_REF},
                                          {.device = TK_DEVICE_CUDA}};
    (void)state;
    for (int i = 0; i < (int)(sizeof options / sizeof *options); i++) {
        tk_parallel_config p = options[i];
        tk_mesh m;
        tk_device d = {0};
        p.threads = 1;
        assert_ok(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA));
        const tk_status st = tk_devices_open(&m, &p, 1 << 20, &d);
        assert_ok(tk_same(&world, "the outcome", &st, sizeof st));
        if (p.device != TK_DEVICE_CUDA) assert_int_equal(st, TK_OK);
        if (st != TK_OK) assert_true(tk_status_shared());
        if (st != TK_OK) assert_says(tk_device_find(TK_DEVICE_CUDA) ? "" : "built without CUDA");
        if (st == TK_OK && p.device == TK_DEVICE_REF) assert_string_equal(d.ops->name, "ref");
        tk_mesh_detach(&m);
        tk_device_close(&d);
        tk_mesh_close(&m);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_is_cuda_where_all_have_a_card),
        cmocka_unit_test(who_lacks_a_card_is_named),
        cmocka_unit_test(sharing_is_asked_for),
        cmocka_unit_test(isolated_ranks_are_known),
        cmocka_unit_test(all_ranks_open_the_same),
    };
    ranks_run(argc, argv, world, tests);
}
