// SPDX-License-Identifier: Apache-2.0
#include "infer/senses.h"
#include "data/media/media.h"
#include "data/media/reader.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    HEARD_RATE = 16000, // samples a second at which files are heard
    CELL = 4,           // pixels, either way
    CHANGE = 6          // of 255, of a cell's brightness, that makes a picture another one
};

// ---- opening -----------------------------------------------------------------------------------

// Where the policy asks for what cannot be done, nothing is made.
static tk_status unless_able(const tk_policy *p, const char *key, const char *file, tk_status st)
{
    char words[512];
    if (st != TK_INPUT) return st;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_status_clear();
    return TK_FAIL(TK_INPUT, "%s: %s: nothing is made of %s: %s", p->file, key, file, words);
}

tk_status tk_senses_open(tk_senses *s, const tk_policy *p, const char *file, int64_t rate)
{
    if (p->listen) TK_TRY(unless_able(p, "listen", file, tk_transcript_ready(rate)));
    if (p->listen && !s->ear) TK_TRY(unless_able(p, "listen", file, tk_transcript_open(&s->ear)));
    if (p->read && !s->eye) TK_TRY(unless_able(p, "read", file, tk_letters_open(&s->eye)));
    return TK_OK;
}

void tk_senses_close(tk_senses *s)
{
    tk_transcript_close(s->ear);
    tk_letters_close(s->eye);
    *s = (tk_senses){0};
}

void tk_sensed_free(tk_sensed *of)
{
    tk_free(of->cells);
    of->cells = NULL;
    of->n_cells = 0;
}

// ---- sound -------------------------------------------------------------------------------------

tk_status tk_sensed_said(void *ctx, double second, const char *text)
{
    const tk_sensed *of = ctx;
    char place[512];
    snprintf(place, sizeof place, "%.200s: %.200s, said after second %.0f", of->file, of->what,
             second);
    return tk_ruling_text(of->ruling, place, text);
}

static tk_status hear_more(void *ctx, const float *pcm, int64_t n)
{
    return tk_transcript_add(((tk_senses *)ctx)->ear, pcm, n);
}

static tk_status hear_file(tk_senses *s, const tk_senses_file *f, tk_sensed *of)
{
    const tk_media_config want = {.sample_rate = HEARD_RATE, .channels = 1};
    TK_TRY(tk_transcript_begin(s->ear, HEARD_RATE, 1, tk_sensed_said, of));
    TK_TRY(tk_media_hear_on(f->path, 0, &want, f->seconds, hear_more, s));
    return tk_transcript_end(s->ear);
}

// ---- pictures ----------------------------------------------------------------------------------

static uint8_t light_of_cell(const uint8_t *rgb, int64_t height, int64_t width, int64_t y,
                             int64_t x)
{
    int sum = 0, n = 0;
    for (int64_t i = y; i < y + CELL && i < height; i++)
        for (int64_t k = x; k < x + CELL && k < width; k++, n++) {
            const uint8_t *p = rgb + (i * width + k) * 3;
            sum += 2 * p[0] + 5 * p[1] + p[2];
        }
    return (uint8_t)(sum / (8 * n));
}

// Whether it differs from the last one that was read, whose place it takes then: a slow change adds
// up.
static tk_status is_another(tk_sensed *of, const uint8_t *rgb, int64_t height, int64_t width,
                            bool *yes)
{
    const int64_t high = (height + CELL - 1) / CELL, wide = (width + CELL - 1) / CELL;
    uint8_t *now;
    *yes = of->n_cells != high * wide;
    TK_NEW(now, high * wide);
    for (int64_t i = 0; i < high * wide; i++) {
        now[i] = light_of_cell(rgb, height, width, i / wide * CELL, i % wide * CELL);
        if (!*yes && abs(now[i] - of->cells[i]) >= CHANGE) *yes = true;
    }
    if (!*yes) {
        tk_free(now);
        return TK_OK;
    }
    tk_free(of->cells);
    of->cells = now;
    of->n_cells = high * wide;
    return TK_OK;
}

static bool is_new_text(tk_sensed *of, const char *text)
{
    const int64_t room = sizeof of->text / sizeof *of->text;
    const uint64_t hash = XXH3_64bits(text, strlen(text));
    for (int64_t i = 0; i < room && i < of->texts; i++)
        if (of->text[i] == hash) return false;
    of->text[of->texts++ % room] = hash;
    return true;
}

static tk_status look_at_read(tk_sensed *of, double second, const char *text)
{
    char place[512];
    if (!*text || !is_new_text(of, text)) return TK_OK;
    snprintf(place, sizeof place, "%.200s: %.200s, to be read after second %.4g", of->file,
             of->what, second);
    const int before = tk_ruling_refuses(of->ruling);
    TK_TRY(tk_ruling_text(of->ruling, place, text));
    of->refused = tk_ruling_refuses(of->ruling) > before;
    return TK_OK;
}

tk_status tk_senses_see(tk_senses *s, tk_sensed *of, double second, const uint8_t *rgb,
                        int64_t height, int64_t width)
{
    bool another;
    char *text;
    tk_arena a;
    if (of->refused) return TK_OK;
    TK_TRY(is_another(of, rgb, height, width, &another));
    if (!another) return TK_OK;
    tk_arena_init(&a, 0);
    tk_status st = tk_letters_read(s->eye, rgb, height, width, &a, &text);
    if (st == TK_OK)
        st = look_at_read(of, second, text);
    else if (st == TK_INPUT)
        st = tk_status_in_file(st, of->what);
    tk_arena_free(&a);
    return st;
}

// ---- files -------------------------------------------------------------------------------------

// The size that its pictures are read at: their own, or as much smaller as is wanted.
static tk_status size_to_read(const tk_senses_file *f, tk_media_config *out)
{
    int64_t width, height;
    TK_TRY(tk_media_size(f->path, &width, &height));
    const int64_t longer = width > height ? width : height;
    const double by = longer > f->side ? (double)f->side / (double)longer : 1;
    out->width = (int64_t)fmax(2, round((double)width * by));
    out->height = (int64_t)fmax(2, round((double)height * by));
    return TK_OK;
}

static tk_status read_pictures(tk_senses *s, const tk_senses_file *f, tk_media_reader *r,
                               const tk_media_config *m, tk_sensed *of)
{
    const int64_t each = m->fps / TK_SENSES_PICTURES;
    uint8_t *rgb;
    int64_t got = each;
    tk_status st = TK_OK;
    TK_NEW(rgb, m->height * m->width * 3);
    for (int64_t i = 0; got == each && !of->refused; i++) {
        const double second = (double)i / TK_SENSES_PICTURES;
        if (second >= f->seconds) break;
        TK_TRY_TO(st, done, tk_media_reader_next(r, 1, rgb, NULL, &got));
        if (got < 1) break;
        TK_TRY_TO(st, done, tk_senses_see(s, of, second, rgb, m->height, m->width));
        TK_TRY_TO(st, done, tk_media_reader_next(r, each - 1, NULL, NULL, &got));
        got++;
    }
done:
    tk_free(rgb);
    return st;
}

static tk_status read_file(tk_senses *s, const tk_senses_file *f, tk_sensed *of)
{
    tk_media_config m = {.fps = 50, .sample_rate = HEARD_RATE, .channels = 1};
    tk_media_reader *r;
    TK_TRY(size_to_read(f, &m));
    TK_TRY(tk_media_reader_open(f->path, &m, 1.0 / TK_SENSES_PICTURES, &r));
    const tk_status st = read_pictures(s, f, r, &m, of);
    tk_media_reader_close(r);
    return st;
}

tk_status tk_senses_take(tk_senses *s, const tk_senses_file *f, tk_sensed *of)
{
    tk_media_has has;
    if (!s->ear && !s->eye) return TK_OK;
    TK_TRY(tk_media_look(f->path, &has));
    if (s->ear && has.sound) TK_TRY(hear_file(s, f, of));
    return s->eye && has.pictures && f->pictures ? read_file(s, f, of) : TK_OK;
}
