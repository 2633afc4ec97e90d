// SPDX-License-Identifier: Apache-2.0
#include "train/parity/golden.h"
#include "core/store/h5.h"
#include <string.h>

static const char *const modality_name[TK_MODALITIES] = {"video", "text", "audio"};

tk_status tk_golden_open(const char *path, tk_arena *a, tk_golden *g)
{
    hid_t file;
    memset(g, 0, sizeof *g);
    TK_TRY(tk_h5_open(path, "talkie-golden", 1, &file));
    tk_status s = tk_h5_get_attr_str(file, "config", a, &g->config);
    H5Fclose(file);
    return tk_status_in_file(s, path);
}

static tk_status get_f32(hid_t file, const char *group, const char *name, int64_t rows,
                         int64_t cols, tk_arena *a, float **out)
{
    char path[256];
    int64_t dim[2] = {rows, cols};
    snprintf(path, sizeof path, "%s/%s", group, name);
    return tk_h5_get(file, path, H5T_NATIVE_FLOAT, cols ? 2 : 1, dim, a, (void **)out);
}

static tk_status get_rows(hid_t file, const char *name, hid_t type, int64_t rows, int64_t cols,
                          tk_arena *a, void *out)
{
    char path[64];
    int64_t dim[2] = {rows, cols};
    snprintf(path, sizeof path, "inputs/%s", name);
    return tk_h5_get(file, path, type, cols ? 2 : 1, dim, a, (void **)out);
}

static tk_status get_inputs(hid_t file, tk_arena *a, const tk_model_config *c, tk_golden *g)
{
    const int64_t channels[TK_MODALITIES] = {[TK_VIDEO] = c->video_channels,
                                             [TK_TEXT] = c->text_channels,
                                             [TK_AUDIO] = c->audio_channels};
    int ndim;
    TK_TRY(tk_h5_shape(file, "inputs/timestep", 1, &ndim, &g->levels));
    TK_TRY(tk_h5_shape(file, "inputs/modality", 1, &ndim, &g->rows));
    TK_TRY(get_rows(file, "timestep", H5T_NATIVE_FLOAT, g->levels, 0, a, &g->timestep));
    TK_TRY(get_rows(file, "level", H5T_NATIVE_INT32, g->rows, 0, a, &g->level));
    TK_TRY(get_rows(file, "modality", H5T_NATIVE_INT32, g->rows, 0, a, &g->modality));
    TK_TRY(get_rows(file, "document", H5T_NATIVE_INT32, g->rows, 0, a, &g->document));
    TK_TRY(get_rows(file, "position", H5T_NATIVE_DOUBLE, g->rows, 3, a, &g->position));
    for (int k = 0; k < TK_MODALITIES; k++) {
        char name[32];
        snprintf(name, sizeof name, "inputs/%s_rows", modality_name[k]);
        TK_TRY(tk_h5_shape(file, name, 1, &ndim, &g->count[k]));
        TK_TRY(get_rows(file, name + strlen("inputs/"), H5T_NATIVE_INT32, g->count[k], 0, a,
                        &g->row[k]));
        TK_TRY(
            get_f32(file, "inputs", modality_name[k], g->count[k], channels[k], a, &g->input[k]));
        if (k == TK_TEXT) continue;
        TK_TRY(
            get_f32(file, "outputs", modality_name[k], g->count[k], channels[k], a, &g->output[k]));
        TK_TRY(get_f32(file, "cotangent", modality_name[k], g->count[k], channels[k], a,
                       &g->cotangent[k]));
    }
    return TK_OK;
}

// Indices must be what they claim before anything is addressed with them.
static tk_status check_rows(const char *path, tk_golden *g)
{
    int64_t seen[TK_MODALITIES] = {0};
    for (int64_t i = 0; i < g->rows; i++) {
        const int32_t m = g->modality[i], d = g->document[i];
        const int32_t before = i ? g->document[i - 1] : 0;
        if (m < 0 || m >= TK_MODALITIES || g->level[i] < 0 || g->level[i] >= g->levels)
            return TK_FAIL(TK_INPUT, "%s: row %lld has modality %d and level %d", path,
                           (long long)i, m, g->level[i]);
        if (d != before && d != before + 1)
            return TK_FAIL(TK_INPUT,
                           "%s: documents must be numbered from 0 and lie end to end (row %lld)",
                           path, (long long)i);
        if (seen[m] >= g->count[m] || g->row[m][seen[m]] != i)
            return TK_FAIL(TK_INPUT, "%s: inputs/%s_rows does not list row %lld in stream order",
                           path, modality_name[m], (long long)i);
        seen[m]++;
        g->documents = d + 1;
    }
    for (int m = 0; m < TK_MODALITIES; m++)
        if (seen[m] != g->count[m])
            return TK_FAIL(TK_INPUT, "%s: inputs/%s_rows lists rows of other modalities", path,
                           modality_name[m]);
    return TK_OK;
}

tk_status tk_golden_read(const char *path, tk_arena *a, const tk_model_config *c,
                         const tk_param_table *table, tk_golden *g)
{
    hid_t file;
    TK_ARENA_NEW(g->weight, a, table->n);
    TK_ARENA_NEW(g->grad, a, table->n);
    TK_TRY(tk_h5_open(path, "talkie-golden", 1, &file));
    tk_status st = get_inputs(file, a, c, g);
    for (int i = 0; i < table->n && st == TK_OK; i++) {
        const tk_param_spec *s = &table->spec[i];
        const int64_t cols = s->ndim == 2 ? s->cols : 0;
        st = get_f32(file, "weights", s->name, s->rows, cols, a, &g->weight[i]);
        if (st == TK_OK) st = get_f32(file, "grads", s->name, s->rows, cols, a, &g->grad[i]);
    }
    H5Fclose(file);
    TK_TRY(tk_status_in_file(st, path));
    return check_rows(path, g);
}

tk_status tk_golden_stream(const tk_golden *g, int64_t begin, int64_t end, tk_arena *a,
                           tk_stream *s, int64_t first[TK_MODALITIES])
{
    TK_TRY(tk_stream_init(s, a, g->rows, end - begin, g->levels));
    memcpy(s->timestep, g->timestep, (size_t)g->levels * sizeof *s->timestep);
    s->n_levels = g->levels;
    memset(first, 0, TK_MODALITIES * sizeof *first);
    for (int64_t i = 0; i < g->rows; i++) {
        const int32_t m = g->modality[i];
        if (g->document[i] < begin) first[m]++;
        if (g->document[i] < begin || g->document[i] >= end) continue;
        const int64_t r = s->rows++;
        s->modality[r] = m;
        s->level[r] = g->level[i];
        s->document[r] = (int32_t)(g->document[i] - begin);
        s->target[r] = m != TK_TEXT;
        memcpy(s->position[r], g->position + 3 * i, sizeof s->position[r]);
        s->row[m][s->count[m]++] = (int32_t)r;
        s->n_documents = s->document[r] + 1;
        s->document_start[s->n_documents] = (int32_t)s->rows;
    }
    return TK_OK;
}
