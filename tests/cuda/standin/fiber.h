// SPDX-License-Identifier: Apache-2.0
// Fibers: each a stack of its own, on which a function runs until it goes to another. Those of a
// host thread are gone to by that thread alone. A switch costs some nanoseconds: it makes no
// system call. The address sanitizer is told of switches.
#pragma once
#include <stddef.h>

typedef struct tk_fiber {
    void *top;         // of its stack, while it does not run
    const void *stack; // lowest address
    size_t bytes;
    void *fake; // the address sanitizer's own stack of it
} tk_fiber;

// Bytes; the address sanitizer puts more between what lies there.
#ifdef __SANITIZE_ADDRESS__
enum { TK_FIBERS = 1024, TK_FIBER_STACK = 256 << 10 };
#else
enum { TK_FIBERS = 1024, TK_FIBER_STACK = 64 << 10 };
#endif

// Number `which` of TK_FIBERS, which begins with `body` when it is gone to first. `body` never
// returns. To be made once; kept by the host thread for its life.
tk_fiber *tk_fiber_new(int which, void (*body)(void));
// Whether any stack has been too small so far.
bool tk_fiber_too_deep(void);
// The host thread itself, on its own stack: it runs first.
tk_fiber *tk_fiber_host(void);
// Leaves the one that runs for `to`; returns once somebody goes to it again.
void tk_fiber_go(tk_fiber *to);
