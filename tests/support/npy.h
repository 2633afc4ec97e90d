// SPDX-License-Identifier: Apache-2.0
// Files of text features for tests, byte for byte as numpy.save writes them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Writes x (rows, cols) as float32, or rounded to float16.
void test_write_npy(const char *path, int64_t rows, int64_t cols, bool half, const float *x);
// A file of version 1 whose dictionary is `text` as it stands, with `bytes` of `numbers` behind it.
void test_forge_npy(const char *path, const char *text, const void *numbers, size_t bytes);
