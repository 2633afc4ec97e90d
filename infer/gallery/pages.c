// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/pages.h"
#include <stddef.h>

// X(symbol, file)
#define PAGES(X)             \
    X(index, "index.html")   \
    X(looks, "gallery.css")  \
    X(words, "words.js")     \
    X(order, "order.js")     \
    X(feed, "feed.js")       \
    X(lineage, "lineage.js") \
    X(panels, "panels.js")   \
    X(start, "start.js")

// The file's bytes between two symbols.
#define CARRY(symbol, file)                                                     \
    __asm__(".pushsection .rodata\n"                                            \
            ".global tk_page_" #symbol "\n"                                     \
            ".hidden tk_page_" #symbol "\n"                                     \
            "tk_page_" #symbol ":\n"                                            \
            ".incbin \"infer/gallery/site/" file "\"\n"                         \
            ".global tk_page_" #symbol "_end\n"                                 \
            ".hidden tk_page_" #symbol "_end\n"                                 \
            "tk_page_" #symbol "_end: .byte 0\n"                                \
            ".popsection\n");                                                   \
    extern __attribute__((visibility("hidden"))) const char tk_page_##symbol[], \
        tk_page_##symbol##_end[];
PAGES(CARRY)

#define ROW(symbol, file) {file, tk_page_##symbol, tk_page_##symbol##_end},
const tk_page tk_pages[] = {PAGES(ROW){NULL, NULL, NULL}};
