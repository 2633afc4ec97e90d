// SPDX-License-Identifier: Apache-2.0
#include "data/speech/mouth.h"
#include <math.h>
#include <string.h>

static const tk_mouth closed = {0, 0.5F, 0, 0};

// Shapes by sight: phones that look the same share one.
static const struct {
    const char *phones; // between blanks
    tk_mouth shape;
} shapes[] = {
    {" m b p ", {0, 0.5F, 0, 0}},           {" f v ", {0.12F, 0.55F, 0.8F, 0}},
    {" th dh ", {0.25F, 0.6F, 0.6F, 1}},    {" t d n ", {0.22F, 0.65F, 0.6F, 0.5F}},
    {" s z ", {0.15F, 0.75F, 1, 0.1F}},     {" sh zh ch jh ", {0.22F, 0.2F, 0.9F, 0.1F}},
    {" k g ng hh ", {0.3F, 0.6F, 0.4F, 0}}, {" l ", {0.35F, 0.55F, 0.4F, 1}},
    {" r er ", {0.28F, 0.3F, 0.3F, 0.2F}},  {" w uw ", {0.18F, 0, 0, 0}},
    {" uh ", {0.3F, 0.2F, 0.1F, 0}},        {" y iy ", {0.28F, 1, 0.6F, 0.1F}},
    {" ih ", {0.35F, 0.8F, 0.5F, 0.1F}},    {" eh ", {0.55F, 0.75F, 0.4F, 0.1F}},
    {" ae ", {0.8F, 0.8F, 0.4F, 0.1F}},     {" aa ", {1, 0.55F, 0.2F, 0}},
    {" ah ", {0.65F, 0.55F, 0.2F, 0}},      {" ax ", {0.4F, 0.55F, 0.2F, 0}},
    {" ao ", {0.7F, 0.2F, 0.1F, 0}},        {" o ", {0.5F, 0.1F, 0, 0}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

// Diphthongs: from one to the other.
static const struct {
    const char *phone, *from, *to;
} glides[] = {{"ay", "aa", "ih"},
              {"aw", "aa", "uh"},
              {"oy", "ao", "ih"},
              {"ey", "eh", "iy"},
              {"ow", "o", "uw"}};
enum { GLIDES = sizeof glides / sizeof *glides };

static tk_mouth shape_of_phone(const char *phone)
{
    char blank[8];
    const size_t n = strnlen(phone, sizeof blank - 3);
    blank[0] = ' ';
    memcpy(blank + 1, phone, n);
    memcpy(blank + 1 + n, " ", 2);
    for (int i = 0; i < SHAPES; i++)
        if (strstr(shapes[i].phones, blank)) return shapes[i].shape;
    return closed;
}

typedef struct key { // the mouth has this shape at this time
    double time;
    tk_mouth shape;
} key;

static float eased(float a, float b, double f)
{
    return a + (b - a) * (float)(f * f * (3 - 2 * f));
}

// The mouth between two keys that `seconds` lies between.
static tk_mouth blend(const key *a, const key *b, double seconds)
{
    const double f = b->time > a->time ? (seconds - a->time) / (b->time - a->time) : 1;
    return (tk_mouth){
        eased(a->shape.opening, b->shape.opening, f), eased(a->shape.width, b->shape.width, f),
        eased(a->shape.teeth, b->shape.teeth, f), eased(a->shape.tongue, b->shape.tongue, f)};
}

// Why a phone's shapes stand: from three tenths to seven tenths of it.
static void keys_of(const tk_phone *p, key k[2])
{
    const char *from = p->name, *to = p->name;
    for (int i = 0; i < GLIDES; i++)
        if (strcmp(glides[i].phone, p->name) == 0) from = glides[i].from, to = glides[i].to;
    const double d = p->end - p->begin;
    k[0] = (key){p->begin + 0.3 * d, shape_of_phone(from)};
    k[1] = (key){p->begin + 0.7 * d, shape_of_phone(to)};
}

tk_mouth tk_mouth_at(const tk_line *line, double seconds)
{
    key last = {-INFINITY, closed}, k[2];
    double end = -INFINITY; // of the phone before
    for (int i = 0; i <= line->phones; i++) {
        const tk_phone *p = i < line->phones ? &line->phone[i] : NULL;
        const double gap = p ? p->begin - end : INFINITY;
        if (gap > 1e-6) { // silence before it, or after the last
            const double rest = fmin(TK_MOUTH_REST, gap / 2);
            const key shut = {end + rest, closed};
            if (i > 0 && seconds < shut.time) return blend(&last, &shut, seconds);
            if (!p || seconds < p->begin - rest) return closed;
            last = (key){p->begin - rest, closed};
        }
        keys_of(p, k);
        if (seconds < k[0].time) return blend(&last, &k[0], seconds);
        if (seconds < k[1].time) return blend(&k[0], &k[1], seconds);
        last = k[1];
        end = p->end;
    }
    return closed;
}
