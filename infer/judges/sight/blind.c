// SPDX-License-Identifier: Apache-2.0
// In the place of letters.c (make LETTERS=0): no text is read.
#include "infer/judges/sight/letters.h"

bool tk_letters_asked(int argc, char **argv)
{
    (void)argc, (void)argv;
    return false;
}

int tk_letters_main(void)
{
    return 1;
}

void tk_letters_by(const char *program)
{
    (void)program;
}

tk_status tk_letters_open(tk_letters **out)
{
    *out = NULL;
    return TK_FAIL(TK_INPUT, "no text can be read in pictures: this talkie was built without "
                             "tesseract (make LETTERS=0)");
}

tk_status tk_letters_read(tk_letters *l, const uint8_t *rgb, int64_t height, int64_t width,
                          tk_arena *a, char **text)
{
    (void)l, (void)rgb, (void)height, (void)width, (void)a, (void)text;
    return TK_FAIL(TK_INTERNAL, "nobody reads");
}

void tk_letters_close(tk_letters *l)
{
    (void)l; // there is none
}
