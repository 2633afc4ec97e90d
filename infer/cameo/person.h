// SPDX-License-Identifier: Apache-2.0
// Cards and consents as papers, and their words. Internal to infer/cameo, and to its tests.
#pragma once
#include "infer/cameo/store.h"

extern const char *const tk_reference_name[TK_CAMEO_KINDS]; // of files: "face"
extern const char tk_consent_name[], tk_consent_next[];     // next: until the log has its line

// Not signed yet, in `a`.
tk_status tk_card_print(const char *handle, const tk_cameo_card *x, tk_arena *a, char **out);
// card: the hash of the person's; a consent is of one enrolment.
tk_status tk_consent_print(const char *handle, const char *card, const tk_consent *x, tk_arena *a,
                           char **out);
// "face, voice" or "face voice"; false: another word, or none.
bool tk_uses_read(const char *words, unsigned *uses);
