// SPDX-License-Identifier: Apache-2.0
// Every schedule over many sizes, replayed against the formulas; and broken ones, which must be
// refused for the right reason.
#include "parallel/messages.h"
#include "parallel/replay.h"
#include "tests/support/test.h"

enum { MOST_STAGES = 8, MOST_CHUNKS = 4, MOST_MICRO = 32 };

static void fails(tk_status st, tk_status want, const char *words)
{
    assert_status(st, want);
    assert_says(words);
    tk_status_clear();
}

static tk_replay replayed(tk_schedule *s, const double *cost)
{
    tk_replay r;
    assert_ok(tk_schedule_replay(s, &(tk_replay_costs){cost, 0, false}, &r));
    return r;
}

static double bubble_of(tk_schedule_kind kind, int p, int v, int64_t m)
{
    tk_schedule s;
    assert_ok(tk_schedule_make(&s, kind, p, v, m));
    const tk_replay r = replayed(&s, NULL);
    for (int i = 0; i < p && m % p == 0; i++) assert_int_equal(r.most[i], s.stage[i].most);
    tk_schedule_free(&s);
    return r.bubble;
}

static void test_schedule__one_forward_one_backward(void **state)
{
    (void)state;
    for (int p = 1; p <= MOST_STAGES; p++)
        for (int64_t m = 1; m <= MOST_MICRO; m++)
            assert_near(bubble_of(TK_SCHEDULE_1F1B, p, 1, m), (p - 1.0) / ((double)m + p - 1),
                        1e-12);
}

static void test_schedule__interleaved(void **state)
{
    (void)state;
    for (int p = 1; p <= MOST_STAGES; p++)
        for (int v = 1; v <= MOST_CHUNKS; v++)
            for (int64_t m = 1; m <= MOST_MICRO; m++) {
                const double bubble = bubble_of(TK_SCHEDULE_INTERLEAVED, p, v, m);
                const double whole = (p - 1.0) / ((double)m * v + p - 1);
                if (m % p == 0) assert_near(bubble, whole, 1e-12);
                assert_true(bubble > whole - 1e-12);
            }
}

static void test_schedule__zero_bubble(void **state)
{
    (void)state;
    for (int p = 1; p <= MOST_STAGES; p++)
        for (int64_t m = 1; m <= MOST_MICRO; m++) {
            const double bubble = bubble_of(TK_SCHEDULE_ZB_H1, p, 1, m);
            const double idle = bubble / (1 - bubble) * 3 * (double)m; // per stage
            assert_true(idle < 3.0 * (p - 1) + 1e-9);                  // never worse than 1f1b
            if (m >= 2 * p - 1) assert_near(idle, p - 1.0, 1e-9);
        }
}

static void test_schedule__nothing_to_do(void **state)
{
    (void)state;
    for (int kind = 0; kind <= TK_SCHEDULE_FORWARD; kind++) {
        tk_schedule s;
        assert_ok(tk_schedule_make(&s, (tk_schedule_kind)kind, 3, 1, 0));
        assert_near(replayed(&s, NULL).makespan, 0, 0);
        tk_schedule_free(&s);
    }
}

static void test_schedule__forward_only(void **state)
{
    tk_schedule s;
    (void)state;
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_FORWARD, 3, 1, 5));
    assert_near(replayed(&s, NULL).makespan, 7, 1e-12);
    tk_schedule_free(&s);
    // Over chunks as well: 12 forwards of a stage, of which the last begins two later.
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_FORWARD, 3, 2, 6));
    assert_near(replayed(&s, NULL).makespan, 14, 1e-12);
    tk_schedule_free(&s);
}

// A stage three times as slow holds up all the others.
static void test_schedule__given_costs(void **state)
{
    const double cost[2][TK_ACT_KINDS] = {{1, 2, 1, 1}, {3, 6, 3, 3}};
    tk_schedule s;
    (void)state;
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_1F1B, 2, 1, 4));
    const tk_replay r = replayed(&s, cost[0]);
    assert_near(r.makespan, 1 + 4 * 9 + 2, 1e-12);
    assert_near(r.bubble, 1 - (4 * 3 + 4 * 9) / (2 * r.makespan), 1e-12);
    tk_schedule_free(&s);
}

static void test_schedule__too_many_chunks(void **state)
{
    tk_schedule s;
    (void)state;
    fails(tk_schedule_make(&s, TK_SCHEDULE_ZB_H1, 2, 2, 4), TK_INPUT,
          "parallel.chunks is 2, but parallel.schedule zb-h1 gives a stage one run");
    fails(tk_schedule_make(&s, TK_SCHEDULE_1F1B, 2, 3, 4), TK_INPUT,
          "set parallel.schedule=interleaved or parallel.chunks=1");
}

// ---- broken schedules --------------------------------------------------------------------------

static void swap(tk_stage_plan *p, int64_t a, int64_t b)
{
    const tk_action t = p->action[a];
    p->action[a] = p->action[b];
    p->action[b] = t;
}

static void lose_one(tk_schedule *s)
{
    s->stage[1].n--;
}

static void say_one_twice(tk_schedule *s)
{
    s->stage[0].action[1] = s->stage[0].action[0];
}

static void name_what_is_not_there(tk_schedule *s)
{
    s->stage[0].action[1].micro = s->micro;
}

static void name_a_chunk_that_is_not_there(tk_schedule *s)
{
    s->stage[0].action[1].chunk = -1;
}

static void split_one_half(tk_schedule *s)
{
    tk_stage_plan *p = &s->stage[1];
    p->action[p->n - 1].kind = TK_ACT_INPUTS;
}

static void split_beside_the_whole(tk_schedule *s)
{
    tk_stage_plan *p = &s->stage[1];
    p->action[p->n] = p->action[p->n - 1];
    p->action[p->n++].kind = TK_ACT_WEIGHTS;
}

static void go_back_before_forward(tk_schedule *s)
{
    swap(&s->stage[1], 0, 1); // the last stage: F0 B0 ...
}

// Stage 0 begins with the second microbatch, the first is needed by stage 1 to send anything back.
static void wait_for_each_other(tk_schedule *s)
{
    tk_stage_plan *p = &s->stage[0]; // F0 F1 B0 F2 ...
    swap(p, 0, 2);
}

static void all_forwards_first(tk_schedule *s)
{
    for (int i = 0; i < s->stages; i++) {
        tk_stage_plan *p = &s->stage[i];
        for (int64_t m = 0; m < s->micro; m++) {
            p->action[m] = (tk_action){TK_ACT_FORWARD, 0, m};
            p->action[s->micro + m] = (tk_action){TK_ACT_BACKWARD, 0, m};
        }
    }
}

// Enough memory, but stage 1 wants to be rid of gradients while stage 0 goes on sending rows.
static void nobody_listens(tk_schedule *s)
{
    tk_stage_plan *p = &s->stage[0];
    for (int64_t m = 0; m < s->micro; m++) {
        p->action[m] = (tk_action){TK_ACT_FORWARD, 0, m};
        p->action[s->micro + m] = (tk_action){TK_ACT_BACKWARD, 0, m};
    }
    p->most = s->micro;
}

static void put_weights_before_inputs(tk_schedule *s)
{
    tk_stage_plan *p = &s->stage[0];
    for (int64_t k = 0; k + 1 < p->n; k++)
        if (p->action[k].kind == TK_ACT_INPUTS) {
            swap(p, k, k + 1);
            return;
        }
}

static void test_schedule__broken_ones_are_refused(void **state)
{
    static const struct {
        tk_schedule_kind kind;
        void (*breaks)(tk_schedule *);
        const char *words;
    } cases[] = {
        {TK_SCHEDULE_1F1B, lose_one, "stage 1: backward of microbatch 5, chunk 0 is missing"},
        {TK_SCHEDULE_1F1B, say_one_twice,
         "stage 0: forward of microbatch 0, chunk 0 is there twice"},
        {TK_SCHEDULE_1F1B, name_what_is_not_there,
         "forward of microbatch 6, chunk 0 does not exist"},
        {TK_SCHEDULE_1F1B, name_a_chunk_that_is_not_there, "does not exist"},
        {TK_SCHEDULE_1F1B, split_one_half,
         "backward for weights of microbatch 5, chunk 0 is missing"},
        {TK_SCHEDULE_1F1B, split_beside_the_whole, "is there whole and in halves"},
        {TK_SCHEDULE_1F1B, go_back_before_forward, "waits for what comes later"},
        {TK_SCHEDULE_1F1B, wait_for_each_other, "waits for what comes later"},
        {TK_SCHEDULE_1F1B, all_forwards_first, "holds more than the stage's bound"},
        {TK_SCHEDULE_1F1B, nobody_listens, "waits in a circle of sends"},
        {TK_SCHEDULE_ZB_H1, lose_one, "backward for weights of microbatch 5, chunk 0 is missing"},
        {TK_SCHEDULE_ZB_H1, put_weights_before_inputs, "waits for what comes later"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tk_schedule s;
        tk_replay r;
        assert_ok(tk_schedule_make(&s, cases[i].kind, 2, 1, 6));
        cases[i].breaks(&s);
        fails(tk_schedule_replay(&s, &(tk_replay_costs){0}, &r), TK_INTERNAL, cases[i].words);
        tk_schedule_free(&s);
    }
}

// ---- messages ----------------------------------------------------------------------------------

// What a list must hold: every result for another stage and every input from one, once, each asked
// for when it is there and before it is used, and not too long before.
static void check_list(const tk_schedule *s, int stage, const tk_message_list *l)
{
    const tk_stage_plan *p = &s->stage[stage];
    int64_t wanted = 0, found = 0;
    for (int64_t k = 0; k < p->n; k++) {
        const tk_action *a = &p->action[k];
        int to = stage, from = stage;
        tk_action fed;
        tk_schedule_feeds(s, stage, a, &to, &fed);
        tk_schedule_waits(s, stage, a, &from);
        wanted += (to != stage) + (from != stage);
        for (int64_t i = 0; i < l->n; i++) {
            const tk_message *m = &l->message[i];
            if (memcmp(&m->action, a, sizeof *a) != 0) continue;
            found++;
            assert_int_equal(m->peer, m->sends ? to : from);
            if (m->sends) assert_int_equal(m->at, k + 1);
            if (!m->sends) assert_true(m->at <= k);
        }
    }
    assert_int_equal(found, wanted);
    assert_int_equal(l->n, wanted);
    for (int64_t i = 0; i < l->n; i++) {
        if (i) assert_true(l->message[i].at >= l->message[i - 1].at);
        if (!l->message[i].sends || i + 1 == l->n) assert_true(l->message[i].ends);
        if (!l->message[i].ends)
            assert_int_equal(tk_message_is_forward(&l->message[i]),
                             tk_message_is_forward(&l->message[i + 1]));
    }
}

static void test_messages__every_schedule(void **state)
{
    static const int sizes[][2] = {{1, 1}, {2, 1}, {2, 7},  {3, 5},
                                   {4, 4}, {4, 9}, {7, 20}, {8, 32}};
    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int kind = 0; kind <= TK_SCHEDULE_FORWARD; kind++)
            for (int v = 1;
                 v <= (kind == TK_SCHEDULE_1F1B || kind == TK_SCHEDULE_ZB_H1 ? 1 : MOST_CHUNKS);
                 v++) {
                tk_schedule s;
                tk_message_list *lists;
                assert_ok(
                    tk_schedule_make(&s, (tk_schedule_kind)kind, sizes[k][0], v, sizes[k][1]));
                assert_ok(tk_messages_make(&s, &lists));
                for (int i = 0; i < s.stages; i++) check_list(&s, i, &lists[i]);
                for (int alone = 0; alone < 2; alone++)
                    assert_ok(tk_messages_check(&s, lists, alone));
                tk_schedule_free(&s);
            }
}

// A stage hands on what it has made while the next of the same kind comes in.
static void test_messages__pair_up(void **state)
{
    tk_schedule s;
    tk_message_list *lists;
    int pairs[2] = {0, 0};
    (void)state;
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_INTERLEAVED, 4, 2, 8));
    assert_ok(tk_messages_make(&s, &lists));
    for (int64_t i = 0; i + 1 < lists[1].n; i++) {
        const tk_message *m = &lists[1].message[i];
        if (m[0].sends && !m[0].ends && !m[1].sends) pairs[tk_message_is_forward(m)]++;
    }
    assert_in_range(pairs[0], 6, 16);
    assert_in_range(pairs[1], 6, 16);
    tk_schedule_free(&s);
}

static void exchange(tk_message_list *l, int64_t a, int64_t b)
{
    const tk_message t = l->message[a];
    l->message[a] = l->message[b];
    l->message[b] = t;
    l->message[a].at = l->message[b].at = t.at < l->message[a].at ? t.at : l->message[a].at;
}

// Each stage takes first what the other sends last.
static void test_messages__in_a_circle(void **state)
{
    tk_schedule s;
    tk_message_list *lists;
    (void)state;
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_INTERLEAVED, 2, 2, 6));
    assert_ok(tk_messages_make(&s, &lists));
    for (int64_t i = 0; i + 1 < lists[0].n; i++) { // what comes back before the rows it is made of
        const tk_message *next = &lists[0].message[i + 1];
        if (next->sends || !tk_message_is_forward(next)) continue;
        for (; i > 0; i--) exchange(&lists[0], i, i + 1);
        exchange(&lists[0], 0, 1);
        break;
    }
    assert_false(lists[0].message[0].sends);
    for (int64_t i = 0; i < lists[0].n; i++) lists[0].message[i].ends = true;
    fails(tk_messages_check(&s, lists, false), TK_INTERNAL,
          "waits in a circle of groups of messages");
    tk_schedule_free(&s);
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_1F1B, 2, 1, 6));
    assert_ok(tk_messages_make(&s, &lists));
    lists[1].n--; // nobody takes the last rows, or sends the last gradient
    fails(tk_messages_check(&s, lists, false), TK_INTERNAL, "schedule: stage 0: ");
    tk_schedule_free(&s);
}

// What goes from stage to stage takes its time beside the work: once there, once back.
static void test_schedule__messages_take_time(void **state)
{
    tk_schedule s;
    tk_replay r;
    (void)state;
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_1F1B, 3, 1, 1));
    assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){.message = 0.5}, &r));
    assert_near(r.makespan, 3 * (1 + 2) + 4 * 0.5, 1e-12);
    assert_near(r.bubble, 1 - 9 / (3 * 11.0), 1e-12);
    tk_schedule_free(&s);
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_INTERLEAVED, 1, 2, 1)); // within a stage none goes
    assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){.message = 0.5}, &r));
    assert_near(r.makespan, 6, 1e-12);
    tk_schedule_free(&s);
}

// A stage that lets its messages move alone does nothing until they have. Worked out by hand for
// two microbatches on two stages: receives being asked for two actions ahead, the second one waits
// for both rows before its first forward, the first one for both gradients before its first
// backward: 2 forwards, 2 messages; forward, backward, message, forward, backward, message; 2
// backwards.
static void test_schedule__messages_move_alone(void **state)
{
    tk_schedule s;
    tk_replay beside, alone;
    (void)state;
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_1F1B, 3, 1, 1)); // nothing else could be done
    assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){NULL, 0.5, true}, &alone));
    assert_near(alone.makespan, 3 * (1 + 2) + 4 * 0.5, 1e-12);
    tk_schedule_free(&s);
    assert_ok(tk_schedule_make(&s, TK_SCHEDULE_1F1B, 2, 1, 2));
    assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){NULL, 0.5, false}, &beside));
    assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){NULL, 0.5, true}, &alone));
    assert_near(beside.makespan, 10, 1e-12);
    assert_near(alone.makespan, (2 + 1) + (3 + 0.5 + 3 + 0.5) + 4, 1e-12);
    tk_schedule_free(&s);
    for (int kind = 0; kind < 3; kind++) {
        const int chunks = kind == TK_SCHEDULE_INTERLEAVED ? 2 : 1;
        assert_ok(tk_schedule_make(&s, (tk_schedule_kind)kind, 4, chunks, 8));
        assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){NULL, 0.5, false}, &beside));
        assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){NULL, 0.5, true}, &alone));
        assert_true(alone.makespan > beside.makespan && alone.bubble > beside.bubble);
        tk_schedule_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule__one_forward_one_backward),
        cmocka_unit_test(test_schedule__interleaved),
        cmocka_unit_test(test_schedule__zero_bubble),
        cmocka_unit_test(test_schedule__nothing_to_do),
        cmocka_unit_test(test_schedule__forward_only),
        cmocka_unit_test(test_schedule__given_costs),
        cmocka_unit_test(test_schedule__too_many_chunks),
        cmocka_unit_test(test_schedule__broken_ones_are_refused),
        cmocka_unit_test(test_messages__every_schedule),
        cmocka_unit_test(test_messages__pair_up),
        cmocka_unit_test(test_messages__in_a_circle),
        cmocka_unit_test(test_schedule__messages_take_time),
        cmocka_unit_test(test_schedule__messages_move_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
