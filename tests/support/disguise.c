// SPDX-License-Identifier: Apache-2.0
#include "tests/support/disguise.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

uint64_t draw(disguises *d, uint64_t n)
{
    d->state += 0x9e3779b97f4a7c15u; // splitmix64
    uint64_t x = d->state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % n;
}

static void put_code(char *out, uint32_t c)
{
    char *p = out + strlen(out);
    if (c < 0x80)
        *p++ = (char)c;
    else if (c < 0x800)
        *p++ = (char)(0xc0 | c >> 6), *p++ = (char)(0x80 | (c & 63));
    else if (c < 0x10000)
        *p++ = (char)(0xe0 | c >> 12), *p++ = (char)(0x80 | (c >> 6 & 63)),
        *p++ = (char)(0x80 | (c & 63));
    else
        *p++ = (char)(0xf0 | c >> 18), *p++ = (char)(0x80 | (c >> 12 & 63)),
        *p++ = (char)(0x80 | (c >> 6 & 63)), *p++ = (char)(0x80 | (c & 63));
    *p = 0;
}

// ---- letters for letters -----------------------------------------------------------------------

typedef uint32_t swap(disguises *d, char c); // 0: none

static uint32_t swap_case(disguises *d, char c)
{
    return (uint32_t)(draw(d, 2) ? toupper(c) : c);
}

static uint32_t swap_digit(disguises *d, char c)
{
    static const char of[] = "i1l1o0e3a4s5t7b8g9";
    const char *p = strchr(of, tolower(c));
    return p && !isdigit((unsigned char)c) && draw(d, 3) ? (uint32_t)p[1] : 0;
}

static uint32_t swap_sign(disguises *d, char c)
{
    static const char of[] = "a@s$i!l|";
    const char *p = strchr(of, tolower(c));
    return p && isalpha((unsigned char)c) && draw(d, 3) ? (uint32_t)p[1] : 0;
}

// Whole alphabets that Unicode has beside the Latin one: where their a and A are.
static uint32_t swap_alphabet(disguises *d, char c)
{
    static const uint32_t small[] = {0xff41,  0x24d0,  0x1d41a, 0x1d482, 0x1d4ea, 0x1d586,
                                     0x1d5ba, 0x1d5ee, 0x1d622, 0x1d656, 0x1d68a, 0x1f1e6,
                                     0x1f130, 0x1f150, 0x1f170, 0x249c};
    c = (char)tolower(c);
    return c < 'a' || c > 'z' ? 0
                              : small[draw(d, sizeof small / sizeof *small)] + (uint32_t)(c - 'a');
}

static uint32_t swap_look_alike(disguises *d, char c)
{
    static const struct {
        char of;
        uint32_t like[4];
    } all[] = {{'a', {0x430, 0x3b1, 0x251, 0xe4}},    {'b', {0x42c, 0x13cf, 0x3b2, 0x184}},
               {'c', {0x441, 0x3f2, 0x2ca5, 0xe7}},   {'d', {0x501, 0x111, 0x257, 0x10f}},
               {'e', {0x435, 0x3b5, 0x454, 0xeb}},    {'g', {0x261, 0x121, 0x123, 0x11d}},
               {'h', {0x4bb, 0x570, 0x127, 0x125}},   {'i', {0x456, 0x3b9, 0x131, 0xef}},
               {'j', {0x458, 0x3f3, 0x135, 0x458}},   {'k', {0x43a, 0x3ba, 0x137, 0x199}},
               {'l', {0x4cf, 0x142, 0x13a, 0x1c0}},   {'m', {0x43c, 0x1e41, 0x1e43, 0x43c}},
               {'n', {0x578, 0x3b7, 0x144, 0xf1}},    {'o', {0x43e, 0x3bf, 0x585, 0xf6}},
               {'p', {0x440, 0x3c1, 0x2ca3, 0x1e57}}, {'r', {0x433, 0x155, 0x159, 0x280}},
               {'s', {0x455, 0x15b, 0x161, 0xa731}},  {'t', {0x442, 0x3c4, 0x165, 0x1d1b}},
               {'u', {0x57d, 0x28b, 0xfc, 0x1d1c}},   {'v', {0x475, 0x3bd, 0x1d20, 0x1e7f}},
               {'w', {0x51d, 0x461, 0x175, 0x1d21}},  {'x', {0x445, 0x3c7, 0xd7, 0x1e8d}},
               {'y', {0x443, 0x3b3, 0xff, 0xfd}},     {'z', {0x1d22, 0x17c, 0x17e, 0x17a}}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].of == tolower(c)) return all[i].like[draw(d, 4)];
    return 0;
}

static void swap_all(disguises *d, const char *word, swap *by, char out[DISGUISED])
{
    *out = 0;
    for (; *word; word++) {
        const uint32_t c = isalpha((unsigned char)*word) ? by(d, *word) : 0;
        put_code(out, c ? c : (unsigned char)*word);
    }
}

// ---- between letters ---------------------------------------------------------------------------

static void between(disguises *d, const char *word, const uint32_t *what, uint64_t n, bool each,
                    char out[DISGUISED])
{
    const uint32_t same = what[draw(d, n)];
    *out = 0;
    for (; *word; word++) {
        put_code(out, (unsigned char)*word);
        const bool inside = isalnum((unsigned char)*word) && isalnum((unsigned char)word[1]);
        if (inside && (each || draw(d, 2))) put_code(out, each ? same : what[draw(d, n)]);
    }
}

static void repeat(disguises *d, const char *word, char out[DISGUISED])
{
    *out = 0;
    for (; *word; word++)
        for (uint64_t k = isalpha((unsigned char)*word) && draw(d, 3) == 0 ? 2 + draw(d, 4) : 1; k;
             k--)
            put_code(out, (unsigned char)*word);
}

static void split_once(disguises *d, const char *word, char out[DISGUISED])
{
    const size_t n = strlen(word);
    const int at = 1 + (int)draw(d, n - 1);
    snprintf(out, DISGUISED, "%.*s %s", at, word, word + at);
}

static void glue(const char *word, char out[DISGUISED])
{
    *out = 0;
    for (; *word; word++)
        if (*word != ' ') put_code(out, (unsigned char)*word);
}

const char *disguise(disguises *d, const char *word, char out[DISGUISED])
{
    static const uint32_t gaps[] = {' ', '.', '-', '_', '/', '~', ',', 0xb7, 0x2022, 0x1f4a5};
    static const uint32_t unseen[] = {0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0xad, 0x34f, 0x200e};
    static const uint32_t marks[] = {0x301, 0x308, 0x332, 0x335, 0x336, 0x20dd, 0x489, 0x323};
    char half[DISGUISED];
    switch (draw(d, 14)) {
    case 0:
        swap_all(d, word, swap_case, out);
        return "case";
    case 1:
        swap_all(d, word, swap_digit, out);
        return "digits";
    case 2:
        swap_all(d, word, swap_sign, out);
        return "signs";
    case 3:
        swap_all(d, word, swap_alphabet, out);
        return "alphabets";
    case 4:
        swap_all(d, word, swap_look_alike, out);
        return "look-alikes";
    case 5:
        between(d, word, gaps, 10, true, out);
        return "gaps";
    case 6:
        between(d, word, unseen, 8, false, out);
        return "unseen";
    case 7:
        between(d, word, marks, 8, false, out);
        return "marks";
    case 8:
        repeat(d, word, out);
        return "repeated";
    case 9:
        split_once(d, word, out);
        return "split";
    case 10:
        glue(word, out);
        return "glued";
    case 11:
        swap_all(d, word, swap_digit, half);
        between(d, half, gaps, 10, true, out);
        return "digits and gaps";
    case 12:
        repeat(d, word, half);
        between(d, half, unseen, 8, false, out);
        return "repeated and unseen";
    default:
        swap_all(d, word, swap_case, half);
        swap_all(d, half, swap_look_alike, out);
        return "case and look-alikes";
    }
}
