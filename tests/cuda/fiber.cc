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

static __thread struct {
    tk_fiber *all, *now; // `now` runs
    void (*body)(void);
    void *host; // top of the host thread's own stack
    void *host_fake;
    const void *host_stack; // as the sanitizer says
    size_t host_bytes;
    bool ended; // the fiber that ran last
} here;

// ---- the sanitizer's view --------------------------------------------------------------------

static void leave(void **fake, const void *stack, size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(fake, stack, bytes);
#else
    (void)fake, (void)stack, (void)bytes;
#endif
}

static void arrive(void *fake, const void **from_stack, size_t *from_bytes)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, from_stack, from_bytes);
#else
    (void)fake, (void)from_stack, (void)from_bytes;
#endif
}

// ---- fibers ----------------------------------------------------------------------------------

static void make_all(void)
{
    const size_t bytes = (size_t)TK_FIBERS * TK_FIBER_STACK, page = 4096;
    char *stacks = (char *)mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    here.all = (tk_fiber *)calloc(TK_FIBERS, sizeof *here.all);
    if (stacks == MAP_FAILED || !here.all) {
        fprintf(stderr, "out of memory for %zu bytes of fibers' stacks\n", bytes);
        abort();
    }
    for (int i = 0; i < TK_FIBERS; i++) {
        here.all[i].stack = stacks + (size_t)i * TK_FIBER_STACK;
        mprotect(here.all[i].stack, page, PROT_NONE); // one that is too deep ends here
    }
}

static void yield_to_host(bool for_good)
{
    tk_fiber *f = here.now;
    here.ended = for_good;
    leave(for_good ? NULL : &f->fake, here.host_stack, here.host_bytes);
    tk_fiber_switch(&f->top, here.host);
    arrive(f->fake, &here.host_stack, &here.host_bytes);
}

// What a fiber begins with; it never returns.
__attribute__((no_sanitize("address"))) static void begin(void)
{
    arrive(NULL, &here.host_stack, &here.host_bytes);
    here.body();
    yield_to_host(true);
    abort();
}

tk_fiber *tk_fiber_new(int which, void (*body)(void))
{
    if (!here.all) make_all();
    tk_fiber *f = &here.all[which];
    here.body = body;
    // Not all stacks begin at the same place of a cache.
    const size_t apart = (size_t)which * 192 % 4096;
    void **top = (void **)(f->stack + TK_FIBER_STACK - apart) - 2; // where begin's caller would be
    top[0] = (void *)begin;
    top[1] = NULL;
    for (int i = 1; i <= KEPT; i++) top[-i] = NULL;
    f->top = top - KEPT;
    f->fake = NULL;
    return f;
}

bool tk_fiber_resume(tk_fiber *f)
{
    here.now = f;
    leave(&here.host_fake, f->stack, TK_FIBER_STACK);
    tk_fiber_switch(&here.host, f->top);
    arrive(here.host_fake, NULL, NULL);
    return !here.ended;
}

void tk_fiber_yield(void)
{
    yield_to_host(false);
}
