// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stories.h"
#include "core/numbers/rng.h"
#include "infer/story/story.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

static const char stories_model[] =
    "model: {given: %s, hidden: 24, heads: 3, head_dim: 14, layers: 4, "
    "refiner_layers: 1, ffn: 21,\n"
    "  video_channels: 5, audio_channels: 6, text_channels: 8, freq_dim: 8,\n"
    "  time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n";

void stories_save_model(tk_comm *world, const char *to, bool random, const char *given)
{
    char yaml[512];
    snprintf(yaml, sizeof yaml, stories_model, given);
    tk_parallel_config p = {.tensor = 1, .pipeline = 1};
    tk_mesh mesh;
    tk_device device;
    tk_model model;
    tk_config c;
    tk_config_init(&c);
    assert_ok(tk_config_parse(&c, TK_CMD_PLAN, "test", yaml, strlen(yaml), 0, NULL));
    assert_ok(tk_mesh_open(&mesh, world, &p, TK_AXIS_DATA));
    assert_ok(tk_device_open(&device, &tk_device_cpu, 1, (size_t)1 << 30));
    assert_ok(tk_mesh_attach(&mesh, &device));
    assert_ok(tk_model_open(
        &model, &c.model,
        &(tk_model_part){.device = &device, .tensor = &mesh.axis[TK_AXIS_TENSOR].device}));
    assert_ok(tk_model_init_weights(&model, 5));
    for (int i = 0; i < model.n_weights && random; i++) {
        const tk_param_spec *s = &model.table.spec[model.weight[i].spec];
        float *w = tk_alloc((size_t)(s->rows * s->cols) * sizeof *w);
        assert_non_null(w);
        tk_rng_fill_normal(tk_rng_key(9, TK_RNG_TEST, (uint64_t)i), 0, w, s->rows * s->cols,
                           s->ndim == 1 ? 0.2f : 1 / sqrtf((float)s->cols));
        for (int64_t k = 0; k < s->rows && s->ndim == 1; k++) w[k] += 1;
        assert_ok(tk_model_set(&model, i, w));
        assert_ok(tk_device_sync(&device));
        tk_free(w);
    }
    tk_codec *codec = test_codec(1);
    const tk_flat flat = {"model", model.values, &model.whole, 1,
                          mesh.axis[TK_AXIS_DATA].rank == 0};
    const tk_checkpoint_meta meta = {.step = 1, .config = yaml, .codec = codec};
    assert_ok(tk_checkpoint_save(to, &mesh, &model, 1, &flat, &meta));
    tk_codec_free(codec);
    tk_model_close(&model);
    tk_mesh_close(&mesh);
    tk_device_close(&device);
    tk_config_free(&c);
}

static tk_status put_bytes(const tk_file *f, const void *bytes, size_t n)
{
    return tk_pwrite_all(f->fd, f->path, bytes, n, 0);
}

static void write_picture(const char *path)
{
    char ppm[11 + 8 * 8 * 3] = "P6\n8 8\n255\n";
    for (size_t i = 11; i < sizeof ppm; i++) ppm[i] = (char)((i - 11) * 37);
    assert_ok(whole_file(put_bytes, path, ppm, sizeof ppm));
}

void stories_plan(const tk_comm *world, char *picture, tk_arena *a, tk_config *config,
                  tk_story *story)
{
    static char *references[1];
    static tk_shot_config shots[3] = {{.seconds = 0.5, .prompt = "one"},
                                      {.seconds = 0.5, .prompt = "another"},
                                      {.seconds = 0.5, .prompt = "the last"}};
    references[0] = picture;
    if (world->rank == 0) write_picture(picture);
    tk_config_init(config);
    config->media.width = config->media.height = 8;
    config->sample.window = 1;
    config->sample.steps = 3;
    config->sample.guidance = 2.5;
    config->sample.video_shift = 3;
    config->sample.audio_shift = 2;
    config->story.seed = 11;
    config->story.shots = shots;
    config->story.n_shots = 3;
    config->story.references = references;
    config->story.n_references = 1;
    tk_codec *codec = test_codec(1);
    assert_ok(tk_story_plan(config, codec, a, story));
    tk_codec_free(codec);
    assert_int_equal(story->n_windows, 2);
}

int64_t stories_numbers(const tk_story *s, int modality)
{
    if (modality == TK_TEXT) return 0;
    return modality == TK_VIDEO ? s->grid.video_rows * STORIES_VIDEO
                                : s->grid.audio_rows * s->channels * STORIES_AUDIO;
}
