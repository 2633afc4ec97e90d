// SPDX-License-Identifier: Apache-2.0
// For tests that run themselves under mpirun, in a role given as an argument: what the ranks said,
// and how they ended.
#pragma once
#include "core/base/log.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <sys/wait.h>

enum { RANKS = 2 };
static char self[4096]; // the program's path

typedef struct outcome {
    int code;
    double seconds;
    char words[16384];
} outcome;

static void run_role(const char *environment, const char *role, outcome *o)
{
    char command[8192];
    size_t n = 0;
    snprintf(command, sizeof command,
             "TALKIE_COMM_TIMEOUT=2 TK_CUDA_SEED=1 %s mpirun --oversubscribe -n %d '%s' '%s' 2>&1; "
             "exit $?",
             environment, RANKS, self, role);
    const double begin = tk_now();
    FILE *f = popen(command, "r");
    assert_non_null(f);
    for (size_t got;
         n + 1 < sizeof o->words && (got = fread(o->words + n, 1, sizeof o->words - 1 - n, f)) > 0;)
        n += got;
    o->words[n] = 0;
    const int status = pclose(f);
    o->seconds = tk_now() - begin;
    o->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(const char *environment, const char *role, int code, const char *words)
{
    enum { LONG = 15 }; // seconds, of which the start takes some
    outcome o;
    run_role(environment, role, &o);
    if (o.code != code || !strstr(o.words, words) || o.seconds > LONG)
        fail_msg("%s %s: exit code %d after %.1f s, not %d and \"%s\": %s", environment, role,
                 o.code, o.seconds, code, words, o.words);
}
