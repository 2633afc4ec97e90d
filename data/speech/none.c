// SPDX-License-Identifier: Apache-2.0
// In the place of flite.c (make SPEECH=0): nobody speaks.
#include "data/speech/flite.h"

tk_status tk_flite_open(void)
{
    return TK_FAIL(TK_INPUT, "world.speech=true, and this talkie was built without speech (make "
                             "SPEECH=0): nobody can speak; build it where flite is, or say "
                             "world.speech=false");
}

tk_status tk_flite_say(const tk_voice *v, const char *text, tk_arena *a, tk_utterance *out)
{
    (void)v, (void)text, (void)a, (void)out;
    return tk_flite_open();
}
