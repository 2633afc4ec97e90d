// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 180 */
// talkie sample as a person uses it: clips appear whole, finished ones are skipped, bad storyboards
// get one clear message.
#include "data/clip/clip.h"
#include "data/media/media.h"
#include "infer/output/jobs.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool exists(const char *name)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", runs_dir(), name);
    return stat(path, &st) == 0 && st.st_size > 0;
}

static void assert_clip(const char *name, bool there)
{
    static const char *const suffix[] = {"mp4", "png", "json"};
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s.%s", name, suffix[i]);
        if (exists(path) != there) fail_msg("%s is%s there", path, there ? " not" : "");
    }
}

#define TWO_SHOTS                                  \
    "shots:\n"                                     \
    "  - {seconds: 1, prompt: \"wide: a ball\"}\n" \
    "  - {seconds: 0.9, prompt: \"close: it\"}\n"

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.steps=2"), 0, "");
    runs_write("two.yaml", "checkpoint: run\n" TWO_SHOTS);
    return 0;
}

static void a_clip_appears_once(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "sample two.yaml sample.steps=2"), 0, "clips/two.mp4");
    assert_true(runs_said("shots[1] is 1 seconds long, not 0.9"));
    assert_clip("clips/two", true);
    runs_do("test -z \"$(ls -A clips | grep -v '^two')\""); // nothing half made beside them
    tk_media m;
    tk_media_origin origin;
    char path[4096];
    snprintf(path, sizeof path, "%s/clips/two.mp4", runs_dir());
    const tk_media_config want = {
        .width = 32, .height = 24, .fps = 4, .sample_rate = 4000, .channels = 1};
    assert_ok(tk_media_read(path, &want, 10, 1, &m, &origin));
    assert_int_equal(m.frames, 8);
    assert_true(origin.has_audio);
    tk_media_free(&m);
    // Again: nothing to do, unless asked for something else or the file is gone.
    runs_expect(runs_talkie(2, "sample two.yaml sample.steps=2"), 0, "finished already");
    runs_expect(runs_talkie(1, "sample two.yaml sample.steps=2 seed=5"), 0, "in all");
    assert_false(runs_said("finished already"));
    runs_do("rm clips/two.png");
    runs_expect(runs_talkie(1, "sample two.yaml sample.steps=2 seed=5"), 0, "in all");
    assert_clip("clips/two", true);
}

static void job_files_are_spread_and_resumed(void **state)
{
    (void)state;
    runs_write("a.yaml", TWO_SHOTS "seed: 1\n");
    runs_write("b.yaml", TWO_SHOTS "seed: 2\noutput: clips/other\n");
    runs_write("c.yaml", TWO_SHOTS "references: [gone.png]\n");
    runs_write("jobs.yaml", "checkpoint: run\nsample: {steps: 2}\nstoryboards: [a.yaml, b.yaml]\n");
    runs_expect(runs_talkie(2, "sample jobs.yaml"), 0, "2 clips made, 0 finished before");
    assert_true(runs_said("data 2"));
    assert_clip("clips/a", true);
    assert_clip("clips/other", true);
    runs_do("rm clips/a.json");
    runs_expect(runs_talkie(2, "sample jobs.yaml"), 0, "1 clips made, 1 finished before");
    runs_write("jobs.yaml", "checkpoint: run\nsample: {steps: 2}\nstoryboards: [a.yaml, a.yaml]\n");
    runs_expect(runs_talkie(1, "sample jobs.yaml"), 2, "both go to clips/a");
    runs_write("jobs.yaml", "checkpoint: run\nsample: {steps: 2}\nstoryboards: [a.yaml, c.yaml]\n");
    runs_expect(runs_talkie(1, "sample jobs.yaml"), 2, "gone.png");
}

static void longer_than_the_window(void **state)
{
    (void)state;
    runs_expect(runs_talkie(2, "sample two.yaml sample.steps=2 sample.window=1 output=clips/long "
                               "parallel.pipeline=2"),
                0, "2 windows");
    assert_true(runs_said("memory of 1 windows") && runs_said("1 nothing"));
    assert_clip("clips/long", true);
    // What each window was given is told, and lies with the clip.
    runs_write("named.yaml", "checkpoint: run\nsample: {steps: 2, window: 2}\nshots:\n"
                             "  - {seconds: 1, prompt: Ada sits}\n"
                             "  - {seconds: 1, prompt: Bo comes, remember: []}\n"
                             "  - {seconds: 0.5, prompt: Ada waves}\n"
                             "  - {seconds: 1, prompt: Bo goes, remember: [1]}\n");
    runs_expect(runs_talkie(2, "sample named.yaml log.level=verbose parallel.tensor=2"), 0,
                "shots[1] is given no memory");
    assert_true(runs_said("shots[2] is given 1 (one of the last)"));
    assert_true(runs_said("shots[3] is given 1 (asked for)"));
    runs_do("tr -d ' \\n' <clips/named.json | grep -qF "
            "'\"windows\":[{\"shots\":[0],\"memory\":[]},{\"shots\":[1],\"memory\":[]},"
            "{\"shots\":[2],\"memory\":[{\"shot\":1,\"why\":\"oneofthelast\"}]},"
            "{\"shots\":[3],\"memory\":[{\"shot\":1,\"why\":\"askedfor\"}]}]'");
}

static void bad_storyboards_are_named(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "shots"},
        {"shots: []\n", "shots"},
        {"shots: 3\n", "shots"},
        {"shots: [{prompt: x}]\n", "seconds"},
        {"shots: [{seconds: 1}]\n", "prompt"},
        {"shots: [{seconds: 0, prompt: x}]\n", "seconds"},
        {"shots: [{seconds: -1, prompt: x}]\n", "seconds"},
        {"shots: [{seconds: 1e300, prompt: x}]\n", "seconds"},
        {"shots: [{seconds: .nan, prompt: x}]\n", "seconds"},
        {"shots: [{seconds: .inf, prompt: x}]\n", "seconds"},
        {"shots: [{seconds: 1, promt: x}]\n", "shots[0].prompt"},
        {"shots: [{seconds: 99, prompt: x}]\n", "longest"},
        {"shots: [{seconds: 1, prompt: x, remember: [0]}]\n", "remember"},
        {TWO_SHOTS "  - {seconds: 1, prompt: x, remember: [1, 0]}\nsample: {window: 2.9}\n",
         "leave some out"},
        {TWO_SHOTS "size: [0, 24]\n", "size"},
        {TWO_SHOTS "size: [-32, 24]\n", "size"},
        {TWO_SHOTS "size: [33, 24]\n", "size"},
        {TWO_SHOTS "size: [99999999, 24]\n", "size"},
        {TWO_SHOTS "fps: 0.5\n", "fps"},
        {TWO_SHOTS "fps: 30\n", "fps"},
        {TWO_SHOTS "seed: -1\n", "seed"},
        {TWO_SHOTS "sample: {steps: 0}\n", "sample.steps"},
        {TWO_SHOTS "sample: {steps: 1000000000000}\n", "sample.steps"},
        {TWO_SHOTS "sample: {window: 0.01}\n", "sample.window"},
        {TWO_SHOTS "references: [nowhere.mp4]\n", "nowhere.mp4"},
        {TWO_SHOTS "output: clips/\n", "output"},
        {TWO_SHOTS "storyboards: [two.yaml]\n", "storyboards"},
        {TWO_SHOTS "chekpoint: x\n", "checkpoint"},
        {TWO_SHOTS "output: run/\n", "folder"},
        {"storyboards: [nowhere.yaml]\n", "nowhere.yaml"},
        {"storyboards: [bad.yaml]\n", "bad.yaml is a list too"},
    };
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(runs_dir()), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[1024];
        tk_jobs jobs;
        snprintf(text, sizeof text, "checkpoint: run\n%s", bad[i].text);
        runs_write("bad.yaml", text);
        const tk_status st = tk_jobs_open(&jobs, tk_comm_self(), "bad.yaml", 0, NULL);
        if (st != TK_INPUT || !strstr(tk_status_message(), bad[i].words))
            fail_msg("%s gave %d: %s", text, (int)st, tk_status_message());
    }
    assert_int_equal(chdir(here), 0);
    runs_write("bad.yaml", "checkpoint: run\n" TWO_SHOTS "size: [33, 24]\n");
    runs_expect(runs_talkie(2, "sample bad.yaml"), 2, "32x24");
    runs_write("bad.yaml", "checkpoint: run\n" TWO_SHOTS "references: [tiny.yaml]\n");
    runs_expect(runs_talkie(2, "sample bad.yaml"), 2, "tiny.yaml");
    assert_clip("clips/bad", false);
}

static void bad_calls_are_named(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "sample"), 2, "usage");
    runs_expect(runs_talkie(1, "sample clips.h5"), 2, "clips.h5");
    runs_expect(runs_talkie(2, "sample two.yaml checkpoint=nowhere"), 2, "nowhere");
    runs_expect(runs_talkie(2, "sample two.yaml parallel.tensor=3"), 2, "3");
    runs_expect(runs_talkie(1, "sample two.yaml output=tiny.yaml/x seed=77"), 2, "tiny.yaml");
    runs_expect(runs_talkie(1, "eval nowhere"), 2, "nowhere");
    runs_expect(runs_talkie(1, "sample --help"), 0, "sample.guidance");
}

// Found before the weights are read: a run that finds out later has sampled for nothing.
static void refused_early(const char *words, const char *arguments)
{
    runs_expect(runs_talkie(1, "%s", arguments), 2, words);
    if (runs_said("at step")) fail_msg("%s: found only after the model was opened", arguments);
}

static void outputs_are_checked_before_any_work(void **state)
{
    (void)state;
    char here[4096], text[8192];
    runs_do("mkdir -p taken.mp4 clips && echo my film >mine.mp4 && echo '{}' >mine.json");
    assert_non_null(getcwd(here, sizeof here));
    snprintf(text, sizeof text, "cp '%s/tests/media/big-buck-bunny.mp4' film.mp4", here);
    runs_do(text);
    runs_do("cp film.mp4 before.mp4");
    runs_do("ln -s film.mp4 soft.mp4; ln film.mp4 hard.mp4; mkfifo pipe.png");
    runs_write("from.yaml", "checkpoint: run\nreferences: [film.mp4]\n" TWO_SHOTS);
    runs_write("pipe.yaml", "checkpoint: run\nreferences: [pipe.png]\n" TWO_SHOTS);
    runs_write("zero.yaml", "checkpoint: run\nreferences: [/dev/zero]\n" TWO_SHOTS);
    refused_early("is a folder", "sample two.yaml -o taken");
    refused_early("not a clip of talkie's", "sample two.yaml -o mine");
    refused_early("not a clip of talkie's", "sample two.yaml -o ./mine.mp4");
    refused_early("not writable", "sample two.yaml -o /sys/kernel/x");
    refused_early("is a file that from.yaml writes", "sample from.yaml -o ./film");
    refused_early("is a file that from.yaml writes", "sample from.yaml -o soft");
    refused_early("is a file that from.yaml writes", "sample from.yaml -o hard.mp4");
    refused_early("is a pipe", "sample pipe.yaml -o x");
    refused_early("is a device", "sample zero.yaml -o x");
    refused_early("is a pipe", "sample pipe.png -o x");
    snprintf(text, sizeof text, "sample two.yaml -o %0300d", 0);
    refused_early("too long", text);
    snprintf(text, sizeof text, "eval run eval.clips=1 -o %0300d", 0);
    refused_early("too long", text);
    refused_early("is a folder", "eval run eval.clips=1 -o taken.mp4");
    refused_early("not a report", "eval run eval.clips=1 -o mine.json");
    refused_early("folder is not there", "eval run eval.clips=1 -o nowhere/x.json");
    runs_do("cmp film.mp4 before.mp4 && grep -q film mine.mp4 && test -p pipe.png");
}

// Rows for all of a clip.
static tk_latents_whole rows_of(const tk_job *job)
{
    const tk_codec_info *k = tk_codec_get_info(job->trained->meta.codec);
    const tk_grid *g = &job->story.grid;
    return tk_latents_whole_of(
        calloc((size_t)(g->video_rows * k->video_channels), sizeof(float)),
        calloc((size_t)(g->audio_rows * k->channels * k->audio_channels), sizeof(float)));
}

// A spool's user may put another file in the place of one that was looked at.
static void what_a_job_cites_is_held(void **state)
{
    (void)state;
    char here[4096], picture[] = "P6\n2 2\n255\nabcabcabcabc", x[4] = "";
    char *options[] = {"output=clips/held"};
    const int64_t uid = getuid();
    int fd;
    tk_jobs jobs;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(runs_dir()), 0);
    runs_write("given.ppm", picture);
    runs_write("held.yaml", "checkpoint: run\n" TWO_SHOTS "references: [given.ppm]\n");
    assert_ok(tk_jobs_open_for(&jobs, tk_comm_self(), "held.yaml", NULL, &uid, 1, options));
    picture[1] = '5';
    runs_write("given.ppm", picture);
    assert_ok(tk_file_open("given.ppm", &fd, NULL));
    assert_ok(tk_pread_all(fd, "given.ppm", x, 2, 0));
    assert_string_equal(x, "P6");
    close(fd);
    tk_jobs_close(&jobs);
    tk_file_let_go();
    assert_int_equal(chdir(here), 0);
}

// A full disk: no clip under its final name; an older one that was there stays, and is whole.
static void a_full_disk_leaves_what_was_there(void **state)
{
    bool done;
    (void)state;
    char here[4096];
    tk_jobs jobs;
    const tk_references none = {0};
    const tk_parallel_config alone = {.tensor = 1, .pipeline = 1, .data = 1, .threads = 1};
    const struct rlimit little = {2048, RLIM_INFINITY}, any = {RLIM_INFINITY, RLIM_INFINITY};
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(runs_dir()), 0);
    assert_ok(tk_jobs_open(&jobs, tk_comm_self(), "two.yaml", 1, (char *[]){"output=clips/full"}));
    const tk_job *job = &jobs.job[0];
    tk_latents_whole latents = rows_of(job);
    tk_provenance p = {.storyboard = "two.yaml",
                       .output = job->output,
                       .told = job->output,
                       .digest = job->digest.clip,
                       .config = &job->config,
                       .story = &job->story,
                       .refs = &none,
                       .remix = &job->remix,
                       .latents = &latents.source,
                       .cut = &job->cut,
                       .trained = job->trained,
                       .layout = &alone};
    tk_media clip = tk_grid_media(tk_codec_get_info(job->trained->meta.codec), &job->story.grid);
    assert_ok(tk_media_alloc(&clip));
    tk_media_whole whole = tk_media_whole_of(&clip);
    assert_ok(tk_output_write(&p, &whole.source));
    assert_clip("clips/full", true);
    assert_ok(tk_output_finished(job->output, job->digest.clip, &done));
    assert_true(done);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    const tk_status again = tk_output_write(&p, &whole.source);
    p.output = "clips/fresh";
    const tk_status fresh = tk_output_write(&p, &whole.source);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &any), 0);
    assert_status(again, TK_IO);
    assert_status(fresh, TK_IO);
    assert_clip("clips/full", true);
    assert_ok(tk_output_finished(job->output, job->digest.clip, &done));
    assert_true(done);
    assert_clip("clips/fresh", false);
    runs_do("test -z \"$(ls -A clips | grep '^\\.\\|tmp\\|part')\"");
    tk_media_free(&clip);
    for (int k = 0; k < TK_CODEC_SIDES; k++) free((float *)latents.rows[k]);
    tk_jobs_close(&jobs);
    assert_int_equal(chdir(here), 0);
}

// A storyboard of a world clip's shots has the very rows its clip file has.
static void documents_are_those_of_training(void **state)
{
    (void)state;
    char path[4096];
    tk_clips clips;
    tk_arena a;
    tk_arena_init(&a, 0);
    snprintf(path, sizeof path, "%s/clips.h5", runs_dir());
    assert_ok(tk_clips_open(path, NULL, &clips));
    for (int64_t i = 0; i < clips.n; i++) {
        const tk_clip_info *info = &clips.clip[i];
        tk_shot_config shots[8];
        tk_config c;
        tk_story s;
        tk_config_init(&c);
        c.media.width = 32, c.media.height = 24;
        c.sample.window = 2;
        c.story.shots = shots;
        c.story.n_shots = info->n_shots;
        for (int k = 0; k < info->n_shots; k++)
            shots[k] =
                (tk_shot_config){.seconds = info->shot[k].seconds, .prompt = info->shot[k].caption};
        assert_ok(tk_story_plan(&c, clips.codec, &a, &s));
        assert_int_equal(s.n_windows, 1);
        assert_int_equal(s.grid.audio_rows, clips.bucket[info->bucket].audio_rows);
        for (int k = 0; k < info->n_shots; k++) {
            const bool last = k + 1 == info->n_shots;
            assert_int_equal(s.shot[k].latents, info->shot[k].latent_frames);
            assert_int_equal(s.shot[k].audio_rows + (last ? s.tail : 0), info->shot[k].audio_rows);
            assert_near(s.shot[k].start, info->shot[k].start, 1e-9);
            assert_string_equal(s.shot[k].caption, info->shot[k].caption);
        }
        tk_config_free(&c);
    }
    tk_clips_close(&clips);
    tk_arena_free(&a);
}

static void eval_prints_its_columns(void **state)
{
    (void)state;
    runs_expect(runs_talkie(2, "eval run eval.clips=3 sample.steps=2"), 0, "ceiling");
    assert_true(runs_said("truth") && runs_said("floor"));
    assert_true(runs_said("size: how near the camera is"));
    assert_true(exists("run/eval.json"));
    assert_true(exists("run/eval-best-1.png") && exists("run/eval-worst-1.png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clip_appears_once),
        cmocka_unit_test(job_files_are_spread_and_resumed),
        cmocka_unit_test(longer_than_the_window),
        cmocka_unit_test(bad_storyboards_are_named),
        cmocka_unit_test(bad_calls_are_named),
        cmocka_unit_test(outputs_are_checked_before_any_work),
        cmocka_unit_test(what_a_job_cites_is_held),
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
        cmocka_unit_test(documents_are_those_of_training),
        cmocka_unit_test(eval_prints_its_columns),
    };
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
