// SPDX-License-Identifier: Apache-2.0
// Captured streams. By the mode that forbids this thread alone what a capture cannot hold: other
// threads, such as NCCL's, go on asking for their events.
#include "core/device/cuda/cuda.h"

static tk_status graph_begin(tk_device *d)
{
    return tk_cuda_check(d,
                         cudaStreamBeginCapture(tk_cuda_of(d)->stream[TK_QUEUE_COMPUTE],
                                                cudaStreamCaptureModeThreadLocal),
                         "beginning to record a graph");
}

static tk_status graph_end(tk_device *d, void **out)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    TK_TRY(tk_cuda_check(d, cudaStreamEndCapture(tk_cuda_of(d)->stream[TK_QUEUE_COMPUTE], &graph),
                         "recording a graph"));
    const cudaError_t e = cudaGraphInstantiate(&exec, graph, 0);
    (void)cudaGraphDestroy(graph);
    TK_TRY(tk_cuda_check(d, e, "making a graph of what was recorded"));
    *out = exec;
    return TK_OK;
}

static tk_status graph_launch(tk_device *d, void *graph)
{
    return tk_cuda_check(
        d, cudaGraphLaunch((cudaGraphExec_t)graph, tk_cuda_of(d)->stream[TK_QUEUE_COMPUTE]),
        "launching a graph");
}

static void graph_close(tk_device *d, void *graph)
{
    (void)d;
    (void)cudaGraphExecDestroy((cudaGraphExec_t)graph);
}

const tk_device_graph_ops tk_cuda_graph_ops = {
    .begin = graph_begin, .end = graph_end, .launch = graph_launch, .close = graph_close};
