// SPDX-License-Identifier: Apache-2.0
// From public names to this rank's weights, once, when the model opens.
#include "core/model/model.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct name {
    const char *name;
    size_t at; // of an int: index of the weight
} name;

#define LINEAR(type, text, field)                   \
    {text ".weight", offsetof(type, field.weight)}, \
    {                                               \
        text ".bias", offsetof(type, field.bias)    \
    }

static const name of_model[] = {
    LINEAR(tk_model_weights, "proj_in", proj_in),
    LINEAR(tk_model_weights, "audio_proj_in", audio_proj_in),
    {"text_embed.weight", offsetof(tk_model_weights, text_embed)},
    {"shot_embed.weight", offsetof(tk_model_weights, shot_embed)},
    LINEAR(tk_model_weights, "context_embedder", context_embedder),
    {"token_refiner.final_norm.weight", offsetof(tk_model_weights, refiner_norm)},
    LINEAR(tk_model_weights, "time_embedder.linear_1", time_1),
    LINEAR(tk_model_weights, "time_embedder.linear_2", time_2),
    {"norm_out.norm.weight", offsetof(tk_model_weights, norm_out)},
    LINEAR(tk_model_weights, "norm_out.linear", norm_out_table),
    LINEAR(tk_model_weights, "proj_out", proj_out),
    LINEAR(tk_model_weights, "audio_proj_out", audio_proj_out),
};

static const name of_block[] = {
    {"norm1.weight", offsetof(tk_block_weights, norm1)},
    {"attn.to_q.weight", offsetof(tk_block_weights, to_q)},
    {"attn.to_k.weight", offsetof(tk_block_weights, to_k)},
    {"attn.to_v.weight", offsetof(tk_block_weights, to_v)},
    {"attn.norm_q.weight", offsetof(tk_block_weights, norm_q)},
    {"attn.norm_k.weight", offsetof(tk_block_weights, norm_k)},
    {"attn.to_out.0.weight", offsetof(tk_block_weights, to_out)},
    {"norm2.weight", offsetof(tk_block_weights, norm2)},
    {"ff.net.0.proj.weight", offsetof(tk_block_weights, ff_in)},
    {"ff.net.2.weight", offsetof(tk_block_weights, ff_out)},
    LINEAR(tk_block_weights, "adaln_proj.linear", adaln),
};

// Sets the indices of `names` in *to: -1 where the weight is not of this model or not on this rank.
static void resolve(tk_model *m, const char *prefix, const name *names, int n, void *to, int *found)
{
    for (int k = 0; k < n; k++) {
        char full[128];
        int *index = (int *)((char *)to + names[k].at);
        snprintf(full, sizeof full, "%s%s", prefix, names[k].name);
        *index = -1;
        for (int i = 0; i < m->n_weights && *index < 0; i++)
            if (!strcmp(m->table.spec[m->weight[i].spec].name, full)) *index = i;
        *found += *index >= 0;
    }
}

static void resolve_block(tk_model *m, const char *list, int64_t i, tk_block_weights *to,
                          int *found)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.%lld.", list, (long long)i);
    resolve(m, prefix, of_block, sizeof of_block / sizeof *of_block, &to[i], found);
}

tk_status tk_model_name_weights(tk_model *m)
{
    tk_model_weights *w = &m->named;
    const int64_t refiner = m->stage == 0 ? m->config.refiner_layers : 0;
    int found = 0;
    TK_ARENA_NEW(w->refiner, &m->arena, refiner + 1);
    TK_ARENA_NEW(w->block, &m->arena, m->config.layers + 1);
    resolve(m, "", of_model, sizeof of_model / sizeof *of_model, w, &found);
    for (int64_t i = 0; i < refiner; i++)
        resolve_block(m, "token_refiner.refiner_blocks", i, w->refiner, &found);
    for (int64_t i = 0; i < m->config.layers; i++)
        if (tk_model_holds(m, i)) resolve_block(m, "transformer_blocks", i, w->block, &found);
    if (found == m->n_weights) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "the forward pass knows %d of this rank's %d weights", found,
                   m->n_weights);
}
