// SPDX-License-Identifier: Apache-2.0
// A model with random weights, and two documents for it.
#pragma once
#include "core/model/model.h"
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include "tests/support/tiny.h"
#include <math.h>
#include <string.h>

typedef struct rig { // a model with random weights and two documents
    tk_device device;
    tk_device_comm comm;
    tk_model model;
    tk_arena arena;
    tk_staging host;
    tk_stream stream;
    float *video, *audio, *weights;
    int32_t *tokens;
    bool halves; // backward in two
} rig;

// What a rig is of.
typedef struct kind {
    const tk_device_ops *ops;
    bool dry; // in its place
    tk_dtype compute;
    int threads;
    bool large;    // enough rows and channels for threads to have a share each
    bool rounds;   // the weights are numbers of bf16
    bool own;      // given rows ask given ones alone
    bool numbered; // rows tell of which shot they are
} kind;

static inline tk_key key(uint64_t purpose)
{
    return tk_rng_key(3, TK_RNG_TEST, purpose);
}

static inline float *noise(rig *r, int64_t n, uint64_t purpose)
{
    float *x = tk_arena_alloc(&r->arena, (size_t)n * sizeof *x);
    assert_non_null(x);
    tk_rng_fill_normal(key(purpose), 0, x, n, 1);
    return x;
}

static inline void open_stream(rig *r, bool large)
{
    const int64_t height = large ? 16 : 2, width = large ? 24 : 3;
    const tk_shot_rows shots[2] = {
        {.latent_frames = 2, .audio_rows = 3},
        {.latent_frames = 1, .audio_rows = 4, .start = 0.5, .target = true}};
    static const int64_t captions[2] = {2, 2};
    assert_int_equal(tk_stream_init(&r->stream, &r->arena, large ? 2048 : 64, 2, 5), TK_OK);
    for (int d = 0; d < 2; d++) {
        const tk_document doc = {.text_rows = 5 - d,
                                 .caption_rows = captions + d,
                                 .n_shots = 2 - d,
                                 .shots = shots + d,
                                 .height = height,
                                 .width = width - d,
                                 .fps = 8,
                                 .cadence = {2},
                                 .audio_units = 1,
                                 .audio_channels = 1 + d,
                                 .t_video = 0.3 + 0.2 * d,
                                 .t_audio = 0.6,
                                 .t_clean = 1,
                                 .id = d};
        assert_int_equal(tk_stream_append(&r->stream, &doc), TK_OK);
    }
    r->video = noise(r, r->stream.count[TK_VIDEO] * r->model.config.video_channels, 1);
    r->audio = noise(r, r->stream.count[TK_AUDIO] * r->model.config.audio_channels, 2);
    r->tokens = tk_arena_alloc(&r->arena, 64 * sizeof *r->tokens);
    for (int i = 0; i < 16; i++) r->tokens[i] = 40 * i % TK_BYTES;
}

static inline tk_status set_weights(rig *r, const float *w)
{
    if (r->model.compute == TK_BF16) {
        uint16_t *half = tk_arena_alloc(&r->arena, (size_t)r->model.n_local * sizeof *half);
        assert_non_null(half);
        for (int64_t i = 0; i < r->model.n_local; i++) half[i] = tk_bf16_from_float(w[i]);
        return tk_device_upload(&r->device, r->model.values.data, half, tk_bytes(&r->model.values));
    }
    for (int i = 0; i < r->model.n_weights; i++)
        TK_TRY(tk_model_set(&r->model, i, w + r->model.weight[i].offset));
    return TK_OK;
}

// Random everything: zeros among the initial weights would hide gradients.
static inline void open_kind(rig *r, kind k)
{
    memset(r, 0, sizeof *r);
    tk_arena_init(&r->arena, 0);
    if (k.dry)
        assert_ok(tk_device_open_dry(&r->device, k.ops, k.threads, (size_t)1 << 30));
    else
        assert_ok(tk_device_open(&r->device, k.ops, k.threads, (size_t)1 << 30));
    tk_staging_init(&r->host, &r->device);
    tk_device_comm_self(&r->comm, tk_comm_self(), &r->device);
    const tk_model_part part = {
        .device = &r->device, .tensor = &r->comm, .grads = true, .compute = k.compute};
    tk_model_config c = tiny_model;
    c.given = k.own ? TK_GIVEN_OWN : TK_GIVEN_ALL;
    c.shots = k.numbered ? TK_SHOTS_NUMBERED : TK_SHOTS_ALIKE;
    if (k.large) c.hidden = 64, c.ffn = 80, c.head_dim = 16;
    assert_int_equal(tk_model_open(&r->model, &c, &part), TK_OK);
    r->weights = noise(r, r->model.n_local, 3);
    for (int i = 0; i < r->model.n_weights; i++) {
        const tk_weight *q = &r->model.weight[i];
        const tk_param_spec *s = &r->model.table.spec[q->spec];
        const float scale = s->ndim == 2 ? 1 / sqrtf((float)s->cols) : 0.3f;
        const float shift = s->init == TK_INIT_ONE ? 1 : 0;
        for (int64_t j = 0; j < q->share.rows * q->share.cols; j++)
            r->weights[q->offset + j] = shift + scale * r->weights[q->offset + j];
    }
    for (int64_t i = 0; k.rounds && i < r->model.n_local; i++)
        r->weights[i] = tk_bf16_to_float(tk_bf16_from_float(r->weights[i]));
    assert_int_equal(set_weights(r, r->weights), TK_OK);
    open_stream(r, k.large);
}

static inline void open_rig(rig *r, const tk_device_ops *ops)
{
    open_kind(r, (kind){.ops = ops, .compute = TK_F32, .threads = 1});
}

static inline void close_rig(rig *r)
{
    tk_model_close(&r->model);
    assert_int_equal(r->device.pool.in_use, 0);
    tk_staging_free(&r->host);
    tk_device_close(&r->device);
    tk_arena_free(&r->arena);
}
