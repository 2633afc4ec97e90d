// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/cudnn/plan.h"
#include <stdio.h>
#include <string.h>

typedef cudnnBackendDescriptor_t descriptor;

enum { CANDIDATES = 4 };

static descriptor describe_device(tk_cudnn_parts *p, const tk_cudnn_target *on)
{
    if (on->handle) return NULL;
    const descriptor x = tk_cudnn_new(p, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    tk_cudnn_set(p, x, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 (int64_t)strlen(on->description), on->description);
    tk_cudnn_finish(p, x);
    return x;
}

// Engines as the heuristic ranks them. Returns how many.
static int64_t candidates(tk_cudnn_parts *p, descriptor graph, descriptor device,
                          descriptor list[CANDIDATES])
{
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    int64_t n = 0;
    const descriptor x = tk_cudnn_new(p, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    tk_cudnn_join(p, x, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    tk_cudnn_set(p, x, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    tk_cudnn_join(p, x, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
    tk_cudnn_finish(p, x);
    for (int i = 0; i < CANDIDATES; i++)
        list[i] = tk_cudnn_new(p, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (!p->status)
        p->status = tk_cudnn.cudnnBackendGetAttribute(
            x, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, CANDIDATES, &n, list);
    return p->status ? 0 : n;
}

static descriptor plan_by(tk_cudnn_parts *p, const tk_cudnn_target *on, descriptor device,
                          descriptor engine, int64_t *workspace)
{
    int64_t n = 0;
    const descriptor x = tk_cudnn_new(p, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    tk_cudnn_join(p, x, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine);
    tk_cudnn_join(p, x, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
    if (on->handle)
        tk_cudnn_set(p, x, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &on->handle);
    tk_cudnn_finish(p, x);
    if (!p->status)
        p->status = tk_cudnn.cudnnBackendGetAttribute(x, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                      CUDNN_TYPE_INT64, 1, &n, workspace);
    return p->status ? NULL : x;
}

static void note_why(tk_cudnn_plan *out)
{
    char more[sizeof out->why - 64] = "";
    if (!out->parts.status) {
        snprintf(out->why, sizeof out->why, "none of its engines takes it");
        return;
    }
    tk_cudnn.cudnnGetLastErrorString(more, sizeof more);
    snprintf(out->why, sizeof out->why, "%s%s%s", tk_cudnn.cudnnGetErrorString(out->parts.status),
             *more ? ": " : "", more);
    for (char *c = out->why; *c; c++)
        if (*c == '\n') *c = ' ';
}

void tk_cudnn_plan_make(const tk_cudnn_target *on, const tk_cudnn_shape *s, tk_cudnn_plan *out)
{
    *out = (tk_cudnn_plan){.shape = *s};
    tk_cudnn_parts *p = &out->parts;
    descriptor engine[CANDIDATES];
    const descriptor graph = tk_cudnn_graph(p, on->handle, s), device = describe_device(p, on);
    const int64_t n = candidates(p, graph, device, engine);
    for (int64_t i = 0; i < n && !out->plan; i++) {
        p->status = CUDNN_STATUS_SUCCESS; // of the one before
        out->plan = plan_by(p, on, device, engine[i], &out->workspace);
    }
    if (!out->plan) note_why(out);
}

void tk_cudnn_plan_end(tk_cudnn_plan *p)
{
    tk_cudnn_end(&p->parts);
    p->plan = NULL;
}

// ---- what plans take ---------------------------------------------------------------------------

static int64_t up_to(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

int64_t tk_cudnn_quadratic(const tk_cudnn_shape *s)
{
    enum { ASK = 64, ASKED = 128 }; // tiles of the gradient's scores, in bf16
    if (s->way != TK_CUDNN_BACK) return 0;
    return s->documents * s->heads * up_to(s->ask, ASK) * up_to(s->asked, ASKED) * 2;
}

int64_t tk_cudnn_workspace(const tk_cudnn_shape *s)
{
    enum { EACH = 512 }; // descriptions of its tensors, for each document and three more
    return (s->documents + 3) * EACH + tk_cudnn_quadratic(s);
}

bool tk_cudnn_knows_channels(int64_t channels)
{
    return channels > 0 && channels <= 256 && channels % 16 == 0;
}
