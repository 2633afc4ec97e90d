// SPDX-License-Identifier: Apache-2.0
// libFuzzer's side of the targets; scripts/fuzz.sh runs it.
//
//     FUZZ_TARGET=clip fuzzer CORPUS ...        libFuzzer's own options and folders
//     FUZZ_TARGET=clip fuzzer --seed FILE       writes a small valid file
//     fuzzer --list                             names the targets
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/store/probe.h"
#include "tests/fuzz/targets.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *x, size_t bytes);

static const fuzz_target *target;
static char input[64];

static void remove_input(void)
{
    unlink(input);
}

static void list(void)
{
    for (const fuzz_target *t = fuzz_targets; t->name; t++) puts(t->name);
    exit(0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (tk_h5_probing(*argc, *argv)) exit(tk_h5_probe_main());
    tk_h5_probe_by("/proc/self/exe");
    tk_log_open(0, 0);
    if (*argc == 2 && !strcmp((*argv)[1], "--list")) list();
    const char *name = getenv("FUZZ_TARGET");
    target = name ? fuzz_find(name) : NULL;
    if (!target) {
        fprintf(stderr, "FUZZ_TARGET names no target of tests/fuzz/targets.c\n");
        exit(64);
    }
    if (*argc == 3 && !strcmp((*argv)[1], "--seed"))
        exit(target->seed ? tk_status_exit_code(target->seed((*argv)[2])) : 0);
    snprintf(input, sizeof input, "/dev/shm/talkie-fuzz-%d", (int)getpid());
    atexit(remove_input);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *x, size_t bytes)
{
    remove_input(); // a file of its own each time
    const int fd = open(input, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || tk_pwrite_all(fd, input, x, bytes, 0) != TK_OK) abort();
    close(fd);
    target->read(input);
    return 0;
}
