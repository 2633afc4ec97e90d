// SPDX-License-Identifier: Apache-2.0
// Clothes: whose of the wardrobes somebody wears, by what lies under a head that was found. Learned
// from examples in which anybody wears anybody's, so that faces say nothing of it.
#pragma once
#include "infer/judges/people/heads.h"

enum {
    TK_CLOTHES = TK_HEAD_PEOPLE, // clothes k are those that person k wears
    TK_CLOTHES_HIGH = 8,         // cells under the head
    TK_CLOTHES_WIDE = 6,
    TK_CLOTHES_SEEN = TK_CLOTHES_HIGH * TK_CLOTHES_WIDE * 3
};

typedef struct tk_clothes_example {
    int style, clothes;
    float seen[TK_CLOTHES_SEEN];
} tk_clothes_example;

typedef struct tk_clothes {
    int styles;
    tk_classes *of; // (styles)
} tk_clothes;

// What lies under the head in a picture (height, width, 3).
tk_status tk_clothes_look(const tk_head *head, const uint8_t *rgb, int64_t height, int64_t width,
                          float seen[TK_CLOTHES_SEEN]);
tk_status tk_clothes_learn(int64_t n, const tk_clothes_example *e, int styles, tk_arena *a,
                           tk_clothes *out);
// What is worn in a shot under a head that was followed (infer/judges/people/heads.h): how likely
// each is, summed over its sightings. The surest; -1 where there is no head.
tk_status tk_clothes_watch(const tk_clothes *c, int style, const tk_head_way *way,
                           const uint8_t *rgb, int64_t height, int64_t width,
                           double sure[TK_CLOTHES], int *worn);
