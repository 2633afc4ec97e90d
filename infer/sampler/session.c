// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/session.h"
#include "core/base/log.h"
#include "parallel/devices.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static tk_status check_trained(const tk_trained *t)
{
    const tk_codec_info *k = tk_codec_get_info(t->meta.codec);
    const tk_model_config *m = &t->config.model;
    if (m->video_channels != k->video_channels || m->audio_channels != k->audio_channels)
        return TK_FAIL(TK_INPUT,
                       "%s: the model makes rows of %lld and %lld channels, its codec takes %lld "
                       "and %lld",
                       t->path, (long long)m->video_channels, (long long)m->audio_channels,
                       (long long)k->video_channels, (long long)k->audio_channels);
    if (t->meta.text.empty && t->meta.text.channels != m->text_channels)
        return TK_FAIL(
            TK_INPUT,
            "%s: the model reads text features of %lld, those it has of an empty caption "
            "are %lld wide",
            t->path, (long long)m->text_channels, (long long)t->meta.text.channels);
    return TK_OK;
}

// Rank 0 looks, the others are told.
static tk_status look_for_average(tk_trained *t, tk_comm *world)
{
    TK_TRY(tk_agree(world, world->rank ? TK_OK : tk_checkpoint_has(t->path, "ema", &t->has_ema)));
    return tk_comm_broadcast(world, &t->has_ema, sizeof t->has_ema, 0);
}

// Weights that say nothing of media: clocks and channels are their codec's.
static void describe_media(tk_trained *t)
{
    const tk_codec_info *k = tk_codec_get_info(t->meta.codec);
    t->config.media.fps = k->fps;
    t->config.media.sample_rate = k->sample_rate;
    t->config.media.channels = k->channels;
}

static tk_status parse_config(tk_trained *t)
{
    if (t->meta.weights && !t->meta.codec)
        return TK_FAIL(TK_INPUT,
                       "%s: these weights come without a codec, which makes pictures and sound of "
                       "their rows; name the file of one: codec.file=FILE",
                       t->path);
    if (!t->meta.config || !t->meta.codec)
        return TK_FAIL(TK_INPUT, "%s: this checkpoint has no config or no codec", t->path);
    TK_TRY(tk_config_parse(&t->config, TK_CMD_PLAN, t->path, t->meta.config, strlen(t->meta.config),
                           0, NULL));
    tk_config plain; // a clip says how it was made, and not by how many ranks its model was trained
    tk_config_init(&plain);
    t->config.parallel = plain.parallel;
    tk_config_free(&plain);
    if (t->meta.bare) describe_media(t);
    return check_trained(t);
}

static tk_status open_all(const char *where, const char *codec_file, tk_comm *world, tk_arena *a,
                          tk_trained *t)
{
    TK_TRY(tk_agree(world, tk_checkpoint_newest(where, codec_file, world, a, &t->path, &t->meta)));
    TK_TRY(look_for_average(t, world));
    return tk_agree(world, parse_config(t));
}

tk_status tk_trained_open(const char *where, const char *codec_file, tk_comm *world, tk_arena *a,
                          tk_trained *out)
{
    memset(out, 0, sizeof *out);
    tk_config_init(&out->config);
    out->where = tk_arena_strdup(a, where);
    const tk_status st = open_all(where, codec_file, world, a, out);
    if (st != TK_OK) tk_trained_close(out);
    return st;
}

void tk_trained_close(tk_trained *t)
{
    tk_codec_free(t->meta.codec);
    tk_config_free(&t->config);
    memset(t, 0, sizeof *t);
}

tk_status tk_session_open(tk_session *s, tk_mesh *mesh, const tk_trained *t,
                          const tk_parallel_config *p, bool ema)
{
    *s = (tk_session){.mesh = mesh, .trained = t, .ema = ema && t->has_ema};
    s->averaged = s->ema || t->meta.averaged;
    TK_TRY(tk_devices_open(mesh, p, 0, &s->device));
    s->device.steady = true; // what is made alone and what shares a stream has the same bits
    tk_sampler_open(&s->sampler, mesh, &s->device, &s->model);
    return TK_OK;
}

static tk_status open_session_model(tk_session *s)
{
    const tk_model_part part = tk_sampler_part(s->mesh, &s->device);
    return tk_model_open(&s->model, &s->trained->config.model, &part);
}

tk_status tk_session_load(tk_session *s)
{
    tk_mesh *m = s->mesh;
    TK_TRY(tk_agree(&m->world, open_session_model(s)));
    tk_flat flat = {.group = s->ema ? "ema" : "model",
                    .x = s->model.values,
                    .stretch = &s->model.whole,
                    .n = 1,
                    .owner =
                        m->axis[TK_AXIS_DATA].rank == 0 && m->axis[TK_AXIS_GUIDANCE].rank == 0};
    return tk_agree(&m->world, tk_checkpoint_load(s->trained->path, m, &s->model, 1, &flat));
}

tk_status tk_session_untrained(tk_session *s, uint64_t seed)
{
    return tk_model_init_weights(&s->model, seed);
}

tk_status tk_session_describe(const tk_session *s)
{
    const bool first = s->mesh->replica.rank == 0;
    const tk_sampler *x = &s->sampler;
    enum { STEPS, RECORDED, REPLAYED, ROWS, SPARED, SUMS };
    uint64_t sum[SUMS] = {0};
    if (first) {
        sum[STEPS] = (uint64_t)x->steps;
        sum[RECORDED] = (uint64_t)x->recorded;
        sum[REPLAYED] = (uint64_t)x->replayed;
        sum[ROWS] = (uint64_t)x->rows;
        sum[SPARED] = (uint64_t)x->spared;
    }
    TK_TRY(tk_comm_sum_u64(&s->mesh->world, sum, SUMS));
    if (sum[RECORDED])
        tk_log("graphs: %llu of %llu steps replayed (%.0f%%), %llu recorded, one for each window",
               (unsigned long long)sum[REPLAYED], (unsigned long long)sum[STEPS],
               100 * (double)sum[REPLAYED] / (double)sum[STEPS], (unsigned long long)sum[RECORDED]);
    if (sum[SPARED])
        tk_log("given rows: computed once a window; %llu of %llu rows in all steps (%.0f%%) were "
               "not computed again",
               (unsigned long long)sum[SPARED], (unsigned long long)(sum[ROWS] + sum[SPARED]),
               100 * (double)sum[SPARED] / (double)(sum[ROWS] + sum[SPARED]));
    return TK_OK;
}

void tk_session_close(tk_session *s)
{
    tk_sampler_close(&s->sampler);
    if (s->model.device) tk_model_close(&s->model);
    if (s->mesh) tk_mesh_detach(s->mesh);
    if (s->device.ops) tk_device_close(&s->device);
    memset(s, 0, sizeof *s);
}
