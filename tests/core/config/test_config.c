// SPDX-License-Identifier: Apache-2.0
// The option engine: every row of the table through every consumer of it, and bad input of every
// kind, reported all at once and in the right place.
/*TEST timeout: 60 */
#include "core/config/load.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static tk_status parse(tk_config *c, unsigned command, const char *text)
{
    return tk_config_parse(c, command, "a.yaml", text, strlen(text), 0, NULL);
}

// Status of `text` alone, over defaults.
static tk_status try_text(unsigned command, const char *text)
{
    tk_config c;
    tk_config_init(&c);
    tk_status st = parse(&c, command, text);
    tk_config_free(&c);
    return st;
}

static tk_status try_override(unsigned command, const char *override)
{
    tk_config c;
    char *argv[] = {(char *) override};
    tk_config_init(&c);
    tk_status st = tk_config_load(&c, command, NULL, 1, argv);
    tk_config_free(&c);
    return st;
}

static void refused(tk_status st, const char *words)
{
    if (st != TK_INPUT) fail_msg("status %d, wanted: %s", st, words);
    assert_says(words);
}

// ---- every row ----

static void fill_struct(const tk_table *t, void *base, const char *but, tk_arena *a);

// A value that is not the default and keeps the rules between options (most double together).
static void unusual(const tk_option *o, void *base, tk_arena *a)
{
    static const char *const hard =
        "q\"\\ \n\r\t\x01\x7f: #-{[&*!|>'%@` \xc2\x85\xc2\xa0 \xe2\x80\xa8"
        "\xef\xbb\xbf\xef\xbf\xbf\xf0\x9f\x8e\xac\xf4\x8f\xbf\xbf ~ ";
    void *at = tk_option_at(o, base);
    char **list;
    switch (o->kind) {
    case TK_OPT_INT:
        *(int64_t *)at = o->idef <= 0 ? 3 : 2 * o->idef <= o->imax ? 2 * o->idef : o->idef - 1;
        break;
    case TK_OPT_BOOL:
        *(int64_t *)at = !o->idef;
        break;
    case TK_OPT_ENUM:
        *(int64_t *)at = o->idef == o->imax ? o->imin : o->imax;
        break;
    case TK_OPT_FLOAT:
        *(double *)at = o->fdef * 0.7 + 0.1 / 3;
        if (*(double *)at < o->fmin) *(double *)at = o->fmin + 1. / 3;
        if (*(double *)at > o->fmax) *(double *)at = o->fmax - 1. / 3;
        break;
    case TK_OPT_STRING:
        *(char **)at = tk_arena_printf(a, "%s%s", o->path ? "/" : "", hard);
        break;
    case TK_OPT_SIZE:
        ((int64_t *)at)[0] = 640, ((int64_t *)at)[1] = 480;
        break;
    case TK_OPT_STRINGS:
        list = tk_arena_alloc(a, 2 * sizeof *list);
        list[0] = tk_arena_strdup(a, hard);
        list[1] = tk_arena_strdup(a, "null");
        *(char ***)at = list;
        *tk_option_count_at(o, base) = 2;
        break;
    case TK_OPT_INTS: // nothing, which is not what is chosen where nothing is said
        *(int64_t **)at = tk_arena_alloc(a, sizeof(int64_t));
        *tk_option_count_at(o, base) = 0;
        break;
    case TK_OPT_ITEMS:
        *(void **)at = tk_arena_alloc(a, 2 * o->items->bytes);
        *tk_option_count_at(o, base) = 2;
        for (int64_t k = 0; k < 2; k++) fill_struct(o->items, tk_option_item(o, base, k), "", a);
        break;
    }
}

// Every option unusual, but one.
static void fill_struct(const tk_table *t, void *base, const char *but, tk_arena *a)
{
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++)
        if (strcmp(o->name, but) != 0) unusual(o, base, a);
}

static void fill(tk_config *c, bool job)
{
    tk_config_init(c);
    fill_struct(&tk_config_table, c, job ? "shots" : "storyboards", &c->arena);
    c->parallel.schedule = TK_SCHEDULE_INTERLEAVED;    // the one that takes more than one chunk
    for (int64_t k = 0; k < 2 * c->story.n_shots; k++) // the two that can be kept
        c->story.shots[k / 2].keep[k % 2] = (char *)(k % 2 ? "picture" : "sound");
}

static void test_config__dump_is_a_fixed_point(void **state)
{
    (void)state;
    for (int job = 0; job < 2; job++) {
        tk_config c, d, defaults;
        fill(&c, job);
        tk_config_init(&defaults);
        tk_config_init(&d);
        char *once = tk_config_dump(&c, 0, &c.arena);
        assert_ok(parse(&d, 0, once));
        assert_string_equal(once, tk_config_dump(&d, 0, &d.arena));
        uint64_t digest[3];
        assert_ok(tk_config_digest(&c, &digest[0]));
        assert_ok(tk_config_digest(&d, &digest[1]));
        assert_ok(tk_config_digest(&defaults, &digest[2]));
        assert_true(digest[0] == digest[1] && digest[0] != digest[2]);
        const tk_option *o; // and every row is told from its default
        for (int i = 0; (o = tk_table_row(&tk_config_table, i)); i++) {
            if (!strcmp(o->name, job ? "shots" : "storyboards")) continue;
            const char *was = tk_config_format(o, &defaults, &d.arena);
            const char *is = tk_config_format(o, &d, &d.arena);
            const bool one = o->kind == TK_OPT_ENUM && o->imin == o->imax; // there is no other
            if (!one && strcmp(was, is) == 0) fail_msg("%s stayed %s", o->name, is);
        }
        if (!job) assert_true(d.story.shots[1].seconds == c.story.shots[1].seconds);
        tk_config_free(&c);
        tk_config_free(&d);
        tk_config_free(&defaults);
    }
}

static void test_config__each_command_dumps_its_own(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit < TK_CMD_ALL; bit <<= 1) {
        tk_config c, d;
        fill(&c, false);
        tk_config_init(&d);
        char *once = tk_config_dump(&c, bit, &c.arena);
        assert_ok(parse(&d, 0, once));
        assert_string_equal(once, tk_config_dump(&d, bit, &d.arena));
        tk_config_free(&c);
        tk_config_free(&d);
    }
    tk_config c;
    tk_config_init(&c);
    const char *dump = tk_config_dump(&c, TK_CMD_TRAIN, &c.arena);
    assert_non_null(strstr(dump, "  lr: 0.002\n"));
    assert_null(strstr(dump, "\nshots"));
    tk_config_free(&c);
}

static void test_config__floats_are_short_and_exact(void **state)
{
    (void)state;
    static const double v[] = {0.1, 1e-5, 2.0 / 3, 1e300, 5e-324, 16777217, 0.30000000000000004};
    char buf[32];
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        tk_config_format_float(v[i], buf);
        assert_true(strtod(buf, NULL) == v[i]);
    }
    tk_config_format_float(0.002, buf);
    assert_string_equal("0.002", buf);
}

// Takes `text` as the value of row r and tells whether that value was refused.
static bool value_refused(const tk_row *r, const char *text)
{
    char override[192], name[TK_NAME_MAX], want[256];
    const char *items = strstr(r->name, "[]");
    if (items) // of the first item
        snprintf(name, sizeof name, "%.*s[0]%s", (int)(items - r->name), r->name, items + 2);
    else
        snprintf(name, sizeof name, "%s", r->name);
    snprintf(override, sizeof override, "%.96s=%.64s", name, text);
    snprintf(want, sizeof want, "command line: %.96s: %.64s is not ", name, text);
    tk_status st = try_override(r->commands & -r->commands, override);
    const char *found = strstr(tk_status_message(), want);
    return st == TK_INPUT && found && strncmp(found + strlen(want), "a multiple", 10) != 0;
}

static void test_config__bounds_are_inclusive(void **state)
{
    (void)state;
    char lo[64], hi[64], below[64], above[64];
    for (tk_row r = tk_row_first(&tk_config_table); tk_row_next(&r);) {
        const tk_option *o = r.option;
        if (o->kind == TK_OPT_FLOAT) {
            snprintf(lo, sizeof lo, "%.17g", o->fmin);
            snprintf(hi, sizeof hi, "%.17g", o->fmax);
            snprintf(below, sizeof below, "%.17g", nextafter(o->fmin, -INFINITY));
            snprintf(above, sizeof above, "%.17g", nextafter(o->fmax, INFINITY));
        } else if (o->kind == TK_OPT_INT || o->kind == TK_OPT_ENUM || o->kind == TK_OPT_SIZE) {
            const char *form = o->kind == TK_OPT_SIZE ? "%" PRId64 "x%" PRIu64 : "%" PRId64;
            snprintf(lo, sizeof lo, form, o->imin, o->imin);
            snprintf(hi, sizeof hi, form, o->imax, o->imax);
            snprintf(below, sizeof below, form, o->imin - 1, o->imin);
            if (o->kind == TK_OPT_SIZE)
                snprintf(above, sizeof above, form, o->imax, o->imax + 1);
            else
                snprintf(above, sizeof above, "%" PRIu64, (uint64_t)o->imax + 1);
        } else {
            continue;
        }
        if (value_refused(&r, lo) || value_refused(&r, hi)) fail_msg("%s", tk_status_message());
        if (!value_refused(&r, below)) fail_msg("%s takes %s", r.name, below);
        if (!value_refused(&r, above)) fail_msg("%s takes %s", r.name, above);
        static const char *const never[] = {"nan",  ".nan",  "inf",    "-inf",
                                            ".inf", "1e999", "-1e999", "0x10",
                                            "1 2",  "12a",   "+",      "99999999999999999999"};
        for (size_t k = 0; k < sizeof never / sizeof never[0]; k++)
            if (!value_refused(&r, never[k]) && (o->kind != TK_OPT_SIZE || !strchr(never[k], 'x')))
                fail_msg("%s takes %s", r.name, never[k]);
    }
}

static void test_config__table_is_sound(void **state)
{
    (void)state;
    for (tk_row r = tk_row_first(&tk_config_table); tk_row_next(&r);) {
        const tk_option *o = r.option;
        const tk_table *t = r.level[r.depth].table;
        assert_ptr_equal(o, tk_option_find(t, o->name)); // names are unique
        assert_true(o->commands != 0 && (o->commands & ~(unsigned)(TK_CMD_ALL | TK_OPTION_BINDS |
                                                                   TK_OPTION_WORKERS)) == 0);
        assert_true(*o->help && o->help[strlen(o->help) - 1] != '.');
        assert_true((o->kind == TK_OPT_ITEMS) == (o->items != NULL));
        if (o->kind == TK_OPT_ITEMS) assert_true(r.depth + 1 < TK_ITEMS_DEPTH);
        if (o->kind == TK_OPT_INT) assert_true(o->imin <= o->idef && o->idef <= o->imax);
        if (o->kind == TK_OPT_FLOAT && !r.depth)
            assert_true(o->fmin <= o->fdef && o->fdef <= o->fmax);
        assert_true(o->offset < t->bytes);
        for (int i = 0; i < tk_table_index(t, o); i++)
            assert_true(tk_table_row(t, i)->offset != o->offset);
    }
    assert_ok(try_text(0, "")); // and the defaults keep the rules
}

// ---- what is taken ----

static void test_config__ways_to_write(void **state)
{
    (void)state;
    tk_config c;
    char *argv[] = {"data.files=x.h5,y.h5", "train.steps=1e3", "train.steps=77",
                    "train.recompute=1", "log.level=quiet"};
    const char *text = "\xef\xbb\xbf# comment\ntrain: {lr: 1e-3, resume: no, recompute: blocks}\n"
                       "data:\n  files: one.h5\nmodel:\ntrain.out: ~\nsize: 96x64\n";
    tk_config_init(&c);
    assert_ok(tk_config_parse(&c, TK_CMD_TRAIN, "a.yaml", "train: {out: x}", 15, 5, argv));
    assert_ok(
        tk_config_parse(&c, 0, "a.yaml", "references: [a.png]\nsize: [96, 64]\n", 35, 0, NULL));
    assert_int_equal(2, c.data.n_files); // the first load's
    assert_string_equal("y.h5", c.data.files[1]);
    assert_int_equal(77, c.train.steps);
    assert_int_equal(1, c.train.recompute);
    assert_int_equal(0, c.log_level);
    assert_int_equal(96, c.story.size[0]);
    assert_int_equal(64, c.story.size[1]);
    assert_int_equal(1, c.story.n_references);
    tk_config_free(&c);
    tk_config_init(&c);
    refused(parse(&c, TK_CMD_TRAIN, text), "train.out: must name a directory, as runs/first");
    tk_config_free(&c);
}

static const char *const story =
    "checkpoint: runs/x\n"
    "output: clips/ball\n"
    "shots:\n"
    "  - seconds: 2\n"
    "    prompt: a red ball drops\n"
    "  - {seconds: 1.5, prompt: \"it bounces: \\u00e9\", references: [a.png], remember: []}\n";

static void test_config__storyboards(void **state)
{
    (void)state;
    tk_config c;
    char *argv[] = {"shots[1].seconds=4",   "shots[2].prompt=a, b [c]",
                    "shots[2].seconds=1",   "shots[2].references=a.png,b.wav",
                    "size=64,32",           "seed=9223372036854775807",
                    "shots[2].remember=1,0"};
    tk_config_init(&c);
    assert_ok(tk_config_parse(&c, TK_CMD_SAMPLE, "s.yaml", story, strlen(story), 7, argv));
    assert_int_equal(3, c.story.n_shots);
    assert_string_equal("a red ball drops", c.story.shots[0].prompt);
    assert_string_equal("it bounces: \xc3\xa9", c.story.shots[1].prompt);
    assert_true(c.story.shots[1].seconds == 4);
    assert_string_equal("a, b [c]", c.story.shots[2].prompt);
    assert_string_equal("b.wav", c.story.shots[2].references[1]);
    assert_true(c.story.shots[0].remember == NULL && c.story.shots[0].n_remember == 0);
    assert_true(c.story.shots[1].remember != NULL && c.story.shots[1].n_remember == 0);
    assert_int_equal(2, c.story.shots[2].n_remember);
    assert_int_equal(1, c.story.shots[2].remember[0]);
    assert_int_equal(0, c.story.shots[2].remember[1]);
    assert_true(c.story.seed == INT64_MAX);
    assert_int_equal(32, c.story.size[1]);
    assert_string_equal("clips/ball", c.output);
    tk_config_free(&c);
    assert_ok(try_text(TK_CMD_SAMPLE, "storyboards: [a.yaml, b.yaml]\nsample: {steps: 3}\n"));
    assert_ok(try_override(TK_CMD_SAMPLE, "storyboards=[a.yaml, 'b, c.yaml']"));
    assert_ok(try_override(TK_CMD_DATA, "output=my.h5"));
}

static void load_folder(const char *folder, unsigned command)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    assert_non_null(d);
    while ((e = readdir(d))) {
        char path[512];
        tk_config c;
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 5, ".yaml") != 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        tk_config_init(&c);
        assert_ok(tk_config_load(&c, command, path, 0, NULL));
        tk_config_free(&c);
    }
    closedir(d);
}

static void test_config__ours_load(void **state)
{
    (void)state;
    load_folder("configs", TK_CMD_TRAIN);
    load_folder("configs/storyboards", TK_CMD_SAMPLE);
}

// ---- what is refused ----

static void test_config__all_errors_at_once(void **state)
{
    (void)state;
    tk_config c;
    char *argv[] = {"train.batchh=4",    "seed=3",         "steps", "train=3", "train.beta2=1.5",
                    "shots[0].prompt=x", "train.from=\xff"};
    const char *text = "train:\n"
                       "  lrr: 1e-3\n"
                       "  lr: fast\n"
                       "  steps: 10\n"
                       "  steps: 20\n"
                       "  batch: 4\n"
                       "  microbatch: 8\n"
                       "  seed: \"3\"\n"
                       "  ema: [0.9]\n"
                       "  beta1: .nan\n"
                       "modle:\n"
                       "  hidden: 3\n"
                       "data: 7\n"
                       "stpes: 3\n"
                       "model: {layers: 0, head_dim: 24}\n"
                       "train.batch: 5\n";
    tk_config_init(&c);
    assert_int_equal(TK_INPUT,
                     tk_config_parse(&c, TK_CMD_TRAIN, "a.yaml", text, strlen(text), 7, argv));
    const char *want =
        "a.yaml:2:3: train.lrr: no such option; did you mean train.lr?\n"
        "a.yaml:3:7: train.lr: fast is not a number from 0 to 10\n"
        "a.yaml:5:3: train.steps: given twice; first at line 4\n"
        "a.yaml:7:15: train.microbatch: 8 is more than train.batch 4\n"
        "a.yaml:8:9: train.seed: \"3\" is not a whole number from 0 to 9223372036854775807\n"
        "a.yaml:9:8: train.ema: wants a number from 0 to 0.999999, not this list\n"
        "a.yaml:10:10: train.beta1: .nan is not a number from 0 to 0.999999\n"
        "a.yaml:11:1: modle: no such section; did you mean model?\n"
        "a.yaml:13:7: data: is a section: give its options below it, indented\n"
        "a.yaml:14:1: stpes: no such option; did you mean train.steps?\n"
        "a.yaml:15:17: model.layers: 0 is not a whole number from 1 to 1024\n"
        "a.yaml:15:30: model.rope_freq_dim: 6 * 8 rotary channels do not fit model.head_dim 24\n"
        "a.yaml:16:1: train.batch: given twice; first at line 6\n"
        "command line: train.batchh: no such option; did you mean train.batch?\n"
        "command line: seed: not an option of talkie train; did you mean train.seed?\n"
        "command line: \"steps\" is not of the form key=value\n"
        "command line: train: is a section; name one of its options, as train.out\n"
        "command line: train.beta2: 1.5 is not a number from 0 to 0.999999\n"
        "command line: shots[0].prompt: not an option of talkie train; see --help\n"
        "command line: train.from: is not valid UTF-8\n"
        "a.yaml: data.files: missing: name the clip files to train on";
    const char *at = want,
               *got = tk_status_message(); // compared by lines, to show the one that differs
    for (size_t n; *at; at += n, got += n) {
        n = strcspn(at, "\n") + 1;
        if (strncmp(at, got, n) != 0)
            fail_msg("wanted %.*s\ngot %.*s", (int)n, at, (int)strcspn(got, "\n"), got);
        if (!at[n - 1]) break;
    }
    tk_config_free(&c);
}

static void test_config__bad_storyboards(void **state)
{
    (void)state;
    refused(try_text(TK_CMD_SAMPLE, "checkpoint: x\nshots:\n  - seconds: 0\n    prompt: x\n"),
            "a.yaml:3:14: shots[0].seconds: 0 is not a number from 0.001 to 600");
    refused(
        try_text(TK_CMD_SAMPLE, "shots: [{seconds: -1, prompt: a}, {seconds: 1e9, promt: b}, 3]"),
        "a.yaml:1:19: shots[0].seconds: -1 is not a number from 0.001 to 600\n"
        "a.yaml:1:45: shots[1].seconds: 1e9 is not a number from 0.001 to 600\n"
        "a.yaml:1:50: shots[1].promt: no such option; did you mean shots[1].prompt?\n"
        "a.yaml:1:61: shots[2]: a shot wants keys: seconds, prompt, camera, style, seed, features, "
        "dissolve, fade_in, fade_out, references, remember, clip, shot, from, keep\n"
        "a.yaml: checkpoint: missing");
    refused(try_text(TK_CMD_SAMPLE, "checkpoint: x\nshots:\n  - prompt: a\n  - seconds: 2\n"),
            "a.yaml:3:5: shots[0]: no seconds: how long is the shot?\n"
            "a.yaml:4:5: shots[1]: no prompt");
    refused(try_text(TK_CMD_SAMPLE, "checkpoint: x\n"), "a storyboard has at least one shot");
    refused(try_text(TK_CMD_SAMPLE, "checkpoint: x\nshots: []\n"), "at least one shot");
    refused(try_text(TK_CMD_SAMPLE, "checkpoint: x\nshots: 3\n"), "wants a list of shots");
    refused(try_text(TK_CMD_SAMPLE, "storyboards: [a.yaml]\nshots: [{seconds: 1, prompt: a}]\n"),
            "has no shots of its own");
    refused(try_text(0, "size: [64, 0]"), "both width and height");
    refused(try_text(0, "size: [64, 64, 64]"), "width and height");
    refused(try_override(TK_CMD_SAMPLE, "shots[7].prompt=x"), "a new one is shots[0]");
    refused(try_override(TK_CMD_SAMPLE, "shots[x].prompt=x"),
            "wants the form shots[0].seconds=...");
    refused(try_override(TK_CMD_SAMPLE, "shots[0].promt=x"), "did you mean shots[0].prompt?");
    refused(try_text(0, "parallel: {device: cpu}"), "did you mean device?");
    refused(try_override(TK_CMD_SAMPLE, "references=a,,b"), "references[1]: is empty; name some");
    refused(try_override(TK_CMD_SAMPLE, "references=[a, [b]]"), "references[1]: wants a string");
}

static void test_config__long_prompts_and_many_shots(void **state)
{
    (void)state;
    char *text = malloc(200000), *at = text;
    at += sprintf(at, "checkpoint: x\nshots: [{seconds: 1, prompt: \"");
    memset(at, 'p', 4096);
    sprintf(at + 4096, "\"}]");
    assert_ok(try_text(TK_CMD_SAMPLE, text));
    sprintf(at + 4096, "p\"}]");
    refused(try_text(TK_CMD_SAMPLE, text), "shots[0].prompt: is longer than 4096 bytes");
    refused(try_text(0, "style: \"a\\0b\""), "zero byte");
    for (int n = 5000; n <= 5001; n++) {
        at = text + sprintf(text, "checkpoint: x\nshots:\n");
        for (int i = 0; i < n; i++) at += sprintf(at, "- {seconds: 1, prompt: a}\n");
        tk_status st = try_text(TK_CMD_SAMPLE, text);
        if (n == 5000)
            assert_ok(st);
        else
            refused(st, "5001 shots; the most is 5000");
    }
    free(text);
}

static void test_config__hostile_yaml(void **state)
{
    (void)state;
    refused(try_text(0, "a: &x [1]\nb: [*x, *x]\n"), "a.yaml:1:4: anchors");
    refused(try_text(0, "train: {out: *x}\n"), "a.yaml:1:14: aliases");
    refused(try_text(0, "style: !!python/object x\n"), "tags");
    refused(try_text(0, "seed: 1\n---\nseed: 2\n"), "more than one document");
    refused(try_text(0, "seed: [1\n"), "not YAML");
    refused(try_text(0, "train:\n\tlr: 1\n"), "a.yaml:2:1: not YAML");
    refused(try_text(0, "- a\n- b\n"), "not a config");
    refused(try_text(0, "? [a]\n: b\n"), "a key must be a word");
    refused(try_text(0, "style: \"\xff\xfe\"\n"), "a.yaml:1:9: not YAML text");
    refused(tk_config_parse(&(tk_config){0}, 0, "a.yaml", "seed: \0 1", 10, 0, NULL), "not YAML");
    assert_ok(try_text(0, "--- # nothing\n"));
    char *deep = malloc(1 << 21);
    memset(deep, '[', 1 << 21);
    refused(tk_config_parse(&(tk_config){0}, 0, "a.yaml", deep, 1 << 20, 0, NULL), "too deeply");
    refused(tk_config_parse(&(tk_config){0}, 0, "a.yaml", deep, 1 << 21, 0, NULL), "1 MiB");
    for (int i = 0; i < 1 << 20; i += 2) memcpy(deep + i, i ? "a," : "[ ", 2);
    refused(tk_config_parse(&(tk_config){0}, 0, "a.yaml", deep, 1 << 20, 0, NULL),
            "too many values");
    for (int i = 0, n = 0; i < 20000; i++) n += sprintf(deep + n, "k%d: 1\n", i);
    refused(try_text(0, deep), "and more errors after these");
    free(deep);
    refused(tk_config_load(&(tk_config){0}, 0, "/no/such.yaml", 0, NULL),
            "cannot open /no/such.yaml");
    refused(tk_config_load(&(tk_config){0}, 0, "/tmp", 0, NULL), "directory");
}

static void test_config__random_damage(void **state)
{
    (void)state;
    tk_config full;
    uint64_t random = 88172645463325252u;
    fill(&full, false);
    const char *good = tk_config_dump(&full, 0, &full.arena);
    size_t n = strlen(good);
    char *text = malloc(n);
    for (int round = 0; round < 1500; round++) {
        tk_config c;
        memcpy(text, good, n);
        for (int k = 0; k <= round % 4; k++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            text[random % n] = "\n :[]{}\"-#0x\xff"[(random >> 32) % 13];
        }
        tk_config_init(&c);
        tk_status st = tk_config_parse(&c, 0, "a.yaml", text, n, 0, NULL);
        assert_true(st == TK_OK || st == TK_INPUT);
        tk_config_free(&c);
    }
    free(text);
    tk_config_free(&full);
}

static void test_config__allocation_fails(void **state)
{
    (void)state;
    tk_config full;
    char *argv[] = {"train.lrr=1", "data.files=a,b", "shots[2].prompt=c", "shots[2].seconds=1"};
    fill(&full, false);
    const char *text = tk_config_dump(&full, 0, &full.arena);
    for (int n = 0; n <= 4; n += 4) { // without and with an error to report
        for (int64_t i = 1;; i++) {
            tk_config c;
            tk_config_init(&c);
            tk_alloc_fail_at(i, true);
            tk_status st = tk_config_parse(&c, 0, "a.yaml", text, strlen(text), n, argv);
            tk_alloc_fail_at(0, false);
            tk_config_free(&c);
            if (st == TK_MEMORY) continue;
            assert_int_equal(n ? TK_INPUT : TK_OK, st);
            assert_true(i > 1);
            break;
        }
    }
    tk_alloc_fail_at(1, true);
    tk_arena a;
    tk_arena_init(&a, 0);
    assert_null(tk_config_dump(&full, 0, &a));
    tk_alloc_fail_at(0, false);
    tk_arena_free(&a);
    tk_config_free(&full);
}

// ---- help and reference ----

static void test_config__help_has_the_commands_options(void **state)
{
    (void)state;
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    tk_table_help(f, &tk_config_table, TK_CMD_SAMPLE);
    fclose(f);
    for (tk_row r = tk_row_first(&tk_config_table); tk_row_next(&r);) {
        char name[TK_NAME_MAX + 4];
        snprintf(name, sizeof name, "\n  %s ", r.name);
        bool there = strstr(text, name) && strstr(text, r.option->help);
        assert_int_equal((r.commands & TK_CMD_SAMPLE) != 0, there);
    }
    free(text);
}

static void test_config__reference_page_is_up_to_date(void **state)
{
    (void)state;
    char *text, *page;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    tk_table_reference(f, &tk_config_table);
    fclose(f);
    assert_null(strstr(text, "\n## \n")); // every section has its title
    f = fopen("docs/options.md", "r");
    if (!f) free(text);
    assert_non_null(f);
    page = calloc(1, n + 2);
    size_t got = fread(page, 1, n + 1, f);
    fclose(f);
    if (got != n || memcmp(page, text, n) != 0) fail_msg("docs/options.md is old: run make docs");
    free(page);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__table_is_sound),
        cmocka_unit_test(test_config__dump_is_a_fixed_point),
        cmocka_unit_test(test_config__each_command_dumps_its_own),
        cmocka_unit_test(test_config__floats_are_short_and_exact),
        cmocka_unit_test(test_config__bounds_are_inclusive),
        cmocka_unit_test(test_config__ways_to_write),
        cmocka_unit_test(test_config__storyboards),
        cmocka_unit_test(test_config__ours_load),
        cmocka_unit_test(test_config__all_errors_at_once),
        cmocka_unit_test(test_config__bad_storyboards),
        cmocka_unit_test(test_config__long_prompts_and_many_shots),
        cmocka_unit_test(test_config__hostile_yaml),
        cmocka_unit_test(test_config__random_damage),
        cmocka_unit_test(test_config__allocation_fails),
        cmocka_unit_test(test_config__help_has_the_commands_options),
        cmocka_unit_test(test_config__reference_page_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
