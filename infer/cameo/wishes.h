// SPDX-License-Identifier: Apache-2.0
// The wishes (infer/cameo/wish.h) that were dropped in a store's folder, taken up.
#pragma once
#include "infer/cameo/store.h"

// All that lie there. `revoked` is called for each whose wish was done, before the wish is removed,
// so that what it leaves undone is done again. Only failures of the store, of memory and of
// `revoked` are told: nobody can stop a worker by what is dropped there.
tk_status tk_wishes_take(const tk_cameo_store *s,
                         tk_status (*revoked)(const tk_cameo_store *s, const tk_handle *who));
