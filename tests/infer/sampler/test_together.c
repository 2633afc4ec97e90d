// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 4; timeout: 120; cuda: too */
// Storyboards that share a stream: one to eight of them, with texts of different lengths, seeds of
// their own and windows of different sizes, filled up as others finish, each bit for bit what it is
// alone, on a GPU but for rounding. What cannot be with another is made alone. What a round takes
// of the device is what was forecast, of any length in the memory of a window. Stages of a pipeline
// have several under way: none waits until a step is through with all.
#include "infer/story/forecast.h"
#include "infer/story/story.h"
#include "parallel/mpi/comm.h"
#include "parallel/mpi/start.h"
#include "tests/support/deferred.h"
#include "tests/support/stories.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8, MOST_ON_GPU = 3 };
static const int SIDE[TK_MODALITIES] = {[TK_VIDEO] = TK_CODEC_VIDEO, [TK_AUDIO] = TK_CODEC_AUDIO};

typedef struct board { // a storyboard of the test
    tk_config config;
    tk_story story;
    tk_story_task task;
    tk_reel_memory reel;
    tk_latents alone;
    int window;
} board;

static tk_comm world;
static char dir[256], path[512], picture[512];
static tk_arena arena;
static tk_config config;
static tk_story story;
static tk_parallel_config parallel;
static tk_mesh mesh;
static tk_trained trained;
static tk_session session;
static tk_references refs;
static board boards[MOST];
static bool holds;
static int most = MOST; // of boards

// The same shots in few words, of different lengths. Without guidance: then there are so few rows
// of text that the products of one alone are those that the library makes in another way.
static void vary(board *b, int i)
{
    b->config = config;
    b->story = story;
    b->config.story.seed = 100 + 7 * i;
    b->config.sample.guidance = 1;
    b->story.shot = tk_arena_alloc(&arena, (size_t)story.n_shots * sizeof *story.shot);
    assert_non_null(b->story.shot);
    memcpy(b->story.shot, story.shot, (size_t)story.n_shots * sizeof *story.shot);
    tk_shot_config *asked = tk_arena_alloc(&arena, (size_t)story.n_shots * sizeof *asked);
    assert_non_null(asked);
    memcpy(asked, config.story.shots, (size_t)story.n_shots * sizeof *asked);
    for (int k = 0; k < story.n_shots; k++) {
        asked[k].prompt = tk_arena_printf(&arena, "%.*s", 1 + (i + k) % 5, "a ball");
        b->story.shot[k].caption = asked[k].prompt;
    }
    b->config.story.shots = asked;
    b->task = (tk_story_task){.config = &b->config, .story = &b->story, .refs = &refs};
}

static int set_up(void **state)
{
    (void)state;
    parallel = (tk_parallel_config){.device = tested_is_cuda() ? TK_DEVICE_CUDA : TK_DEVICE_CPU,
                                    .share_gpu = 1,
                                    .tensor = 1,
                                    .pipeline = world.size,
                                    .threads = 1};
    if (tested_is_cuda()) most = MOST_ON_GPU;
    tk_arena_init(&arena, 0);
    snprintf(dir, sizeof dir, "/tmp/talkie-together-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return -1;
    assert_ok(tk_comm_broadcast(&world, dir, sizeof dir, 0));
    snprintf(path, sizeof path, "%s/model.h5", dir);
    snprintf(picture, sizeof picture, "%s/reference.ppm", dir);
    stories_save_model(&world, path, true, "all");
    stories_plan(&world, picture, &arena, &config, &story);
    assert_ok(tk_trained_open(path, "", &world, &arena, &trained));
    assert_ok(tk_mesh_open(&mesh, &world, &parallel, TK_AXIS_TENSOR));
    assert_ok(tk_session_open(&session, &mesh, &trained, &parallel, true));
    assert_ok(tk_session_load(&session));
    const tk_story_given_ranks ranks = {tk_comm_self(), NULL};
    assert_ok(tk_references_read(&config, &story, trained.meta.codec, "", &ranks, &arena, &refs));
    holds = mesh.axis[TK_AXIS_PIPELINE].rank == 0;
    for (int i = 0; i < most; i++) {
        vary(&boards[i], i);
        assert_ok(tk_story_sample(&session, &boards[i].task, &arena, &boards[i].alone));
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tk_session_close(&session);
    tk_trained_close(&trained);
    tk_mesh_close(&mesh);
    assert_ok(tk_comm_barrier(&world));
    if (world.rank == 0) {
        unlink(path), unlink(picture);
        rmdir(dir);
    }
    tk_config_free(&config);
    tk_arena_free(&arena);
    return 0;
}

static void begin(board *b)
{
    tk_reel_shape shape;
    assert_ok(tk_story_reel(&b->story, tk_codec_get_info(trained.meta.codec), &arena, &shape));
    b->reel = (tk_reel_memory){0};
    assert_ok(tk_reel_in_memory(&shape, holds, &arena, &b->reel));
    b->window = 0;
}

// How far they are from each other, beside what they are.
static double distance(const float *x, const float *y, int64_t n)
{
    double far = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        const double e = (double)x[i] - (double)y[i];
        far += e * e, all += (double)y[i] * (double)y[i];
    }
    return sqrt(far / all);
}

static void assert_as_alone(const board *b, int n, int i)
{
    for (int m = 0; m < TK_MODALITIES && holds; m++) {
        if (m == TK_TEXT) continue;
        const float *x = b->reel.rows[SIDE[m]], *y = b->alone.rows[m];
        const int64_t numbers = stories_numbers(&b->story, m);
        if (tested_is_cuda() ? !(distance(x, y, numbers) <= 1e-5)
                             : memcmp(x, y, (size_t)numbers * sizeof *x) != 0)
            fail_msg("storyboard %d of %d at once is another one than alone", i, n);
    }
}

// Makes the next windows of those that are at work; which of them were made in one stream.
static int make_round(int n, board *const *at, bool *taken)
{
    tk_story_part part[MOST] = {{0}};
    int made = 0;
    for (int i = 0; i < n; i++)
        part[i] = (tk_story_part){&at[i]->task, at[i]->window, &at[i]->reel.reel};
    assert_ok(tk_story_make_together(&session, n, part, taken));
    for (int i = 0; i < n; i++) {
        at[i]->window += taken[i];
        made += taken[i];
    }
    return made;
}

// All n of them, in one round after the other.
static void make_all(int n)
{
    board *at[MOST];
    bool taken[MOST];
    for (int i = 0; i < n; i++) begin(at[i] = &boards[i]);
    for (int k = 0; k < story.n_windows; k++) assert_int_equal(make_round(n, at, taken), n);
}

static void each_is_what_it_is_alone(void **state)
{
    (void)state;
    for (int n = 1; n <= most; n++) {
        make_all(n);
        for (int i = 0; i < n; i++) assert_as_alone(&boards[i], n, i);
    }
}

// One more begins each round, and takes the place of who has finished: windows of other sizes meet.
static void others_fill_up_what_finishes(void **state)
{
    enum { PLACES = 3 };
    const int places = most < MOST ? 2 : PLACES;
    board *at[PLACES];
    bool taken[PLACES];
    int n = 0, next = 0, finished = 0, mixed = 0;
    (void)state;
    while (finished < most) {
        if (n < places && next < most) begin(at[n++] = &boards[next++]);
        for (int i = 1; i < n; i++) mixed += at[i]->window != at[0]->window;
        assert_int_equal(make_round(n, at, taken), n);
        for (int i = 0; i < n; i++) {
            if (at[i]->window < at[i]->story.n_windows) continue;
            assert_as_alone(at[i], places, finished++);
            at[i--] = at[--n];
        }
    }
    assert_true(mixed > (most < MOST ? 0 : 3));
}

static void what_goes_by_another_schedule_waits(void **state)
{
    board *at[3] = {&boards[0], &boards[1], &boards[2]};
    bool taken[3];
    (void)state;
    for (int i = 0; i < 3; i++) begin(at[i]);
    boards[1].config.sample.steps += 1;
    assert_int_equal(make_round(3, at, taken), 2);
    assert_true(taken[0] && !taken[1] && taken[2]);
    boards[1].config.sample.steps -= 1;
    boards[2].config.sample.guidance = 2;
    begin(at[0]), begin(at[2]);
    assert_int_equal(make_round(3, at, taken), 2);
    assert_true(taken[0] && taken[1] && !taken[2]);
    boards[2].config.sample.guidance = 1;
}

// A session of its own, with the memory that n at once take.
static tk_session open_another(tk_mesh *fresh, tk_parallel_config *p)
{
    const tk_session before = session;
    assert_ok(tk_mesh_open(fresh, &world, p, TK_AXIS_TENSOR));
    assert_ok(tk_session_open(&session, fresh, &trained, p, true));
    return before;
}

static void close_another(tk_mesh *fresh, tk_session before)
{
    tk_session_close(&session);
    tk_mesh_close(fresh);
    session = before;
}

static void guide(double guidance)
{
    for (int i = 0; i < most; i++) {
        boards[i].config.sample.guidance = guidance;
        assert_ok(tk_story_sample(&session, &boards[i].task, &arena, &boards[i].alone));
    }
}

// Messages of several microbatches have one order on all ranks: where each of them, as it was asked
// for, blocks those behind it, no circle comes about, and nothing is read before it is there. With
// branches of guidance on ranks of their own as well.
static void devices_that_run_behind_make_the_same(void **state)
{
    (void)state;
    if (tested_is_cuda()) return;
    guide(2);
    for (int guidance = 1; guidance <= 2 && world.size % guidance == 0; guidance++)
        for (int n = 1; n <= most; n += n < 3 ? 1 : 2) {
            tk_parallel_config p = parallel;
            tk_mesh fresh;
            p.guidance = guidance;
            p.pipeline = world.size / guidance;
            const tk_session before = open_another(&fresh, &p);
            holds = fresh.axis[TK_AXIS_PIPELINE].rank == 0;
            assert_ok(tk_session_load(&session));
            deferred_start(&session.device, &fresh, (uint64_t)n - 1);
            make_all(n);
            holds = mesh.axis[TK_AXIS_PIPELINE].rank == 0; // what they are alone
            for (int i = 0; i < n; i++) assert_as_alone(&boards[i], n, i);
            assert_int_equal(deferred_faults(), 0);
            close_another(&fresh, before);
        }
    guide(1);
}

// ---- how many are under way --------------------------------------------------------------------

static struct {
    tk_kernel kernels[TK_OP_COUNT];
    MPI_Comm comm;
    int64_t calls, stop_at; // of this rank's kernels, in the first step
    bool told;              // first stage: rows have been moved
    bool heard;             // last stage
} watched;

static bool came_within(double seconds)
{
    int came = 0;
    struct timespec now, begun;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        MPI_Iprobe(0, 0, watched.comm, &came, MPI_STATUS_IGNORE);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!came && (double)(now.tv_sec - begun.tv_sec) < seconds);
    return came;
}

// In its last call of the first step the last stage waits until the first one has moved rows, which
// is work of the second step.
static tk_status watching(tk_device *d, const tk_call *c)
{
    const int stage = session.mesh->axis[TK_AXIS_PIPELINE].rank;
    if (session.sampler.steps == 1 && stage == world.size - 1 && ++watched.calls == watched.stop_at)
        watched.heard = came_within(10);
    if (stage == 0 && c->op == TK_OP_EULER && !watched.told) {
        MPI_Request sent;
        static const char word;
        watched.told = true;
        MPI_Isend(&word, 1, MPI_CHAR, world.size - 1, 0, watched.comm, &sent);
        MPI_Request_free(&sent);
    }
    return tk_device_cpu.kernels[c->op].fore(d, c);
}

static void watch(int64_t stop_at)
{
    static tk_device_ops ops;
    ops = *session.device.ops;
    for (int k = 0; k < TK_OP_COUNT; k++) {
        watched.kernels[k] = tk_device_cpu.kernels[k];
        if (watched.kernels[k].fore) watched.kernels[k].fore = watching;
    }
    ops.kernels = watched.kernels;
    session.device.ops = &ops;
    session.device.kernels = watched.kernels;
    watched.calls = 0;
    watched.stop_at = stop_at;
    watched.told = watched.heard = false;
}

static void the_next_step_begins_while_the_last_stage_is_at_this_one(void **state)
{
    (void)state;
    if (tested_is_cuda() || world.size == 1) return;
    const bool last = mesh.axis[TK_AXIS_PIPELINE].rank == world.size - 1;
    MPI_Comm_dup(MPI_COMM_WORLD, &watched.comm);
    for (int64_t stop_at = 0, k = 0; k < 2; k++) { // how many calls are there?
        tk_mesh fresh;
        const tk_session before = open_another(&fresh, &parallel);
        char word;
        assert_ok(tk_session_load(&session));
        watch(stop_at);
        make_all(world.size + 1);
        stop_at = watched.calls;
        assert_true(!last || (stop_at > 0 && watched.heard == (k == 1)));
        if (last) MPI_Recv(&word, 1, MPI_CHAR, 0, 0, watched.comm, MPI_STATUS_IGNORE);
        for (int i = 0; i <= world.size; i++) assert_as_alone(&boards[i], world.size + 1, i);
        close_another(&fresh, before);
    }
    MPI_Comm_free(&watched.comm);
}

// ---- memory ------------------------------------------------------------------------------------

static tk_status get_board(void *ctx, int64_t i, tk_arena *a, tk_config *out, const char **name)
{
    (void)ctx, (void)a;
    *out = boards[i].config;
    *name = "it";
    return TK_OK;
}

static void rounds_take_what_was_forecast(void **state)
{
    enum { AT_ONCE = 3 };
    const tk_stories all = {.n = AT_ONCE, .get = get_board, .at_once = true};
    tk_mesh fresh;
    tk_forecast planned;
    (void)state;
    const tk_session before = open_another(&fresh, &parallel);
    assert_ok(tk_stories_forecast(&all, &session, &parallel, &planned));
    assert_ok(tk_stories_take_memory(&all, &session, &parallel));
    assert_ok(tk_session_load(&session));
    make_all(AT_ONCE);
    assert_int_equal(session.device.pool.peak, planned.pool);
    close_another(&fresh, before);
}

static tk_status get_long(void *ctx, int64_t i, tk_arena *a, tk_config *out, const char **name)
{
    static char prompt[] = "a ball", sound[] = "ball.wav"; // of which nothing is read
    const int64_t *n = ctx;
    tk_shot_config *shots;
    TK_ARENA_NEW(shots, a, *n);
    for (int64_t k = 0; k < *n; k++) shots[k] = (tk_shot_config){.seconds = 0.5, .prompt = prompt};
    TK_TRY(get_board(ctx, i, a, out, name));
    out->story.shots = shots;
    out->story.n_shots = *n;
    out->story.size[0] = out->story.size[1] = 512;
    out->story.sound = sound;
    return TK_OK;
}

// Pieces of host memory that a forecast asks for.
static int64_t pieces_of(int64_t shots)
{
    const tk_stories all = {.ctx = &shots, .n = 2, .get = get_long, .at_once = true};
    const int64_t before = tk_alloc_count();
    tk_forecast planned;
    assert_ok(tk_stories_forecast(&all, &session, &parallel, &planned));
    assert_true(planned.pool > 0);
    return tk_alloc_count() - before;
}

// What is laid out of a window goes before the next is looked at.
static void a_forecast_holds_one_window(void **state)
{
    enum { SHORT = 50, LONG = 250 };
    (void)state;
    const int64_t few = pieces_of(SHORT), many = pieces_of(LONG);
    print_message("%lld pieces of memory, of %d shots more %lld more\n", (long long)few,
                  LONG - SHORT, (long long)(many - few));
    assert_true(many - few < LONG - SHORT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_what_it_is_alone),
        cmocka_unit_test(others_fill_up_what_finishes),
        cmocka_unit_test(what_goes_by_another_schedule_waits),
        cmocka_unit_test(devices_that_run_behind_make_the_same),
        cmocka_unit_test(the_next_step_begins_while_the_last_stage_is_at_this_one),
        cmocka_unit_test(rounds_take_what_was_forecast),
        cmocka_unit_test(a_forecast_holds_one_window),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    if (failed) tk_parallel_abort(1); // ranks that did not fail may be waiting
    tk_parallel_stop();
    return 0;
}
