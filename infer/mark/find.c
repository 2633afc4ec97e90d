// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/find.h"
#include "core/base/log.h"
#include "data/media/reader.h"
#include "infer/mark/listen.h"
#include "infer/mark/look.h"
#include <math.h>

_Static_assert(TK_MARK_LISTEN_RATE % TK_MARK_LISTEN_HOP == 0, "a second is whole hops");

static const double longest_sound = 86400; // seconds

typedef struct finding {
    tk_media_reader *reader;
    tk_mark_look *look;
    uint8_t *rgb;
} finding;

static void conclude_report(tk_mark_report *out)
{
    const tk_mark_found *picture = &out->picture, *sound = &out->sound;
    out->present = tk_mark_is_present(picture) || tk_mark_is_present(sound);
    if (tk_mark_is_present(sound) && sound->said) out->says = sound;
    if (tk_mark_is_present(picture) && picture->said) out->says = picture;
}

static tk_status open_search(finding *s, tk_arena *a, const char *path, tk_mark_key key)
{
    int64_t width, height;
    tk_media_config m = {
        .fps = TK_MARK_LOOK_FPS, .sample_rate = TK_MARK_LISTEN_RATE, .channels = 1};
    TK_TRY(tk_media_size(path, &width, &height));
    tk_mark_look_size(width, height, &m.width, &m.height);
    TK_ARENA_NEW(s->rgb, a, m.width * m.height * 3);
    TK_TRY(tk_mark_look_open(a, key, m.width, m.height, &s->look));
    return tk_media_reader_open(path, &m, 1, &s->reader);
}

static tk_status look_at_all(finding *s, double most)
{
    int64_t got = 1;
    for (int64_t n = 0; got && (double)n < most * TK_MARK_LOOK_FPS; n++) {
        TK_TRY(tk_media_reader_next(s->reader, 1, s->rgb, NULL, &got));
        if (got) tk_mark_look_at(s->look, s->rgb);
    }
    return TK_OK;
}

static tk_status hear_hops(void *ctx, const float *pcm, int64_t n)
{
    tk_alive();
    for (int64_t i = 0; i + TK_MARK_LISTEN_HOP <= n; i += TK_MARK_LISTEN_HOP)
        tk_mark_listen_to(ctx, pcm + i);
    return TK_OK;
}

// In every sound track: which of them is heard, its player chooses. What cannot be heard to its end
// is judged by its beginning, as pictures are.
static tk_status listen_to_all(const char *path, tk_mark_key key, double most, tk_arena *a,
                               tk_mark_found *out)
{
    const tk_media_config want = {.sample_rate = TK_MARK_LISTEN_RATE, .channels = 1};
    int sounds;
    TK_TRY(tk_media_sounds(path, &sounds));
    for (int k = 0; k < sounds; k++) {
        tk_mark_listen *listen;
        TK_TRY(tk_mark_listen_open(a, key, &listen));
        const tk_status st =
            tk_media_hear_on(path, k, &want, fmin(most, longest_sound), hear_hops, listen);
        if (st != TK_OK && st != TK_INPUT) return st;
        if (st != TK_OK) tk_log_warn("sound track %d: %s", k, tk_status_message());
        const tk_mark_found f = tk_mark_listen_end(listen);
        if (f.looked) tk_mark_better(out, &f);
    }
    return TK_OK;
}

tk_status tk_mark_find(const char *path, tk_mark_key key, double most, tk_mark_report *out)
{
    finding s = {0};
    tk_arena a;
    *out = (tk_mark_report){0};
    tk_arena_init(&a, 1 << 20);
    tk_status st = open_search(&s, &a, path, key);
    if (st == TK_OK) st = look_at_all(&s, most);
    if (st == TK_OK) st = listen_to_all(path, key, most, &a, &out->sound);
    if (st == TK_OK) {
        out->picture = tk_mark_look_end(s.look);
        conclude_report(out);
    }
    tk_media_reader_close(s.reader);
    tk_arena_free(&a);
    return st;
}

tk_status tk_mark_find_sound(const char *path, tk_mark_key key, double most, tk_mark_report *out)
{
    tk_arena a;
    *out = (tk_mark_report){0};
    tk_arena_init(&a, 1 << 20);
    const tk_status st = listen_to_all(path, key, most, &a, &out->sound);
    if (st == TK_OK) conclude_report(out);
    tk_arena_free(&a);
    return st;
}
