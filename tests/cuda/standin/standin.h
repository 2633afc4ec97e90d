// SPDX-License-Identifier: Apache-2.0
// A GPU that is none, for tests: what the stand-in for the CUDA runtime (cudart*.c) tells those for
// other libraries, and tests.
//
// Streams are queues of work which is done late, when a call of the runtime lets the device go on,
// and in any order that streams and events allow, drawn from a seed: TK_CUDA_SEED in the
// environment. Seed 0 does nothing before the host waits; others do some of it between. Device
// memory is pages that host code must not touch: they are open only while work runs. What
// must not be done ends the process with words on stderr; an entry point or flag that is not here
// does not link, or does likewise. One thread calls the runtime.
//
// The environment chooses what GPU it is:
//     TK_CUDA_SEED=1            order of streams (and of threads, dialect.h)
//     TK_CUDA_MEMORY=2048       MiB of a GPU
//     TK_CUDA_GPUS=1            how many there are; CUDA_VISIBLE_DEVICES says which are seen
//     TK_CUDA_ARCH=90           compute capability
//     TK_CUDA_SHARED=227        KiB of shared memory that a block may have
//     TK_CUDA_DRIVER=13000      CUDA version of the driver; 0: there is none
//     TK_CUDA_FAIL=call:3:700   the third call named so fails with error 700; call "any":
//     whichever,
//                               call "work": the third piece of work, when its turn comes
//     TK_CUDA_SLOW=RANK:20      on that rank of the world each piece of work takes 20 times as long
#pragma once
#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum standin_turn {
    STANDIN_DONE,
    STANDIN_MORE,    // some of it is; called again, perhaps after other streams
    STANDIN_NOT_YET, // waits for other ranks: other streams go on, called again
} standin_turn;

// Puts work on a stream. `run` is called when the work's turn comes, with a copy of the `bytes`
// bytes at `what` (aligned to 16) that is its own, so state may be kept there; a captured stream's
// work runs at each launch of the graph, from a fresh copy. Only in `run` may device memory be
// touched, and by nobody but it: MPI gets host memory. `name` lives as long as the program.
cudaError_t standin_enqueue(cudaStream_t stream, const char *name, standin_turn (*run)(void *what),
                            const void *what, size_t bytes);

// The same of work that cannot be done twice from one copy: before a launch of a graph that holds
// it is done, `renew` is called with the copy for that launch, in the order in which the works of
// the graph were captured.
cudaError_t standin_enqueue_again(cudaStream_t stream, const char *name,
                                  standin_turn (*run)(void *what), void (*renew)(void *what),
                                  const void *what, size_t bytes);

bool standin_captures(cudaStream_t stream);

// Work that keeps its own item: `work` is called until it is true. Not in a captured stream.
void standin_push(cudaStream_t stream, bool (*work)(void *item), void *item);

// Ends the process unless all these bytes are memory of the device.
void standin_needs_device(const char *who, const void *x, size_t bytes);
// From now on kernels may not touch these bytes of device memory, whole pages; NULL: nothing any
// more is kept from them.
void standin_wall(const void *at, size_t bytes);
// Memory of the device for a library that takes some itself; NULL: it is full.
void *standin_memory_new(size_t bytes);
void standin_memory_free(void *x, size_t bytes);
// A test has found something: ends the process, "stand-in: " and words on stderr.
void standin_fault(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
// The device has failed: so do all calls from now on, where the error is one that lasts.
void standin_fail(cudaError_t e);
// Lets the device go on for a while, as a real one does while the host waits for other things.
void standin_go_on(void);
// Another library's threads, which go on with the device.
void standin_beside(void (*go_on)(void));
uint64_t standin_draw(uint64_t n); // one of n

typedef struct standin_counts {
    int64_t calls;      // of the runtime
    int64_t launches;   // of kernels
    int64_t waits;      // of streams, for events
    int64_t host_waits; // synchronizing, and asking in vain for an event or a stream
    // What waits on a real device as well:
    int64_t allocations; // pinned memory made or freed, device memory mapped
    int64_t pageable;    // copies of host memory that is not pinned
} standin_counts;
standin_counts standin_count(void);       // so far
void standin_seed(uint64_t seed);         // from now on
void standin_leave_out_wait(int64_t nth); // 1: the next wait of a stream for an event is none
#ifdef __cplusplus
}
#endif
