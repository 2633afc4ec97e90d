// SPDX-License-Identifier: Apache-2.0
#include "infer/enroll/enroll.h"
#include "core/base/log.h"
#include "data/media/media.h"
#include "infer/cameo/use.h"
#include <stdio.h>
#include <unistd.h>

enum { FILM_BYTES = 512 << 20 };

typedef struct enrolling {
    const char *path; // as it was named
    char film[32];    // where its bytes are: the face is cut out of the film that was watched
    tk_challenge challenge;
    tk_testimony said;
    tk_cameo_new x;
    tk_arena arena;
} enrolling;

static tk_media_config film_size(int larger)
{
    return (tk_media_config){.width = larger * TK_WITNESS_SIDE,
                             .height = larger * TK_WITNESS_SIDE,
                             .fps = TK_WITNESS_FPS,
                             .sample_rate = TK_WITNESS_RATE,
                             .channels = 1};
}

static tk_status hear_out(enrolling *e, const tk_media *film)
{
    tk_witness w;
    char text[TK_CHALLENGE_TEXT];
    tk_log("a witness is shown figures of the world, then the film");
    tk_status st = tk_witness_open(&w);
    if (st == TK_OK) st = tk_witness_watch(&w, film, &e->challenge, &e->said);
    tk_witness_close(&w);
    TK_TRY(st);
    if (!*e->said.fault)
        return tk_evidence_voice(film, &e->said, &e->arena, &e->x.reference[TK_CAMEO_VOICE],
                                 &e->x.bytes[TK_CAMEO_VOICE]);
    return TK_FAIL(TK_INPUT,
                   "%s: is not believed: %s; the words were \"%s\"; ask for another "
                   "challenge",
                   e->path, e->said.fault, tk_challenge_say(&e->challenge, text));
}

static tk_status watch_film(enrolling *e)
{
    const tk_media_config want = film_size(1);
    tk_media film;
    tk_media_origin from;
    TK_TRY(tk_media_read(e->film, &want, TK_WITNESS_SECONDS + 1, 1, &film, &from));
    tk_status st = TK_OK;
    if (!from.has_audio || from.seconds > TK_WITNESS_SECONDS)
        st = TK_FAIL(TK_INPUT, "%s: %s", e->path,
                     from.has_audio ? "lasts more than 20 seconds" : "has no sound");
    if (st == TK_OK) st = hear_out(e, &film);
    tk_media_free(&film);
    return st;
}

// Read once more, larger.
static tk_status keep_face(enrolling *e)
{
    const tk_media_config want = film_size(TK_EVIDENCE_LARGER);
    const int64_t side = want.width;
    tk_media film;
    TK_TRY(tk_media_read(e->film, &want, TK_WITNESS_SECONDS + 1, 1, &film, NULL));
    const tk_status st =
        e->said.frame < film.frames
            ? tk_evidence_face(film.rgb + e->said.frame * side * side * 3, &e->said.head, &e->arena,
                               &e->x.reference[TK_CAMEO_FACE], &e->x.bytes[TK_CAMEO_FACE])
            : TK_FAIL(TK_INPUT, "%s: has fewer pictures when it is read once more", e->path);
    tk_media_free(&film);
    return st;
}

static tk_status enroll_taken(enrolling *e, const tk_cameo_store *s)
{
    TK_TRY(tk_challenge_take(s, &e->x.who, &e->challenge));
    TK_TRY(tk_status_renamed(watch_film(e), e->film, e->path));
    TK_TRY(tk_status_renamed(keep_face(e), e->film, e->path));
    return tk_cameo_enroll(s, &e->x);
}

tk_status tk_enroll_by_film(const tk_cameo_store *s, const tk_handle *who, const char *path)
{
    enrolling e = {.path = path, .x = {.who = *who, .by = "challenge"}};
    int fd;
    TK_TRY(tk_cameo_take(path, FILM_BYTES, &e.x.owner, &fd));
    snprintf(e.film, sizeof e.film, "/proc/self/fd/%d", fd);
    tk_arena_init(&e.arena, 0);
    const tk_status st = enroll_taken(&e, s);
    tk_arena_free(&e.arena);
    close(fd);
    return st;
}
