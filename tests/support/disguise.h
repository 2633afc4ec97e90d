// SPDX-License-Identifier: Apache-2.0
// Words disguised at random, as people who want to get by a filter do: for tests.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISGUISED = 4096 }; // bytes

typedef struct disguises {
    uint64_t state; // of the source of randomness
} disguises;

uint64_t draw(disguises *d, uint64_t n); // in [0, n)
// One of the ways, or two of them that go together; its name.
const char *disguise(disguises *d, const char *word, char out[DISGUISED]);
