// SPDX-License-Identifier: Apache-2.0
// Whether everybody in a clip still lends to it, by its manifests and the store of cameos.
#pragma once
#include "infer/output/people.h"

// *why: who of those in the clip has revoked since, also where enrolled anew, is in it by a consent
// that this store knows nothing of, or is nobody of this store; NULL: nobody. In `a`.
// A clip asks anew for everybody in the clips that it goes on from: where its own manifest names a
// person, those of before are not asked about that one.
tk_status tk_gallery_ask_people(const tk_cameo_store *s, const tk_proof *p, tk_arena *a,
                                const char **why);
