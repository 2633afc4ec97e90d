// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/standin/fiber.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    tk_fiber *all, *now, *before; // `now` runs, `before` went to it; NULL: the host does
    tk_fiber host;
    void (*body)(void);
    int made;
} here;
static const uint64_t mark = 0x7a1ce5caf01dab1e; // at the lowest address of each stack

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

// In large pages: going through hundreds of stacks in turn is what a block's barrier is.
static char *new_stacks(void)
{
    const size_t spare = 2 * TK_FIBER_STACK; // what grows out of the first ends there
    const size_t bytes = (size_t)TK_FIBERS * TK_FIBER_STACK + spare, page = 2 << 20;
    char *x = (char *)mmap(NULL, bytes + page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (x == MAP_FAILED) return NULL;
    x = (char *)(((uintptr_t)x + page - 1) / page * page);
    (void)madvise(x, bytes, MADV_HUGEPAGE);
    return x + spare;
}

static void make_all(void)
{
    char *stacks = new_stacks();
    here.all = (tk_fiber *)calloc(TK_FIBERS, sizeof *here.all);
    if (!stacks || !here.all) {
        fprintf(stderr, "out of memory for the stacks of %d fibers\n", TK_FIBERS);
        abort();
    }
    for (int i = 0; i < TK_FIBERS; i++) {
        here.all[i].stack = stacks + (size_t)i * TK_FIBER_STACK;
        here.all[i].bytes = TK_FIBER_STACK;
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
    memcpy((char *)f->stack, &mark, sizeof mark);
    if (here.made <= which) here.made = which + 1;
    // Not all stacks begin at the same place of a cache.
    const size_t apart = (size_t)which * 192 % 4096;
    void **top =
        (void **)((char *)f->stack + TK_FIBER_STACK - apart) - 2; // where begin's caller would be
    top[0] = (void *)begin;
    top[1] = NULL;
    for (int i = 1; i <= KEPT; i++) top[-i] = NULL;
    f->top = top - KEPT;
    return f;
}

bool tk_fiber_too_deep(void)
{
    for (int i = 0; i < here.made; i++)
        if (memcmp(here.all[i].stack, &mark, sizeof mark) != 0) return true;
    return false;
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
