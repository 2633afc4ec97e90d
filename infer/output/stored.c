// SPDX-License-Identifier: Apache-2.0
#include "infer/output/stored.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "infer/output/parts.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

tk_latents_form tk_stored_form(const tk_story *s, const tk_codec_info *k)
{
    const tk_grid *grid = &s->grid;
    return (tk_latents_form){
        .codec = k->digest,
        .rows = {[TK_CODEC_VIDEO] = grid->latent_frames, [TK_CODEC_AUDIO] = grid->audio_rows},
        .numbers = {[TK_CODEC_VIDEO] = grid->high * grid->wide * k->video_channels,
                    [TK_CODEC_AUDIO] = s->channels * k->audio_channels}};
}

static tk_status look_at_told(const json_t *root, const char *path, const tk_latents_form *form,
                              tk_stored *out)
{
    const char *named = json_string_value(
        json_object_get(json_object_get(root, tk_part_name[TK_PART_LATENTS]), "digest"));
    bool same;
    TK_TRY(tk_part_same(root, TK_PART_LATENTS, path, &same));
    if (same && tk_latents_look(path, &out->form) == TK_OK) {
        same = !memcmp(&out->form, form, sizeof *form);
    } else {
        tk_status_clear();
        same = false;
    }
    if (!same) {
        tk_log_warn("%s is not what the clip's description names: the clip is made anew", path);
        return TK_OK;
    }
    out->digest = strtoull(named, NULL, 16);
    out->path = path;
    return TK_OK;
}

tk_status tk_stored_look(const char *output, uint64_t made, const tk_latents_form *form,
                         tk_arena *a, tk_stored *out)
{
    json_t *root;
    char hex[TK_HEX_DIGEST];
    tk_status st = TK_OK;
    const char *path = tk_part_path(output, TK_PART_LATENTS, a);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_part_told(output, a, &root));
    const char *found = json_string_value(json_object_get(root, "made"));
    if (found && !strcmp(found, tk_digest_hex(made, hex)) && access(path, F_OK) == 0)
        st = look_at_told(root, path, form, out);
    json_decref(root);
    return st;
}

static tk_status stored_rows(tk_latent_source *s, tk_codec_side side, int64_t first, int64_t n,
                             tk_row_part *out)
{
    tk_stored_rows *r = (tk_stored_rows *)s;
    const int64_t numbers = n * r->file.form.numbers[side];
    if (numbers > r->room[side]) {
        tk_free(r->rows[side]);
        r->room[side] = 0;
        TK_NEW(r->rows[side], numbers);
        r->room[side] = numbers;
    }
    TK_TRY(tk_latents_get(&r->file, side, first, n, r->rows[side]));
    *out = (tk_row_part){r->rows[side], first};
    return TK_OK;
}

tk_status tk_stored_open(const tk_stored *k, tk_stored_rows *out)
{
    *out = (tk_stored_rows){.source = {stored_rows}};
    return tk_latents_open(k->path, &k->form, k->digest, &out->file);
}

void tk_stored_close(tk_stored_rows *r)
{
    tk_latents_close(&r->file);
    for (int k = 0; k < TK_CODEC_SIDES; k++) tk_free(r->rows[k]);
    *r = (tk_stored_rows){0};
}
