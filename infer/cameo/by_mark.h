// SPDX-License-Identifier: Apache-2.0
// Who was in a clip of which only its mark is left, by the logs of all cameos: each line of a use
// says what the clip's mark says.
#pragma once
#include "infer/cameo/store.h"

// Everybody in whose log a clip with this mark was begun or made, also those who have revoked
// since, in order of their handles; in `a`. mark: 16 hexadecimal digits, or the last 4 of a small
// clip's. A log that does not hold counts as far as it does, and is warned of. A store that is open
// to look is enough.
tk_status tk_cameo_by_mark(const tk_cameo_store *s, const char *mark, tk_arena *a, tk_handle **out,
                           int *n);
