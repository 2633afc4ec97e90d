// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/targets.h"
#include "core/base/files.h"
#include "infer/filter/policy.h"
#include "infer/provenance/proof.h"
#include "infer/sampler/session.h"
#include "infer/story/shots.h"
#include "tests/fuzz/files.h"
#include "tests/support/clips.h"
#include "train/checkpoint/internal.h"
#include "train/parity/golden.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The smallest model with every kind of weight; its rows are those of test_codec().
static const char model_yaml[] =
    "model: {hidden: 6, heads: 1, head_dim: 6, layers: 1, refiner_layers: 1, ffn: 2,\n"
    "  video_channels: 5, audio_channels: 6, text_channels: 2, text: features, freq_dim: 2,\n"
    "  time_hidden: 2, time_dim: 2, rope_freq_dim: 1}\n";

void fuzz_judge(tk_status st, const char *path)
{
    const char *slash = strrchr(path, '/'), *words = tk_status_message();
    if (st == TK_OK) return;
    if (st != TK_INPUT || !strstr(words, slash ? slash + 1 : path)) {
        fprintf(stderr, "%s: status %d, \"%s\"\n%s\n", path, (int)st, words, tk_status_trace());
        abort();
    }
    tk_status_clear();
}

void fuzz_must(tk_status st, const char *what)
{
    if (st == TK_OK) return;
    fprintf(stderr, "%s: %s\n%s\n", what, tk_status_message(), tk_status_trace());
    abort();
}

// ---- text --------------------------------------------------------------------------------------

// The dump of a config reads back to the same config.
static void check_dump(tk_config *c)
{
    tk_config again;
    uint64_t digest[2];
    const char *dump = tk_config_dump(c, 0, &c->arena);
    tk_config_init(&again);
    fuzz_must(dump ? TK_OK : TK_MEMORY, "dump");
    fuzz_must(tk_config_parse(&again, 0, "dump", dump, strlen(dump), 0, NULL), "reading the dump");
    fuzz_must(tk_config_digest(c, &digest[0]), "digest");
    fuzz_must(tk_config_digest(&again, &digest[1]), "digest of the dump");
    fuzz_must(digest[0] == digest[1] ? TK_OK : TK_FAIL(TK_INTERNAL, "another config"), "dump");
    tk_config_free(&again);
}

static void read_config(const char *path)
{
    for (unsigned command = TK_CMD_GALLERY; command; command >>= 1) {
        tk_config c;
        tk_config_init(&c);
        fuzz_judge(tk_config_load(&c, command, path, 0, NULL), path);
        tk_config_free(&c);
    }
    tk_config c;
    tk_config_init(&c);
    const tk_status st = tk_config_load(&c, 0, path, 0, NULL);
    fuzz_judge(st, path);
    if (st == TK_OK) check_dump(&c);
    tk_config_free(&c);
}

static void read_storyboard(const char *path)
{
    tk_config c;
    tk_arena a;
    tk_story story;
    tk_codec *codec = test_codec(1);
    tk_arena_init(&a, 0);
    tk_config_init(&c);
    c.media = (tk_media_config){16, 16, 8, 1000, 1};
    tk_status st = tk_config_load(&c, TK_CMD_SAMPLE, path, 0, NULL);
    fuzz_judge(st, path);
    if (st == TK_OK && c.story.n_shots) {
        st = tk_story_plan(&c, codec, &a, &story);
        if (st != TK_OK) fuzz_judge(st, ""); // whoever calls it adds the file's name
    }
    tk_config_free(&c);
    tk_arena_free(&a);
    tk_codec_free(codec);
}

// ---- policies ----------------------------------------------------------------------------------

static void look_by(tk_policy *p, const char *text, size_t bytes, tk_arena *a)
{
    tk_policy_hit *hit;
    int n;
    fuzz_must(tk_policy_look(p, text, bytes, a, &n, &hit), "looking at a text");
    for (int k = 0; k < n; k++)
        fuzz_must(hit[k].begin <= hit[k].end && (size_t)hit[k].end <= bytes ? TK_OK : TK_INTERNAL,
                  "the place of what was found");
}

// The file as a policy, and as a text held against itself and against a policy of the house.
static void read_policy(const char *path)
{
    static tk_policy *ours;
    tk_policy *p;
    tk_arena a;
    char *text;
    size_t bytes;
    if (!ours) fuzz_must(tk_policy_open("configs/policies/shipped.yaml", &ours), "our policy");
    const tk_status st = tk_policy_open(path, &p);
    fuzz_judge(st, path);
    tk_arena_init(&a, 0);
    if (tk_file_read(path, 1 << 20, &a, &text, &bytes) == TK_OK && bytes <= 1 << 14) {
        look_by(ours, text, bytes, &a);
        if (st == TK_OK) look_by(p, text, bytes, &a);
    }
    tk_status_clear();
    tk_arena_free(&a);
    tk_policy_close(p);
}

// ---- clip files --------------------------------------------------------------------------------

static void read_clips(const char *path)
{
    tk_clips c;
    tk_arena a;
    tk_status st = tk_clips_open(path, NULL, &c);
    fuzz_judge(st, path);
    if (st != TK_OK) return;
    tk_arena_init(&a, 0);
    for (int64_t i = 0; i < c.n; i++) {
        const tk_bucket *b = &c.bucket[c.clip[i].bucket];
        const size_t bytes[] = {(size_t)b->video_bytes, (size_t)b->audio_bytes};
        float *video = tk_arena_alloc(&a, 2 * bytes[0]), *audio = tk_arena_alloc(&a, 2 * bytes[1]);
        void *raw = tk_arena_alloc(&a, bytes[0] + bytes[1]);
        fuzz_must(video && audio && raw ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"),
                  "rows of a clip");
        fuzz_judge(tk_clips_read(&c, i, video, audio, raw), path);
        tk_arena_reset(&a);
    }
    tk_arena_free(&a);
    tk_clips_close(&c);
}

static tk_status seed_clips(const char *path)
{
    return test_write_clips(tk_comm_self(), path, 1, 3, -1);
}

// ---- codec files -------------------------------------------------------------------------------

// The group of a file, one in memory, that refers to the codec of the seed.
static hid_t the_reference(void)
{
    static hid_t group = -1;
    if (group >= 0) return group;
    tk_codec *codec = test_codec(1);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, false);
    const hid_t file = H5Fcreate("reference", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    fuzz_must(tk_h5_group(file, "codec", &group), "a reference");
    fuzz_must(tk_codec_write(codec, true, group), "a reference");
    tk_codec_free(codec);
    return group;
}

static void read_codec(const char *path)
{
    tk_codec *codec;
    const tk_status st = tk_codec_read(the_reference(), path, &codec);
    fuzz_judge(st, path);
    tk_codec_free(codec);
}

static tk_status seed_codec(const char *path)
{
    const tk_codec_config c = {.file = (char *)path, .store = TK_CODEC_REFER};
    tk_codec *codec = test_codec(1);
    const tk_status st = tk_codec_keep(&c, codec);
    tk_codec_free(codec);
    return st;
}

// ---- checkpoints -------------------------------------------------------------------------------

typedef struct rig { // a model on one rank
    tk_config config;
    tk_mesh mesh;
    tk_device device;
    tk_model model;
    tk_flat flat;
} rig;

static tk_status open_rig(rig *r)
{
    const tk_comm self = *tk_comm_self();
    tk_config_init(&r->config);
    TK_TRY(tk_config_parse(&r->config, 0, "model", model_yaml, strlen(model_yaml), 0, NULL));
    r->config.model.text = TK_TEXT_BYTES;
    r->mesh = (tk_mesh){.world = self, .replica = self, .ranks_on_node = 1, .cores = 1};
    for (int i = 0; i < TK_AXES; i++) r->mesh.axis[i] = (tk_axis_row){.degree = 1, .host = self};
    TK_TRY(tk_device_open(&r->device, &tk_device_ref, 1, (size_t)1 << 24));
    TK_TRY(tk_mesh_attach(&r->mesh, &r->device));
    const tk_model_part part = {.device = &r->device,
                                .tensor = &r->mesh.axis[TK_AXIS_TENSOR].device};
    TK_TRY(tk_model_open(&r->model, &r->config.model, &part));
    TK_TRY(tk_model_init_weights(&r->model, 1));
    r->flat = (tk_flat){"model", r->model.values, &r->model.whole, 1, true};
    return TK_OK;
}

static rig *the_rig(void)
{
    static rig r;
    if (!r.device.ops) fuzz_must(open_rig(&r), "a model");
    return &r;
}

static void read_checkpoint_once(const char *path)
{
    rig *r = the_rig();
    tk_arena a;
    tk_trained t;
    tk_arena_init(&a, 0);
    const tk_status st = tk_trained_open(path, "", tk_comm_self(), &a, &t);
    fuzz_judge(st, path);
    if (st == TK_OK) tk_trained_close(&t);
    fuzz_judge(tk_checkpoint_load(path, &r->mesh, &r->model, 1, &r->flat), path);
    tk_arena_free(&a);
}

// As it is; then under a seal that holds, as one who means harm would leave it.
static void read_checkpoint(const char *path)
{
    read_checkpoint_once(path);
    fuzz_must(tk_ck_seal(path, 0, NULL), "sealing");
    read_checkpoint_once(path);
}

static tk_status seed_checkpoint(const char *path)
{
    rig *r = the_rig();
    tk_codec *codec = test_codec(1);
    tk_checkpoint_meta meta = {.step = 3, .codec = codec, .ema_updates = 2};
    static char *files[] = {(char *)"clips.h5"};
    r->config.data.files = files;
    r->config.data.n_files = 1;
    meta.config = tk_config_dump(&r->config, 0, &r->config.arena);
    const tk_status st = tk_checkpoint_save(path, &r->mesh, &r->model, 1, &r->flat, &meta);
    tk_codec_free(codec);
    return st;
}

// ---- goldens -----------------------------------------------------------------------------------

static void read_golden(const char *path)
{
    tk_arena a;
    tk_config c;
    tk_golden g;
    tk_param_table table;
    tk_stream stream;
    int64_t first[TK_MODALITIES];
    tk_arena_init(&a, 0);
    tk_config_init(&c);
    tk_status st = tk_golden_open(path, &a, &g);
    if (st == TK_OK)
        st = tk_config_parse(&c, TK_CMD_PARITY, path, g.config, strlen(g.config), 0, NULL);
    if (st == TK_OK) st = tk_param_table_build(&c.model, &a, &table);
    if (st == TK_OK) st = tk_golden_read(path, &a, &c.model, &table, &g);
    for (int64_t i = 0; st == TK_OK && i < g.documents; i++)
        st = tk_golden_stream(&g, i, i + 1, &a, &stream, first);
    fuzz_judge(st, path);
    tk_config_free(&c);
    tk_arena_free(&a);
}

// A dataset of zeros or, for rows, of the values given.
static tk_status put(hid_t file, const char *group, const char *name, hid_t type, int64_t rows,
                     int64_t cols, const void *x)
{
    static const double zeros[256]; // more than any weight here
    char path[256];
    const int64_t dim[2] = {rows, cols};
    snprintf(path, sizeof path, "%s/%s", group, name);
    return tk_h5_put(file, path, type, cols ? 2 : 1, dim, x ? x : zeros);
}

static tk_status put_golden(hid_t file, const tk_param_table *table)
{
    static const char *const groups[] = {"weights", "grads", "inputs", "outputs", "cotangent"};
    static const int32_t modality[3] = {TK_TEXT, TK_VIDEO, TK_AUDIO}, row[3] = {0, 1, 2};
    const hid_t i32 = H5T_NATIVE_INT32, f32 = H5T_NATIVE_FLOAT;
    TK_TRY(tk_h5_put_attr_str(file, "config", model_yaml));
    for (int k = 0; k < 5; k++) {
        hid_t group;
        TK_TRY(tk_h5_group(file, groups[k], &group));
        H5Gclose(group);
    }
    for (int i = 0; i < 2 * table->n; i++) {
        const tk_param_spec *s = &table->spec[i / 2];
        TK_TRY(put(file, groups[i % 2], s->name, f32, s->rows, s->ndim == 2 ? s->cols : 0, NULL));
    }
    for (int k = 2; k < 5; k++) {
        TK_TRY(put(file, groups[k], "video", f32, 1, 5, NULL));
        TK_TRY(put(file, groups[k], "audio", f32, 1, 6, NULL));
    }
    TK_TRY(put(file, "inputs", "text", f32, 1, 2, NULL));
    TK_TRY(put(file, "inputs", "timestep", f32, 1, 0, NULL));
    TK_TRY(put(file, "inputs", "position", H5T_NATIVE_DOUBLE, 3, 3, NULL));
    TK_TRY(put(file, "inputs", "level", i32, 3, 0, NULL));
    TK_TRY(put(file, "inputs", "document", i32, 3, 0, NULL));
    TK_TRY(put(file, "inputs", "modality", i32, 3, 0, modality));
    TK_TRY(put(file, "inputs", "text_rows", i32, 1, 0, &row[0]));
    TK_TRY(put(file, "inputs", "video_rows", i32, 1, 0, &row[1]));
    return put(file, "inputs", "audio_rows", i32, 1, 0, &row[2]);
}

static tk_status seed_golden(const char *path)
{
    tk_config c;
    tk_param_table table;
    hid_t file;
    tk_config_init(&c);
    tk_status st = tk_config_parse(&c, 0, "model", model_yaml, strlen(model_yaml), 0, NULL);
    if (st == TK_OK) st = tk_param_table_build(&c.model, &c.arena, &table);
    if (st == TK_OK) st = tk_h5_create(path, "talkie-golden", 1, &file);
    if (st == TK_OK) {
        st = put_golden(file, &table);
        const tk_status closed = tk_h5_close(file, path);
        st = st == TK_OK ? closed : st;
    }
    tk_config_free(&c);
    return st;
}

// ---- weights alone ------------------------------------------------------------------------------

static tk_status seed_weights(const char *path)
{
    rig *r = the_rig();
    const tk_weights_form form = {.bf16 = true};
    tk_codec *codec = test_codec(1);
    tk_checkpoint_meta meta = {.step = 3, .codec = codec};
    tk_arena a;
    tk_arena_init(&a, 0);
    meta.config = tk_config_dump(&r->config, 0, &r->config.arena);
    char *whole = tk_arena_printf(&a, "%s.h5", path);
    fuzz_must(whole ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"), "a name");
    fuzz_must(seed_checkpoint(whole), "a checkpoint");
    const tk_status st =
        tk_weights_write(whole, path, &meta, &r->config.model, &form, tk_comm_self());
    unlink(whole);
    tk_arena_free(&a);
    tk_codec_free(codec);
    return st;
}

// ---- manifests of clips ------------------------------------------------------------------------

// What is wrong with a manifest is an answer, what is no MP4 file is bad input.
static void read_manifest(const char *path)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_proof *p = tk_arena_alloc(&a, sizeof *p);
    fuzz_must(p ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"), "a proof");
    const tk_status st = tk_proof_read(path, "", &a, p);
    fuzz_judge(st, path);
    if (st == TK_OK && p->state == TK_PROOF_INVALID && !p->faults)
        fuzz_must(TK_FAIL(TK_INTERNAL, "%s: it does not hold, and nothing is wrong", path),
                  "a proof");
    tk_arena_free(&a);
}

// ---- all ---------------------------------------------------------------------------------------

const fuzz_target fuzz_targets[] = {
    {"config", read_config, NULL},
    {"storyboard", read_storyboard, NULL},
    {"policy", read_policy, NULL},
    {"clip", read_clips, seed_clips},
    {"checkpoint", read_checkpoint, seed_checkpoint},
    {"golden", read_golden, seed_golden},
    {"codec", read_codec, seed_codec},
    {"safetensors", fuzz_read_safetensors, fuzz_seed_safetensors},
    {"manifest", read_manifest, NULL},
    {"weights", read_checkpoint_once, seed_weights},
    {"told", fuzz_read_told, fuzz_seed_told},
    {"latents", fuzz_read_latents, fuzz_seed_latents},
    {"record", fuzz_read_record, fuzz_seed_record},
    {"takedown", fuzz_read_takedown, fuzz_seed_takedown},
    {"wish", fuzz_read_wish, fuzz_seed_wish},
    {"history", fuzz_read_history, fuzz_seed_history},
    {"consent", fuzz_read_consent, fuzz_seed_consent},
    {"keys", fuzz_read_keys, NULL},
    {"npy", fuzz_read_npy, NULL},
    {"machine", fuzz_read_machine, NULL},
    {"diffusers", fuzz_read_diffusers, fuzz_seed_diffusers},
    {NULL, NULL, NULL},
};

const fuzz_target *fuzz_find(const char *name)
{
    for (const fuzz_target *t = fuzz_targets; t->name; t++)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}
