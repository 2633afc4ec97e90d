// SPDX-License-Identifier: Apache-2.0
// Names, the characters, and strangers.
#include "data/scene/plot.h"
#include "data/speech/voices.h"
#include <stdlib.h>
#include <string.h>

const char *const tk_set_name[TK_SETS] = {"room", "street", "beach", "workshop"};
const char *const tk_style_name[TK_STYLES] = {"natural", "noir", "anime"};
const char *const tk_kind_name[TK_KINDS] = {"ball", "crate", "balloon"};
const char *const tk_size_name[TK_SIZES] = {"wide", "medium", "close"};
const char *const tk_colour_name[TK_COLOURS] = {"red", "yellow", "green", "cyan", "blue", "pink"};
const char *const tk_place_name[TK_PLACES] = {"left", "middle", "right"};

const tk_character tk_characters[TK_CAST] = {
    {"Ada",
     "She",
     0,
     {224, 172, 140},
     {44, 32, 26},
     {178, 40, 48},
     {40, 48, 84},
     3,
     0,
     false,
     false,
     1.42},
    {"Bo",
     "He",
     3,
     {240, 200, 172},
     {206, 166, 84},
     {58, 120, 66},
     {92, 70, 48},
     1,
     1,
     false,
     false,
     1.52},
    {"Cleo",
     "She",
     1,
     {122, 78, 54},
     {22, 18, 18},
     {232, 190, 60},
     {120, 40, 96},
     4,
     0,
     true,
     false,
     1.38},
    {"Dov",
     "He",
     2,
     {208, 156, 122},
     {104, 58, 30},
     {60, 92, 160},
     {52, 54, 58},
     0,
     2,
     false,
     true,
     1.55},
    {"Eli",
     "He",
     4,
     {246, 214, 190},
     {196, 84, 40},
     {92, 190, 180},
     {234, 232, 224},
     4,
     0,
     false,
     true,
     1.46},
    {"Fox",
     "He",
     5,
     {92, 60, 44},
     {30, 26, 24},
     {226, 110, 36},
     {34, 60, 50},
     0,
     0,
     true,
     false,
     1.40},
    {"Gus",
     "He",
     6,
     {196, 140, 104},
     {58, 40, 70},
     {150, 84, 190},
     {70, 72, 76},
     2,
     2,
     true,
     false,
     1.50},
    {"Hal",
     "He",
     7,
     {234, 188, 160},
     {150, 150, 152},
     {88, 90, 94},
     {140, 46, 40},
     1,
     0,
     true,
     true,
     1.44},
    {"Joy",
     "She",
     8,
     {250, 222, 204},
     {240, 214, 120},
     {228, 110, 160},
     {50, 40, 40},
     2,
     0,
     true,
     false,
     1.36},
    {"Ivo",
     "He",
     9,
     {160, 110, 78},
     {70, 44, 26},
     {236, 236, 230},
     {30, 70, 130},
     1,
     2,
     false,
     true,
     1.53},
};

int tk_characters_apart(const tk_character *a, const tk_character *b)
{
    const uint8_t *colour[][2] = {
        {a->skin, b->skin}, {a->hair, b->hair}, {a->top, b->top}, {a->bottom, b->bottom}};
    int apart = (a->hair_style != b->hair_style) + (a->hat != b->hat) + (a->glasses != b->glasses) +
                (a->beard != b->beard);
    for (int n = 0; n < 4; n++) {
        int d = 0;
        for (int j = 0; j < 3; j++) d += abs(colour[n][0][j] - colour[n][1][j]);
        apart += d > 60;
    }
    return apart;
}

// ---- strangers ---------------------------------------------------------------------------------

// Somewhere between two colours, a little to the side.
static void draw_colour(tk_draws *d, const uint8_t from[3], const uint8_t to[3], uint8_t out[3])
{
    const double u = tk_draw(d, 0, 1), aside = 12;
    for (int j = 0; j < 3; j++) {
        const double x = from[j] + u * (to[j] - from[j]) + tk_draw(d, -aside, aside);
        out[j] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
    }
}

static tk_character draw_character(tk_draws *d)
{
    static const uint8_t skin[2][3] = {{84, 54, 40}, {248, 220, 200}},
                         hair[4][2][3] = {{{20, 16, 16}, {110, 66, 36}},
                                          {{110, 66, 36}, {228, 190, 100}},
                                          {{120, 50, 30}, {206, 96, 44}},
                                          {{100, 100, 104}, {220, 220, 222}}};
    tk_character c = {.name = "someone"};
    const int tone = tk_draw_below(d, 4);
    c.voice = TK_VOICES + tk_draw_below(d, TK_VOICES_ALL - TK_VOICES);
    const bool she = !strcmp(tk_voice_of(c.voice)->speaker, "slt");
    c.pronoun = she ? "She" : "He";
    draw_colour(d, skin[0], skin[1], c.skin);
    draw_colour(d, hair[tone][0], hair[tone][1], c.hair);
    for (int j = 0; j < 3; j++) { // any colour, so that it is none that is known
        c.top[j] = (uint8_t)tk_draw(d, 20, 245);
        c.bottom[j] = (uint8_t)tk_draw(d, 20, 245);
    }
    c.hair_style = tk_draw_below(d, 5);
    c.hat = tk_draw_chance(d, 0.5) ? 0 : 1 + tk_draw_below(d, 2);
    c.glasses = tk_draw_chance(d, 0.4);
    c.beard = tk_draw_chance(d, 0.4) && !she;
    c.height = tk_draw(d, 1.36, 1.56);
    return c;
}

tk_character tk_plot_stranger(tk_draws *d)
{
    for (;;) {
        const tk_character c = draw_character(d);
        bool other = true;
        for (int k = TK_CAST_TRAINED; k < TK_CAST; k++)
            other &= tk_characters_apart(&c, &tk_characters[k]) >= 4;
        if (other) return c;
    }
}
