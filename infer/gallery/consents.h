// SPDX-License-Identifier: Apache-2.0
// Whether everybody in a clip still lends to it, by its manifests and the store of cameos.
#pragma once
#include "infer/output/people.h"

// *why: who of those in the clip has revoked, or enrolled anew since it was made (`time`, seconds
// since 1970), or is nobody of this store; NULL: nobody. In `a`.
tk_status tk_gallery_ask_people(const tk_cameo_store *s, const tk_proof *p, int64_t time,
                                tk_arena *a, const char **why);
