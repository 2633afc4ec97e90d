// SPDX-License-Identifier: Apache-2.0
// The config.json that diffusers writes beside a model of the published family.
#include "core/config/wrong.h"
#include "train/checkpoint/internal.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS "MiniMaxH3Transformer3DModel"
enum { CONFIG_MAX = 1 << 20, PATCH = 3 };

typedef struct config_key {
    const char *theirs, *ours;
    size_t at; // in tk_model_config
    bool real;
} config_key;

#define WHOLE(theirs, ours)                                   \
    {                                                         \
        theirs, #ours, offsetof(tk_model_config, ours), false \
    }
#define REAL(name)                                          \
    {                                                       \
#name, #name, offsetof(tk_model_config, name), true \
    }
static const config_key fields[] = {
    WHOLE("hidden_size", hidden),
    WHOLE("num_attention_heads", heads),
    WHOLE("attention_head_dim", head_dim),
    WHOLE("num_layers", layers),
    WHOLE("num_refiner_layers", refiner_layers),
    WHOLE("ffn_dim", ffn),
    WHOLE("audio_in_channels", audio_channels),
    WHOLE("text_dim", text_channels),
    WHOLE("freq_dim", freq_dim),
    WHOLE("time_embed_hidden_dim", time_hidden),
    WHOLE("time_embed_dim", time_dim),
    WHOLE("rope_freq_dim", rope_freq_dim),
    REAL(rope_theta),
    REAL(norm_eps),
    REAL(qk_norm_eps),
    REAL(final_norm_eps),
};
enum { FIELDS = sizeof fields / sizeof *fields };

// ---- reading -----------------------------------------------------------------------------------

static bool is_known_key(const char *key)
{
    if (key[0] == '_' || !strcmp(key, "in_channels") || !strcmp(key, "patch_size")) return true;
    for (int i = 0; i < FIELDS; i++)
        if (!strcmp(key, fields[i].theirs)) return true;
    return false;
}

static void check_keys(const json_t *root, tk_wrong *w)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)root, key, value)
    {
        (void)value;
        if (!is_known_key(key))
            tk_wrong_add(w, "",
                         "%.80s is not known here, so that nobody can tell what it does to the "
                         "model",
                         key);
    }
}

// Numbers of a video row: the channels of a patch's latent pixels.
static void read_video_channels(const json_t *root, tk_wrong *w, tk_text *to)
{
    char want[TK_WANTED];
    const json_t *in = json_object_get(root, "in_channels");
    const json_t *patch = json_object_get(root, "patch_size");
    double channels = (double)json_integer_value(in);
    bool good = channels > 0 && json_array_size(patch) == PATCH;
    for (size_t i = 0; i < PATCH && good; i++) {
        const json_int_t side = json_integer_value(json_array_get(patch, i));
        good = side > 0;
        channels *= (double)side;
    }
    if (tk_config_takes("model.video_channels", channels, want) && good)
        tk_text_addf(to, "  video_channels: %.0f\n", channels);
    else
        tk_wrong_add(w, "",
                     "in_channels and patch_size do not say how many numbers a video row has: a "
                     "whole number and a list of three, whose product is %s and not 0",
                     want);
}

static void read_field(const config_key *f, const json_t *root, tk_wrong *w, tk_text *to)
{
    char name[64], want[TK_WANTED];
    const json_t *v = json_object_get(root, f->theirs);
    const double x = json_number_value(v);
    snprintf(name, sizeof name, "model.%s", f->ours);
    const bool number = f->real ? json_is_number(v) : json_is_integer(v);
    if (tk_config_takes(name, x, want) && number) {
        tk_text_addf(to, "  %s: %.17g\n", f->ours, x);
        return;
    }
    char *is = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
    tk_wrong_add(w, "", "%s is %.60s, not %s", f->theirs, is ? is : "not there", want);
    free(is); // style: allow, jansson's
}

static tk_status write_yaml(const char *path, const json_t *root, tk_arena *a, tk_text *to)
{
    const char *class = json_string_value(json_object_get(root, "_class_name"));
    tk_wrong w = tk_wrong_of(NULL, path, a);
    if (class && strcmp(class, CLASS))
        return TK_FAIL(TK_INPUT, "%s is of a %.80s; the models known here are " CLASS, path, class);
    tk_text_addf(to, "model:\n  text: features\n");
    check_keys(root, &w);
    read_video_channels(root, &w, to);
    for (int i = 0; i < FIELDS; i++) read_field(&fields[i], root, &w, to);
    // The shifts that the published weights were trained for; a storyboard may say others.
    tk_text_addf(to, "sample:\n  video_shift: 12\n  audio_shift: 3\n");
    TK_TRY(tk_wrong_end(&w));
    return to->s ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a config");
}

tk_status tk_ck_diffusers_read(const char *folder, tk_arena *a, char **yaml)
{
    char *text, *path = tk_arena_printf(a, "%s/%s", folder, TK_DIFFUSERS_CONFIG);
    size_t bytes;
    json_error_t error;
    tk_text to = tk_text_in(a);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_file_read(path, CONFIG_MAX, a, &text, &bytes));
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return TK_FAIL(TK_INPUT, "%s:%d:%d: not JSON: %.120s", path, error.line, error.column,
                       error.text);
    const tk_status st = json_is_object(root) ? write_yaml(path, root, a, &to)
                                              : TK_FAIL(TK_INPUT, "%s is not a JSON object", path);
    json_decref(root);
    *yaml = to.s;
    return st;
}

// ---- writing -----------------------------------------------------------------------------------

tk_status tk_ck_diffusers_text(const tk_model_config *m, tk_arena *a, char **text)
{
    json_t *root = json_pack("{s:s, s:I, s:[i, i, i]}", "_class_name", CLASS, "in_channels",
                             (json_int_t)m->video_channels, "patch_size", 1, 1, 1);
    for (int i = 0; i < FIELDS; i++) {
        const void *at = (const char *)m + fields[i].at;
        json_object_set_new(root, fields[i].theirs,
                            fields[i].real ? json_real(*(const double *)at)
                                           : json_integer((json_int_t) * (const int64_t *)at));
    }
    char *dump = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(root);
    *text = dump ? tk_arena_printf(a, "%s\n", dump) : NULL;
    free(dump); // style: allow, jansson's
    return *text ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for " TK_DIFFUSERS_CONFIG);
}
