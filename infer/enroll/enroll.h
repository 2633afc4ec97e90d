// SPDX-License-Identifier: Apache-2.0
// Enrolling by a film of the person saying a challenge.
#pragma once
#include "infer/enroll/evidence.h"

// Takes the handle's challenge, which is used up by that, whatever comes of it; watches the film;
// and enrolls whose file it is. TK_INPUT saying why it is not believed.
tk_status tk_enroll_by_film(const tk_cameo_store *s, const tk_handle *who, const char *path);
