// SPDX-License-Identifier: Apache-2.0
// The files of a gallery that are the same in each, as they lie in infer/gallery/site/: the program
// carries them.
#pragma once

typedef struct tk_page {
    const char *name;        // in the site
    const char *begin, *end; // its bytes
} tk_page;

extern const tk_page tk_pages[]; // the last one's name is NULL
