// SPDX-License-Identifier: Apache-2.0
// Lists that grow by doubling, in memory of their own (tk_free).
#pragma once
#include "core/base/mem.h"

// Room for one more in a `list` that holds n items of at most cap; `first` items to begin with.
// Fails the enclosing function with a message, the list as it was.
#define TK_ROOM_FOR_ONE(list, n, cap, first)                                                       \
    do {                                                                                           \
        if ((n) == (cap)) {                                                                        \
            const __typeof__(cap) room_ = (cap) ? 2 * (cap) : (first);                             \
            const size_t bytes_ = tk_array_bytes(room_, sizeof *(list));                           \
            __typeof__(list) grown_ =                                                              \
                tk_realloc((list), tk_array_bytes((cap), sizeof *(list)), bytes_);                 \
            if (!grown_) return TK_FAIL(TK_MEMORY, "out of memory (a list of %zu bytes)", bytes_); \
            (list) = grown_;                                                                       \
            (cap) = room_;                                                                         \
        }                                                                                          \
    } while (0)
