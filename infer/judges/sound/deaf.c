// SPDX-License-Identifier: Apache-2.0
// In the place of sphinx.c (make SPEECH=0): no word is heard.
#include "infer/judges/sound/sphinx.h"

tk_status tk_sphinx_knows_english(void)
{
    return TK_FAIL(TK_INPUT, "no word can be heard: this talkie was built without speech (make "
                             "SPEECH=0)");
}

tk_status tk_sphinx_open(const char *const *words, int n, tk_sphinx **out)
{
    (void)words, (void)n;
    *out = NULL;
    return tk_sphinx_knows_english();
}

tk_status tk_sphinx_open_english(tk_sphinx **out)
{
    *out = NULL;
    return tk_sphinx_knows_english();
}

tk_status tk_sphinx_write(tk_sphinx *s, const int16_t *x, int64_t n, tk_arena *a, char **said)
{
    (void)s, (void)x, (void)n, (void)a, (void)said;
    return TK_FAIL(TK_INTERNAL, "nobody hears");
}

tk_status tk_sphinx_hear(tk_sphinx *s, const int16_t *x, int64_t n, tk_sphinx_heard *out)
{
    (void)s, (void)x, (void)n, (void)out;
    return TK_FAIL(TK_INTERNAL, "nobody hears");
}

void tk_sphinx_close(tk_sphinx *s)
{
    (void)s;
}
