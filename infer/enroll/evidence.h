// SPDX-License-Identifier: Apache-2.0
// What is kept of a film that was believed: the face as a PNG file, the words as a WAV file.
#pragma once
#include "infer/enroll/witness.h"

enum {
    TK_EVIDENCE_LARGER = 4
}; // than what the witness looks at, are sides that faces are cut from

// rgb: the witness' frame, (side, side, 3) with side TK_EVIDENCE_LARGER * TK_WITNESS_SIDE. In `a`.
tk_status tk_evidence_face(const uint8_t *rgb, const tk_head *head, tk_arena *a, const void **out,
                           size_t *bytes);
// Of the film that the witness heard. In `a`.
tk_status tk_evidence_voice(const tk_media *film, const tk_testimony *t, tk_arena *a,
                            const void **out, size_t *bytes);
