// SPDX-License-Identifier: Apache-2.0
#include "core/base/digest.h"
#include "core/base/files.h"
#include "infer/gallery/describe.h"
#include "infer/gallery/takedown.h"
#include "infer/output/parts.h"
#include "infer/output/people.h"
#include "infer/reel/latents.h"
#include "infer/spool/record.h"
#include "infer/story/remix.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/targets.h"
#include "tests/support/clips.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { MOST = 1 << 20 };

// ---- folders -----------------------------------------------------------------------------------

const char *fuzz_in_folder(const char *path, const char *name)
{
    static char out[FUZZ_PATH];
    snprintf(out, sizeof out, "%s.d", path);
    mkdir(out, 0700);
    snprintf(out, sizeof out, "%s.d/%s", path, name);
    return out;
}

void fuzz_put_file(const char *to, const void *x, size_t bytes)
{
    FILE *f = fopen(to, "w");
    const bool put = f && fwrite(x, 1, bytes, f) == bytes;
    fuzz_must(f && fclose(f) == 0 && put ? TK_OK : TK_FAIL(TK_IO, "cannot write"), to);
}

char *fuzz_read_all(const char *path, tk_arena *a, size_t *bytes)
{
    char *text;
    fuzz_must(tk_file_read(path, MOST, a, &text, bytes), path);
    return text;
}

void fuzz_remove_folder(const char *path, int n, const char *const *names)
{
    char folder[FUZZ_PATH];
    for (int i = 0; i < n; i++) unlink(fuzz_in_folder(path, names[i]));
    snprintf(folder, sizeof folder, "%s.d", path);
    rmdir(folder);
}

// ---- latents -----------------------------------------------------------------------------------

// Two latent frames of 16 x 16 pixels and three rows of sound, all zeros, of test_codec(1).
static tk_status write_latents(const char *path, tk_latents_form *form)
{
    static const float zeros[256];
    tk_latents_whole rows = tk_latents_whole_of(zeros, zeros);
    tk_codec *codec = test_codec(1);
    const tk_codec_info *k = tk_codec_get_info(codec);
    const int64_t side = 16 / k->patch_size;
    *form = (tk_latents_form){.codec = k->digest, .rows = {2, 3}};
    form->numbers[TK_CODEC_VIDEO] = side * side * k->video_channels;
    form->numbers[TK_CODEC_AUDIO] = k->channels * k->audio_channels;
    tk_file f;
    tk_status st = tk_file_begin(&f, path);
    if (st == TK_OK) {
        st = tk_latents_write(&f, form, &rows.source);
        if (st == TK_OK) st = tk_file_commit(&f);
        tk_file_abort(&f);
    }
    tk_codec_free(codec);
    return st;
}

tk_status fuzz_seed_latents(const char *path)
{
    tk_latents_form form;
    return write_latents(path, &form);
}

// Under the digest that it has, so that all of it is read.
void fuzz_read_latents(const char *path)
{
    tk_latents_form form;
    tk_latents_file f;
    uint64_t digest;
    int64_t bytes;
    tk_status st = tk_latents_look(path, &form);
    fuzz_judge(st, path);
    if (st != TK_OK) return;
    fuzz_must(tk_file_digest(path, &digest, &bytes), path);
    st = tk_latents_open(path, &form, digest, &f);
    fuzz_judge(st, path);
    for (int k = 0; k < TK_CODEC_SIDES && st == TK_OK; k++) {
        float *x = malloc((size_t)form.numbers[k] * sizeof *x);
        for (int64_t i = 0; i < form.rows[k]; i++)
            fuzz_must(tk_latents_get(&f, (tk_codec_side)k, i, 1, x), "a row");
        free(x);
    }
    tk_latents_close(&f);
}

// ---- descriptions ------------------------------------------------------------------------------

static const char some_film[] = "tests/fuzz/film.mp4";

static json_t *entry_of(const char *path)
{
    uint64_t digest;
    int64_t bytes;
    char hex[TK_HEX_DIGEST];
    fuzz_must(tk_file_digest(path, &digest, &bytes), path);
    return json_pack("{s:s, s:I, s:s}", "file", "clip", "bytes", (json_int_t)bytes, "digest",
                     tk_digest_hex(digest, hex));
}

static const char *const clip_files[] = {"clip.json", "clip.mp4", "clip.latents"};
static char laid[FUZZ_PATH]; // what its folder is of

static void remove_clip(void)
{
    fuzz_remove_folder(laid, 3, clip_files);
}

// A film with latents, whose description the mutants are; once.
static void lay_clip(const char *path)
{
    tk_arena a;
    tk_latents_form form;
    size_t bytes;
    if (*laid) return;
    tk_arena_init(&a, 0);
    snprintf(laid, sizeof laid, "%s", path);
    atexit(remove_clip);
    const char *film = fuzz_read_all(some_film, &a, &bytes);
    fuzz_put_file(fuzz_in_folder(path, "clip.mp4"), film, bytes);
    fuzz_must(write_latents(fuzz_in_folder(path, "clip.latents"), &form), "latents");
    tk_arena_free(&a);
}

tk_status fuzz_seed_told(const char *path)
{
    lay_clip(path);
    tk_codec *codec = test_codec(1);
    const tk_codec_info *k = tk_codec_get_info(codec);
    const double seconds = 2.0 * (double)k->patch_frames / (double)k->fps;
    json_t *o =
        json_pack("{s:s, s:I, s:s, s:o, s:o, s:{s:i, s:i, s:I, s:I}, s:[{s:f, s:f, s:s, s:[]}], "
                  "s:[{s:s, s:s}], s:[]}",
                  "format", "talkie-clip", "seed", (json_int_t)1, "options", "style: noir\n", "mp4",
                  entry_of(fuzz_in_folder(path, "clip.mp4")), "latents",
                  entry_of(fuzz_in_folder(path, "clip.latents")), "clip", "width", 16, "height", 16,
                  "fps", (json_int_t)k->fps, "frames", (json_int_t)(2 * k->patch_frames), "shots",
                  "start", 0.0, "seconds", seconds, "caption", "noir, a red ball", "remember",
                  "cameos", "handle", "ada", "from", "clip.mp4", "lineage");
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    json_decref(o);
    tk_codec_free(codec);
    if (!text) return TK_FAIL(TK_MEMORY, "out of memory for a description");
    fuzz_put_file(path, text, strlen(text));
    free(text);
    return TK_OK;
}

// As a storyboard reads it that goes on from it: looked at, laid out, and whether it goes beyond
// the clip.
static void go_on(const char *yaml, tk_config *c, const tk_codec *codec, tk_arena *a)
{
    tk_remix r;
    tk_story story;
    c->media = (tk_media_config){16, 16, 8, 1000, 1};
    fuzz_must(tk_config_parse(c, TK_CMD_SAMPLE, "board.yaml", yaml, strlen(yaml), 0, NULL), yaml);
    tk_wrong w = tk_wrong_of(c, "board.yaml", a);
    tk_status st = tk_remix_look(&w, c, tk_codec_get_info(codec), a, &r);
    if (st == TK_OK) st = tk_wrong_end(&w);
    fuzz_judge(st, "clip");
    if (st == TK_OK) {
        st = tk_story_lay(&w, c, codec, a, &story);
        if (st == TK_OK && story.n_windows) tk_remix_check(&w, c, &story);
        if (st == TK_OK) st = tk_wrong_end(&w);
        fuzz_judge(st, "");
    }
    tk_remix_close(&r);
}

static void remix(const char *path, tk_config *c, const tk_codec *codec, tk_arena *a)
{
    const char *clip = fuzz_in_folder(path, "clip.mp4");
    char yaml[2 * FUZZ_PATH + 128];
    tk_config other;
    tk_config_init(&other);
    snprintf(
        yaml, sizeof yaml,
        "{checkpoint: none, shots: [{clip: %s, shot: 0}, {clip: %s, from: 0.2, seconds: 0.1}]}\n",
        clip, clip);
    go_on(yaml, &other, codec, a);
    tk_config_free(&other);
    snprintf(yaml, sizeof yaml, "{checkpoint: none, remix: {clip: %s, shots: [0]}}\n", clip);
    go_on(yaml, c, codec, a);
}

// As the gallery reads it.
static void show(const char *path, tk_arena *a)
{
    static const tk_media_poster poster = {0};
    char hex[TK_HEX_DIGEST];
    uint64_t digest;
    tk_told_clip t = {
        .path = fuzz_in_folder(path, "clip.mp4"), .name = "clip.mp4", .poster = &poster};
    fuzz_must(tk_file_digest(t.path, &digest, &t.bytes), t.path);
    t.number = t.digest = tk_digest_hex(digest, hex);
    static tk_proof proof;
    proof.n = 1;
    proof.manifest[0] = (tk_told_manifest){.title = "a clip", .label = "", .signer = ""};
    t.proof = &proof;
    json_t *told;
    fuzz_must(tk_gallery_describe(&t, a, &told), "a gallery");
    json_decref(told);
}

void fuzz_read_told(const char *path)
{
    tk_arena a;
    tk_config c;
    tk_people_in people;
    json_t *told;
    size_t bytes;
    tk_codec *codec = test_codec(1);
    tk_arena_init(&a, 0);
    tk_config_init(&c);
    lay_clip(path);
    const char *text = fuzz_read_all(path, &a, &bytes);
    fuzz_put_file(fuzz_in_folder(path, "clip.json"), text, bytes);
    remix(path, &c, codec, &a);
    tk_wrong w = tk_wrong_of(&c, "board.yaml", &a);
    const tk_status st = tk_people_find(&w, &c, &a, &people);
    fuzz_judge(st == TK_OK ? tk_wrong_end(&w) : st, "clip");
    fuzz_must(tk_part_told(fuzz_in_folder(path, "clip"), &a, &told), "what lies there");
    for (int k = 0; k < TK_PARTS && told; k++) {
        bool same;
        fuzz_must(tk_part_same(told, (tk_output_part)k, fuzz_in_folder(path, "clip.mp4"), &same),
                  "it");
    }
    json_decref(told);
    show(path, &a);
    tk_config_free(&c);
    tk_arena_free(&a);
    tk_codec_free(codec);
}

// ---- jobs --------------------------------------------------------------------------------------

tk_status fuzz_seed_record(const char *path)
{
    tk_spool_record r = tk_spool_record_new();
    tk_arena a;
    char *text = NULL;
    tk_arena_init(&a, 0);
    strcpy(r.name, "walk");
    strcpy(r.file, "walk.yaml");
    r.state = TK_SPOOL_RUNNING;
    tk_spool_record_history(&r, 1, "worker", "it ended");
    const tk_status st = tk_spool_record_print(&r, &a, &text);
    if (st == TK_OK) fuzz_put_file(path, text, strlen(text));
    tk_arena_free(&a);
    return st;
}

// What was read is a record that can be written, and reads back as it is.
void fuzz_read_record(const char *path)
{
    static const char *const files[] = {"job.json"};
    static tk_spool_record r, again;
    tk_arena a;
    char folder[FUZZ_PATH], *text;
    size_t bytes;
    bool found;
    tk_arena_init(&a, 0);
    text = fuzz_read_all(path, &a, &bytes);
    fuzz_put_file(fuzz_in_folder(path, "job.json"), text, bytes);
    snprintf(folder, sizeof folder, "%s.d", path);
    fuzz_must(tk_spool_record_read(folder, &r, &found), folder);
    fuzz_must(tk_spool_record_print(&r, &a, &text), "a record");
    fuzz_put_file(fuzz_in_folder(path, "job.json"), text, strlen(text));
    fuzz_must(tk_spool_record_read(folder, &again, &found), folder);
    again.updated = r.updated;
    if (!found || again.n_history != r.n_history || strcmp(again.name, r.name) ||
        strcmp(again.error, r.error) || again.state != r.state || again.taken != r.taken)
        fuzz_must(TK_FAIL(TK_INTERNAL, "another record"), folder);
    fuzz_remove_folder(path, 1, files);
    tk_arena_free(&a);
}

// ---- galleries ---------------------------------------------------------------------------------

static const char some_takedown[] = "takedown:\n"
                                    "  - clip: \"urn:c2pa:7aa64bce-4b9e-4635-9f27-18b3aac2b1c5\"\n"
                                    "    reason: \"asked for by @ada\"\n"
                                    "    from: ada\n"
                                    "    date: \"2026-11-27\"\n"
                                    "  - {clip: walk.mp4}\n";

tk_status fuzz_seed_takedown(const char *path)
{
    fuzz_put_file(path, some_takedown, sizeof some_takedown - 1);
    return TK_OK;
}

// A list that is understood leaves out what each of its entries names.
void fuzz_read_takedown(const char *path)
{
    tk_takedown t;
    tk_arena a;
    tk_arena_init(&a, 0);
    const tk_status st = tk_takedown_load(path, &a, &t);
    fuzz_judge(st, path);
    for (int64_t i = 0; i < t.n && i < 100 && st == TK_OK; i++) {
        const tk_takedown_entry *e = tk_takedown_find(&t, t.entry[i].clip, t.entry[i].claim);
        fuzz_must(e && !strcmp(e->clip, t.entry[i].clip) && *e->clip && e->reason
                      ? TK_OK
                      : TK_FAIL(TK_INTERNAL, "entry %lld is not found", (long long)i),
                  path);
    }
    tk_arena_free(&a);
}
