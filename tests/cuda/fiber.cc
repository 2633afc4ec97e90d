// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/fiber.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

// Keeps what a called function keeps, leaves the stack at *from and goes on at that of `to`.
extern "C" void tk_fiber_switch(void **from, void *to);
asm(".text\n"
    ".type tk_fiber_switch, @function\n"
    "tk_fiber_switch:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    ".size tk_fiber_switch, . - tk_fiber_switch\n");
enum { KEPT = 6 }; // registers

enum { STACK = 256 << 10 };

static __thread struct {
    tk_fiber *all, *now, *before; // `now` runs, `before` went to it; NULL: the host does
    tk_fiber host;
    void (*body)(void);
} here;

// ---- the sanitizer's view --------------------------------------------------------------------

static void leave(tk_fiber *f, const tk_fiber *to)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&f->fake, to->stack, to->bytes);
#else
    (void)f, (void)to;
#endif
}

// Where the host's stack lies is known once it has been left.
static void arrive(tk_fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f->fake, &here.before->stack, &here.before->bytes);
#else
    (void)f;
#endif
}

// ---- fibers ----------------------------------------------------------------------------------

static void make_all(void)
{
    const size_t bytes = (size_t)TK_FIBERS * STACK, page = 4096;
    char *stacks = (char *)mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    here.all = (tk_fiber *)calloc(TK_FIBERS, sizeof *here.all);
    if (stacks == MAP_FAILED || !here.all) {
        fprintf(stderr, "out of memory for %zu bytes of fibers' stacks\n", bytes);
        abort();
    }
    for (int i = 0; i < TK_FIBERS; i++) {
        here.all[i].stack = stacks + (size_t)i * STACK;
        here.all[i].bytes = STACK;
        mprotect(stacks + (size_t)i * STACK, page, PROT_NONE); // one that is too deep ends here
    }
}

// What a fiber begins with.
__attribute__((no_sanitize("address"))) static void begin(void)
{
    arrive(here.now);
    here.body();
    abort();
}

tk_fiber *tk_fiber_new(int which, void (*body)(void))
{
    if (!here.all) make_all();
    tk_fiber *f = &here.all[which];
    here.body = body;
    // Not all stacks begin at the same place of a cache.
    const size_t apart = (size_t)which * 192 % 4096;
    void **top = (void **)((char *)f->stack + STACK - apart) - 2; // where begin's caller would be
    top[0] = (void *)begin;
    top[1] = NULL;
    for (int i = 1; i <= KEPT; i++) top[-i] = NULL;
    f->top = top - KEPT;
    return f;
}

tk_fiber *tk_fiber_host(void)
{
    return &here.host;
}

void tk_fiber_go(tk_fiber *to)
{
    tk_fiber *from = here.now ? here.now : &here.host;
    here.before = from;
    here.now = to;
    leave(from, to);
    tk_fiber_switch(&from->top, to->top);
    arrive(from);
}
