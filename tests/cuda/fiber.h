// SPDX-License-Identifier: Apache-2.0
// Fibers: each a stack of its own, on which a function runs until it yields or returns. Those of a
// host thread are resumed by that thread alone, from outside any fiber. A switch costs some ten
// nanoseconds: it makes no system call. The address sanitizer is told of switches.
#pragma once

typedef struct tk_fiber {
    void *top;   // of its stack, while it does not run
    char *stack; // lowest address
    void *fake;  // the address sanitizer's own stack of it
} tk_fiber;

enum { TK_FIBERS = 1024, TK_FIBER_STACK = 256 << 10 };

// Number `which` of TK_FIBERS is made to run `body` from its beginning when resumed next. Whatever
// it did before is forgotten. Kept by the host thread for its life.
tk_fiber *tk_fiber_new(int which, void (*body)(void));
// Runs it until it yields (true) or its function has returned (false).
bool tk_fiber_resume(tk_fiber *f);
// Called on a fiber: goes on behind the tk_fiber_resume that runs it.
void tk_fiber_yield(void);
