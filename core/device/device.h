// SPDX-License-Identifier: Apache-2.0
// A device: memory, queues of work, and its implementation of the operator table.
//
// "ref" (plain loops, the specification), "cpu" (fast, oneDNN GEMM and threads), "cuda" (NVIDIA
// GPUs, where it is built in) and "dry" (computes nothing, touches nothing; counts bytes and FLOPs:
// `talkie plan` runs the real program on it).
//
// All work is asked for on the device's queue of the moment (tk_device_on) and may be done later,
// in the order of that queue. The order between queues is made by events (core/device/event.h)
// alone. Host memory passed to upload and download must stay as it is until the host has waited,
// by tk_device_sync or for an event recorded after. A failure may be told by a later call than the
// one that failed. A device is used by one thread.
#pragma once
#include "core/config/config.h"
#include "core/device/pool.h"
#include "core/numbers/tensor.h"

typedef struct tk_device tk_device;
struct tk_call;
struct tk_event;
struct tk_ledger;
struct tk_recording;

// What a device implements, called by the functions below alone.
//
// One operator on one device. `scratch` says how many bytes of pool memory the call needs beside
// its tensors; the dispatcher takes them for the length of the call and passes them as d->scratch,
// at a multiple of 256 bytes (NULL = none; the dry device asks it too, so that plans include it).
// `back` adds to or sets each wanted input gradient (see core/device/ops/ops.h); NULL where the
// operator has no gradient.
typedef struct tk_kernel {
    tk_status (*fore)(tk_device *d, const struct tk_call *c);
    tk_status (*back)(tk_device *d, const struct tk_call *c);
    size_t (*scratch)(const tk_device *d, const struct tk_call *c, bool back);
    // Whether it reads and writes this call's bf16 itself; where not (NULL: never), the dispatcher
    // hands it fp32 copies.
    bool (*bf16)(const struct tk_call *c, bool back);
    // Whether it can be run (NULL: always): what is wrong in words, on a dry device too. Asked
    // first.
    tk_status (*check)(const tk_device *d, const struct tk_call *c, bool back);
} tk_kernel;

// Ways to do an operator, chosen by shape: tk_device_learn and the functions after it.
typedef struct tk_device_choice_ops {
    tk_status (*learn)(tk_device *d, bool on);
    tk_status (*write)(tk_device *d, tk_arena *a, char **text);
    tk_status (*read)(tk_device *d, int n, const char *const text[], int64_t *own);
} tk_device_choice_ops;

// Graphs (core/device/graph.h). What is asked of the queue of operators between begin and end, and
// of queues that wait for it, is recorded.
typedef struct tk_device_graph_ops {
    tk_status (*begin)(tk_device *d);
    tk_status (*end)(tk_device *d, void **graph); // also ends what went wrong, and says so
    tk_status (*launch)(tk_device *d, void *graph);
    void (*close)(tk_device *d, void *graph);
} tk_device_graph_ops;

// Who does attention on a device that has a choice, and how: options attention,
// attention_workspace and train.deterministic.
typedef struct tk_attention_way {
    int64_t by;        // tk_attention_kind; AUTO: the library where it takes a call
    int64_t workspace; // bytes that one run of the library may take beside its tensors, at most
    bool any_order;    // gradients may be summed up as they come: other bits each time
    int64_t version;   // of the library, 91900 being 9.19.0; 0: there is none
} tk_attention_way;

// One of the accelerators of a kind that this process may use.
typedef struct tk_card {
    char name[96];        // "NVIDIA H100 80GB HBM3"
    unsigned char id[16]; // no other card in the world has it
} tk_card;

// Work of the host's that has a place in a queue (tk_device_post).
typedef struct tk_late_job {
    void (*run)(void *work); // by the queue's thread; `work` is its own from then on
    void *work;
    // Called by the host while it waits for the job, every few milliseconds: `begins` the first
    // time. NULL: nothing is.
    void (*look)(const void *context, const char *op, bool begins);
    const void *context;
    const char *op;
} tk_late_job;

// What moves, computes or zeroes does so on d->queue.
typedef struct tk_device_ops {
    const char *name;
    bool computes; // false for "dry": results are never written, addresses never touched
    // How many cards there are (TK_INPUT in words why none can be used), and card i of them. NULL
    // where the device is the host.
    tk_status (*cards)(int *n);
    tk_status (*card)(int i, tk_card *out);
    // What of it is neither talkie nor the device: "driver 580.95.05, CUDA 13.0"; NULL: nothing.
    void (*software)(tk_device *d, char *out, size_t size);
    tk_status (*open)(tk_device *d, int threads); // on card d->card
    void (*close)(tk_device *d);
    tk_status (*memory)(tk_device *d, size_t *available, size_t *total);
    // Address space for the pool; *bytes 0: as much as makes sense, told there.
    tk_status (*reserve)(tk_device *d, size_t *bytes, void **base);
    // There is memory for the first `bytes` of it from now on; NULL where there always is.
    tk_status (*grow)(tk_device *d, size_t bytes);
    void (*release)(tk_device *d, void *base, size_t bytes);
    void *(*host_new)(tk_device *d, size_t bytes); // NULL: out of memory
    void (*host_free)(tk_device *d, void *x);
    tk_status (*upload)(tk_device *d, void *to, const void *host, size_t bytes);
    tk_status (*download)(tk_device *d, void *host, const void *from, size_t bytes);
    tk_status (*copy)(tk_device *d, void *to, const void *from, size_t bytes);
    tk_status (*copy_2d)(tk_device *d, void *to, size_t to_stride, const void *from,
                         size_t from_stride, size_t rows, size_t bytes);
    tk_status (*zero)(tk_device *d, void *to, size_t bytes);
    // Told of pool memory given back, in the order of the queue; NULL where that is nothing.
    void (*freed)(tk_device *d, void *x, size_t bytes);
    tk_status (*event_open)(struct tk_event *e);
    void (*event_close)(struct tk_event *e);
    tk_status (*event_record)(struct tk_event *e, tk_queue q);
    tk_status (*event_wait)(struct tk_event *e, tk_queue q);
    tk_status (*event_sync)(struct tk_event *e);
    tk_status (*event_done)(struct tk_event *e, bool *done);
    tk_status (*event_seconds)(struct tk_event *from, struct tk_event *to, double *seconds);
    tk_status (*sync)(tk_device *d);
    // Threads of queues (core/device/late.h); NULL where the host does no work of a queue's.
    tk_status (*post)(tk_device *d, tk_queue q, const tk_late_job *job);
    void (*reach)(tk_device *d, tk_queue q);
    const tk_kernel *kernels;            // indexed by tk_op
    const tk_device_choice_ops *choices; // NULL: there is one way to do each operator
    // The version of the library that can do attention; TK_INPUT in words where it is not there.
    // NULL: attention is the device's own.
    tk_status (*attends)(tk_device *d, int64_t *version);
    const tk_device_graph_ops *graphs; // NULL: it has none
} tk_device_ops;

// What a device was asked for (core/device/trace.h).
typedef enum tk_trace_kind {
    TK_TRACE_NEW, // memory of the pool
    TK_TRACE_UPLOAD,
    TK_TRACE_DOWNLOAD,
    TK_TRACE_COPY,
    TK_TRACE_ZERO,
    TK_TRACE_OPERATOR,
    TK_TRACE_COLLECTIVE,
    TK_TRACE_MESSAGE,
    TK_TRACE_EVENT,     // recorded
    TK_TRACE_WAIT,      // of a queue, for an event
    TK_TRACE_HOST_WAIT, // for an event
    TK_TRACE_SYNC,      // the host's wait for everything
    TK_TRACE_GRAPH,     // a recording's begin or end, or a launch
    TK_TRACE_KINDS
} tk_trace_kind;

struct tk_device {
    const tk_device_ops *ops;
    const tk_device_ops *stands_for; // of "dry"; NULL of others
    const tk_kernel *kernels;        // of ops, or of the device it stands for
    int threads, card;
    tk_queue queue;     // of what is asked for now
    tk_pool pool;       // device memory: weights, activations, gradients, scratch
    tk_pool registered; // and what is sent, where a transport knows that memory; no bytes: none
    double flops;       // floating-point operations of GEMM and attention run so far (model FLOPs)
    tk_attention_way attention; // tk_device_attend's; at first our own
    // Whether a row of a product has the same bits whatever other rows are with it, so that
    // documents may share a stream; false until set. Devices that are not in host memory do not
    // look at it.
    bool steady;
    void *scratch; // of the call now running
    struct {
        int64_t calls[TK_TRACE_KINDS], bytes[TK_TRACE_KINDS];
    } trace;                        // so far
    struct tk_recording *recording; // of the graph that is open; NULL: none
    // For words when its memory is full: what the program is at ("training step 12"), the operator
    // that is asked for, and the peak of the pool that was planned (0: none was).
    char during[48];
    const char *op;
    size_t planned;
    struct tk_ledger *ledger; // of a dry one (core/device/ledger.h); NULL: none is kept
    void *impl;
};

extern const tk_device_ops tk_device_ref, tk_device_cpu; // for tests; programs use this:
// A tk_device_kind, of option `device`, auto being cpu; NULL: not in this build, as opening it will
// say.
const tk_device_ops *tk_device_find(int64_t kind);

// card: among those of the kind, 0 where the device is the host. threads 0: all cores. bytes: of
// the pool; 0: as much as makes sense (host memory: address space of twice the machine's, since
// touched pages only count; a GPU: address space of all its memory, taken as the pool's peak
// grows).
tk_status tk_device_open_card(tk_device *d, const tk_device_ops *ops, int card, int threads,
                              size_t bytes);
tk_status tk_device_open(tk_device *d, const tk_device_ops *ops, int threads, size_t bytes); // 0
// "dry" in the place of `like`, which is not opened: it is asked what scratch its kernels need.
tk_status tk_device_open_dry(tk_device *d, const tk_device_ops *like, int threads, size_t bytes);
void tk_device_close(tk_device *d);
bool tk_device_card(const tk_device *d, tk_card *out); // false where the device is the host
// Drivers and libraries that it computes by, in words; "" where there is nothing to tell.
void tk_device_software(tk_device *d, char *out, size_t size);

// Where work goes from now on; returns where it went before. TK_QUEUE_COMPUTE at first.
tk_queue tk_device_on(tk_device *d, tk_queue q);
tk_status tk_device_sync(tk_device *d); // the host waits until all work of all queues is done

// For transports by calls of the host, on a device whose memory is the host's. A job is done in the
// order of the queue of the moment, beside the host; work that the host does itself on a queue
// comes after the queue's jobs, for which it waits.
bool tk_device_posts(const tk_device *d); // if not, there are no jobs
tk_status tk_device_post(tk_device *d, const tk_late_job *job);
void tk_device_reach(tk_device *d, tk_queue q);

// Memory from the pool, in the order of the queue of the moment (see core/device/pool.h for when
// another queue may use it). tk_device_new gives uninitialized memory; free with tk_device_free.
// Memory of tk_device_new is for activations; the others say what for. What a communicator of this
// device sends or fills (core/device/comm/comm.h) is that of tk_device_new_sent, or for messages.
tk_status tk_device_new(tk_device *d, tk_dtype t, int64_t rows, int64_t cols, tk_tensor *out);
tk_status tk_device_new_for(tk_device *d, tk_pool_purpose purpose, tk_dtype t, int64_t rows,
                            int64_t cols, tk_tensor *out);
tk_status tk_device_new_sent(tk_device *d, tk_pool_purpose purpose, tk_dtype t, int64_t rows,
                             int64_t cols, tk_tensor *out);
void tk_device_free(tk_device *d, tk_tensor *t); // absent tensors are fine; clears *t
// From now on the pool has memory for a peak of so many bytes, taken at once; it takes more when
// more is needed.
tk_status tk_device_expect(tk_device *d, size_t bytes);
// From now on memory of what is sent lies in these bytes, a second pool, and nowhere else: it is
// TK_MEMORY where they are full, since a transport must not be given other memory on one rank and
// this on another. The owner takes them back once nothing of the device uses them any more. On a
// dry device base is NULL.
tk_status tk_device_register(tk_device *d, void *base, size_t bytes);
void tk_device_unregister(tk_device *d);                 // without any it does nothing
tk_pool *tk_device_pool_of(tk_device *d, const void *x); // that byte x lies in, if in any
bool tk_device_maps(const tk_device *d); // false where there is always memory for the pool
// Bytes of the device that nobody has taken, and all it has; what the pool has taken counts.
tk_status tk_device_memory(tk_device *d, size_t *available, size_t *total);

// Host memory that copies to and from the device go by at full speed, beside the host's work.
// Zeroed, 64-byte aligned. Freed when the device is done with it.
tk_status tk_device_host_new(tk_device *d, size_t bytes, void **out);
void tk_device_host_free(tk_device *d, void *x); // NULL is fine

// Host data to a fresh device tensor and back (the download waits for everything).
tk_status tk_device_put(tk_device *d, const void *host, tk_dtype t, int64_t rows, int64_t cols,
                        tk_tensor *out);
tk_status tk_device_get(tk_device *d, const tk_tensor *t, void *host);

// Bytes between host memory and the pools, and within them. Device addresses must lie in a pool,
// host memory must be there (TK_INTERNAL else); 0 bytes are nothing, whatever the addresses.
tk_status tk_device_upload(tk_device *d, void *to, const void *host, size_t bytes);
tk_status tk_device_download(tk_device *d, void *host, const void *from, size_t bytes);
tk_status tk_device_copy(tk_device *d, void *to, const void *from, size_t bytes);
// `rows` rows of `bytes` bytes each; row r begins r * stride bytes after the first, on each side.
// Strides are at least `bytes`. The two sides share no byte: they may be columns of one array (of
// one stride), but not else lie between each other.
tk_status tk_device_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                            size_t from_stride, size_t rows, size_t bytes);
tk_status tk_device_zero(tk_device *d, void *to, size_t bytes);

// Who does attention from now on. AUTO becomes OWN where there is no library, with the words why in
// tk_status_message(); CUDNN is TK_INPUT there. A dry device in the place of one that may have a
// library is taken to have it, of version 0.
tk_status tk_device_attend(tk_device *d, int64_t by, int64_t workspace);

// One operator's kernel, with its scratch. For the dispatcher (core/device/ops/ops.h), which has
// checked the call.
bool tk_device_has(const tk_device *d, const struct tk_call *c, bool back);
tk_status tk_device_run(tk_device *d, const struct tk_call *c, bool back);

// False for "dry": results are never written and downloads give zeros, so that what only makes
// values (initial weights, rows of clips, timings) may be left out.
bool tk_device_computes(const tk_device *d);

// Where a device has several ways to do an operator, which give other bits, it chooses one for each
// shape: by a rule, the same on all devices of a kind, unless one was learned by timing. What was
// learned is a text that a run keeps, so that it goes on with the same bits and all its ranks
// choose alike.
bool tk_device_learns(const tk_device *d); // if not, the functions below must not be called
// From now on shapes first met are timed, with waits of the host, and what operators give is not to
// be used; until it is turned off.
tk_status tk_device_learn(tk_device *d, bool on);
tk_status tk_device_learned(tk_device *d, tk_arena *a, char **text);
// From now on what n such texts say alone, of two for one shape the first. *own: how many of them
// are for devices of this kind. TK_INPUT, and nothing learned, when a text is damaged.
tk_status tk_device_choose(tk_device *d, int n, const char *const text[], int64_t *own);
