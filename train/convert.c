// SPDX-License-Identifier: Apache-2.0
#include "train/convert.h"
#include "core/base/log.h"
#include "train/checkpoint/checkpoint.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct conversion {
    tk_comm *world;
    tk_arena arena;
    const char *from;
    char *to, *path; // the output; the file or folder that was found
    tk_checkpoint_meta meta;
    tk_config stored; // what it says of itself
    tk_weights_form form;
} conversion;

static bool has_suffix(const char *word, const char *suffix)
{
    const size_t n = strlen(word), m = strlen(suffix);
    return n > m && !strcmp(word + n - m, suffix);
}

// Whether a file or a folder is to be written follows from its name.
static tk_status name_target(conversion *v, const tk_invocation *in)
{
    const char *output = in->config.output;
    v->to = tk_arena_strdup(&v->arena, output);
    if (!v->to) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    v->form.checkpoint = has_suffix(output, ".h5");
    v->form.folder = !v->form.checkpoint && !has_suffix(output, ".safetensors");
    if (v->form.checkpoint) v->form.bf16 = false;
    size_t n = strlen(v->to);
    while (v->form.folder && n > 1 && v->to[n - 1] == '/') v->to[--n] = 0;
    return TK_OK;
}

static tk_status read_options(conversion *v, tk_invocation *in)
{
    const tk_convert_config *c = &in->config.convert;
    TK_TRY(tk_config_load(&in->config, TK_CMD_CONVERT, NULL, in->n_overrides, in->overrides));
    v->form.bf16 = c->type == TK_WEIGHT_BF16;
    v->form.shard = (int64_t)(c->shard * (1 << 20));
    return name_target(v, in);
}

// The published class has no table of bytes, and reads its text rows without their places.
static tk_status check_family(const conversion *v)
{
    const tk_model_config *m = &v->stored.model;
    const char *other =
        m->given == TK_GIVEN_OWN ? "in this model given rows attend to given ones alone "
                                   "(model.given), in the published family to all"
        : m->shots == TK_SHOTS_NUMBERED
            ? "rows of this model tell of which shot they are (model.shots), which the published "
              "family's do not"
        : m->text != TK_TEXT_FEATURES
            ? "this model reads bytes (model.text), which the published family does not"
            : NULL;
    if (!v->form.folder || !other) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %s; it cannot be laid out as diffusers' (%s). Write *.safetensors instead",
                   v->path, other, v->to);
}

static tk_status check_target(const conversion *v)
{
    static const tk_file_kind kind = {
        .name = "weights file", .at = 8, .head = "{", .words = "talkie-weights"};
    static const tk_file_kind checkpoint = {
        .name = "checkpoint", .at = 0, .head = "\x89HDF", .words = "talkie-checkpoint"};
    struct stat s;
    char *const inputs[] = {v->path};
    if (!v->form.folder)
        return tk_file_check_output(v->to, v->form.checkpoint ? &checkpoint : &kind, 1, inputs);
    if (stat(v->to, &s) || S_ISDIR(s.st_mode)) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s is there and no folder; name another output", v->to);
}

tk_status tk_convert_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    conversion v = {.path = in->files[0]};
    (void)ranks; // any number can read
    if (!*in->config.output)
        tk_wrong_add(w, "output",
                     "missing: -o names a file, *.safetensors or *.h5, or a folder for the layout "
                     "of diffusers");
    if (!*in->config.output) return TK_OK;
    tk_arena_init(&v.arena, 0);
    tk_status st = name_target(&v, in);
    if (st == TK_OK) st = tk_wrong_with(w, "output", check_target(&v));
    tk_arena_free(&v.arena);
    return st;
}

// Where files lay on the machine that trained says nothing to those who open weights.
static tk_status strip_config(conversion *v)
{
    tk_config *c = &v->stored;
    c->data.n_files = c->data.n_check = 0;
    c->train.check_every = 0; // of clips that are named no more
    c->train.out = "runs/train";
    c->train.from = c->codec.file = c->eval.checkpoint = "";
    c->codec.store = TK_CODEC_CARRY;
    v->meta.config = tk_config_dump(c, TK_CMD_TRAIN | TK_CMD_EVAL, &v->arena);
    return v->meta.config ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the config");
}

static tk_status read_stored(conversion *v)
{
    const char *text = v->meta.config;
    TK_TRY(tk_config_parse(&v->stored, TK_CMD_PLAN, v->path, text, strlen(text), 0, NULL));
    TK_TRY(check_family(v));
    return v->meta.bare ? TK_OK : strip_config(v);
}

static tk_status look_at_source(conversion *v, const tk_invocation *in)
{
    bool averaged = false;
    TK_TRY(read_stored(v));
    TK_TRY(check_target(v));
    TK_TRY(tk_checkpoint_has(v->path, "ema", &averaged));
    v->form.average = averaged && in->config.convert.average;
    return TK_OK;
}

static tk_status run_conversion(conversion *v, tk_invocation *in)
{
    tk_comm *w = v->world;
    TK_TRY(tk_config_agree(w, read_options(v, in), &in->config));
    const char *codec_file = v->form.folder ? NULL : in->config.codec.file;
    TK_TRY(
        tk_agree(w, tk_checkpoint_newest(v->from, codec_file, w, &v->arena, &v->path, &v->meta)));
    TK_TRY(tk_agree(w, look_at_source(v, in)));
    TK_TRY(tk_weights_write(v->path, v->to, &v->meta, &v->stored.model, &v->form, w));
    tk_log("%s: the %sweights of %s as %s%s", v->to, v->form.average ? "averaged " : "", v->path,
           v->form.bf16 ? "bf16" : "fp32",
           v->form.folder          ? ", in the layout of diffusers"
           : v->meta.codec == NULL ? ", without a codec: none is known"
                                   : ", with their codec");
    return TK_OK;
}

tk_status tk_convert_command(tk_comm *world, tk_invocation *in)
{
    conversion v = {.world = world, .from = in->files[0]};
    tk_arena_init(&v.arena, 0);
    tk_config_init(&v.stored);
    const tk_status st = run_conversion(&v, in);
    tk_codec_free(v.meta.codec);
    tk_config_free(&v.stored);
    tk_arena_free(&v.arena);
    return st;
}
