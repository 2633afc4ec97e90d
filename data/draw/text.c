// SPDX-License-Identifier: Apache-2.0
// Text by cairo, in the font that fontconfig finds for its characters. See data/draw/draw.h.
#include "data/draw/draw.h"
#include <cairo-ft.h>
#include <fontconfig/fontconfig.h>
#include <stdio.h>
#include <string.h>

enum { BYTES = 4096 };           // of a text: more is wider than any picture
static const double CAP = 0.729; // height of a capital over the size of a font, as in DejaVu Sans

// The text as it can be drawn, and the characters in it (for the caller to destroy).
static FcCharSet *legible(const char *text, char out[BYTES])
{
    FcCharSet *all = FcCharSetCreate();
    size_t n = 0;
    while (*text && n < BYTES - FC_UTF8_MAX_LEN) {
        FcChar32 c;
        int bytes = FcUtf8ToUcs4((const FcChar8 *)text, &c, (int)strnlen(text, FC_UTF8_MAX_LEN));
        if (bytes < 1 || c < ' ' || (c >= 0x7F && c < 0xA0) || (c >= 0xD800 && c < 0xE000) ||
            c > 0x10FFFF)
            c = 0xFFFD;
        if (all) FcCharSetAddChar(all, c);
        n += (size_t)FcUcs4ToUtf8(c, (FcChar8 *)out + n);
        text += bytes < 1 ? 1 : bytes;
    }
    out[n] = 0;
    return all;
}

// The font that has most of the characters, the plain one among equals; NULL: no font at all.
static FcPattern *match(const FcCharSet *characters)
{
    FcResult result;
    FcPattern *want = FcPatternCreate(), *found = NULL;
    if (want && characters && FcPatternAddString(want, FC_FAMILY, (const FcChar8 *)"sans-serif") &&
        FcPatternAddCharSet(want, FC_CHARSET, characters) &&
        FcConfigSubstitute(NULL, want, FcMatchPattern)) {
        FcDefaultSubstitute(want);
        found = FcFontMatch(NULL, want, &result);
    }
    if (want) FcPatternDestroy(want);
    return found;
}

// Sets the font for a text and makes it legible. Shapes are not fitted to pixels, so that widths
// grow with the size alone.
static void set_font(cairo_t *cr, double size, const char *text, char out[BYTES])
{
    FcCharSet *characters = legible(text, out);
    FcPattern *found = match(characters);
    if (found) {
        cairo_font_face_t *face = cairo_ft_font_face_create_for_pattern(found);
        cairo_set_font_face(cr, face);
        cairo_font_face_destroy(face);
        FcPatternDestroy(found);
    } else { // cairo has a font of its own
        cairo_select_font_face(cr, "@cairo:", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    }
    if (characters) FcCharSetDestroy(characters);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
    cairo_set_font_size(cr, size / CAP);
}

static double width_of(cairo_t *cr, const char *legible_text)
{
    cairo_text_extents_t e;
    cairo_text_extents(cr, legible_text, &e);
    return e.x_advance;
}

double tk_draw_text_width(cairo_t *cr, double size, const char *text)
{
    char words[BYTES];
    set_font(cr, size, text, words);
    return width_of(cr, words);
}

void tk_draw_text(cairo_t *cr, double x, double y, double size, tk_align align, tk_ink ink,
                  const char *text)
{
    char words[BYTES];
    set_font(cr, size, text, words);
    const double w = align == TK_LEFT ? 0 : width_of(cr, words);
    tk_draw_ink(cr, ink);
    cairo_move_to(cr, x - (align == TK_CENTRE ? w / 2 : w), y + size);
    cairo_show_text(cr, words);
    cairo_new_path(cr);
}

// Bytes of text that fit, up to the end of a word if there is one, at least one character.
static size_t fitting(cairo_t *cr, double width, const char *text)
{
    const char *p = text, *word = NULL;
    for (double x = 0; *p;) {
        char one[FC_UTF8_MAX_LEN + 1];
        FcChar32 c;
        const int n = FcUtf8ToUcs4((const FcChar8 *)p, &c, FC_UTF8_MAX_LEN);
        memcpy(one, p, (size_t)n);
        one[n] = 0;
        if (*p == ' ') word = p;
        x += width_of(cr, one);
        if (x > width) return (size_t)((word && word > text ? word : p > text ? p : p + n) - text);
        p += n;
    }
    return (size_t)(p - text);
}

int tk_draw_lines(cairo_t *cr, const tk_column *c, const char *text)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    char words[BYTES], line[BYTES + sizeof ellipsis];
    int lines = 0;
    set_font(cr, c->size, text, words);
    tk_draw_ink(cr, c->ink);
    for (const char *p = words; *p && lines < c->most; lines++) {
        size_t n = fitting(cr, c->width, p);
        const bool cut = lines == c->most - 1 && p[n];
        if (cut) n = fitting(cr, c->width - width_of(cr, ellipsis), p);
        snprintf(line, sizeof line, "%.*s%s", (int)n, p, cut ? ellipsis : "");
        cairo_move_to(cr, c->x, c->y + lines * c->step + c->size);
        cairo_show_text(cr, line);
        for (p += n; *p == ' ';) p++;
    }
    cairo_new_path(cr);
    return lines;
}
