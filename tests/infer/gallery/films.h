// SPDX-License-Identifier: Apache-2.0
// For tests of galleries: signed films of two seconds with sound, and what lies beside them, in
// clips/ of the folder of tests/infer/provenance/signed.h.
#pragma once
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/comm/comm.h"
#include "data/media/media.h"
#include "infer/gallery/gallery.h"
#include "infer/mark/marked.h"
#include "infer/output/people.h"
#include "tests/infer/provenance/signed.h"
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <sys/time.h>
#include <unistd.h>

enum { FILM_SIDE = 32, FILM_FPS = 8, FILM_FRAMES = 16, FILM_RATE = 8000 };

// A square that wanders over a ground of its own colour, and a tone.
static inline void film_fill(tk_media *m, unsigned seed)
{
    for (int64_t f = 0; f < m->frames; f++)
        for (int64_t y = 0; y < m->height; y++)
            for (int64_t x = 0; x < m->width; x++)
                for (int c = 0; c < 3; c++) {
                    const bool in = llabs(x - 4 - f) < 4 && llabs(y - 16) < 4;
                    m->rgb[((f * m->height + y) * m->width + x) * 3 + c] =
                        (uint8_t)(in ? 240 : seed * (unsigned)(37 + 41 * c) % 130);
                }
    for (int64_t i = 0; i < m->samples; i++)
        m->pcm[i] = 0.2f * (float)sin(0.05 * (1 + seed % 7) * (double)i);
}

// `from`: a film that it was made from, NULL: none. `days` old.
typedef struct film {
    const char *name; // "clips/one.mp4"
    unsigned seed;
    const char *from;
    double days;
    const char *style, *prompt[2];
} film;

// Who lends to what is made next, "@ada", NULL: nobody; by which paper; to what it goes on from.
static const char *film_person, *film_paper;
static bool film_inherits;

static inline void film_sign(const film *w, const tk_file *f, const tk_signer *by, bool room_only,
                             int64_t *room)
{
    tk_arena a;
    tk_ingredient list[3] = {{.title = "world.safetensors",
                              .relation = TK_RELATION_INPUT,
                              .type = "c2pa.types.model",
                              .words = "step 7"}};
    const char *slash = strrchr(w->name, '/');
    tk_manifest m = {.title = slash + 1, .version = "of the tests", .ingredient = list, .n = 1};
    tk_arena_init(&a, 0);
    if (film_person)
        list[m.n++] = (tk_ingredient){
            .title = film_person,
            .relation = TK_RELATION_INPUT,
            .words = tk_people_words(film_paper ? film_paper : "", film_inherits, &a)};
    if (w->from) {
        tk_proof *p = tk_arena_alloc(&a, sizeof *p);
        assert_non_null(p);
        assert_ok(tk_proof_read(signed_path(w->from), "", &a, p));
        list[m.n++] = (tk_ingredient){
            .title = strrchr(w->from, '/') + 1, .relation = TK_RELATION_PART, .store = p->store};
    }
    assert_ok(room_only ? tk_manifest_room(by, &m, room) : tk_manifest_put(by, &m, f->fd, f->path));
    tk_arena_free(&a);
}

// The JSON beside it, as talkie sample leaves it.
static inline void film_describe(const film *w)
{
    uint64_t digest;
    int64_t bytes;
    char hex[17], path[300], options[200];
    json_t *shots = json_array();
    for (int i = 0; i < 2 && w->prompt[i]; i++) {
        char caption[1000];
        snprintf(caption, sizeof caption, "%s%s%s", w->style ? w->style : "", w->style ? ", " : "",
                 w->prompt[i]);
        json_array_append_new(shots, json_pack("{s:f, s:f, s:s}", "start", 1.0 * i, "seconds", 1.0,
                                               "caption", caption));
    }
    assert_ok(tk_file_digest(signed_path(w->name), &digest, &bytes));
    snprintf(hex, sizeof hex, "%016" PRIx64, digest);
    snprintf(path, sizeof path, "%s", signed_path(w->name));
    snprintf(path + strlen(path) - 4, 6, ".json");
    snprintf(options, sizeof options, "style: \"%s\"\nseed: %u\n", w->style ? w->style : "",
             w->seed);
    json_t *root =
        json_pack("{s:s, s:i, s:i, s:o, s:s, s:{s:s, s:I, s:s}}", "format", "talkie-clip",
                  "version", 1, "seed", (int)w->seed, "shots", shots, "options", options, "mp4",
                  "file", "x.mp4", "bytes", (json_int_t)bytes, "digest", hex);
    assert_non_null(root);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

// marked: under mark.key
static inline void film_make_marked(const film *w, bool marks)
{
    const tk_media_config c = {.width = FILM_SIDE,
                               .height = FILM_SIDE,
                               .fps = FILM_FPS,
                               .sample_rate = FILM_RATE,
                               .channels = 1};
    tk_media m = tk_media_shape(&c, FILM_FRAMES, tk_media_samples(&c, FILM_FRAMES));
    tk_file f;
    int64_t room = 0;
    tk_signer *by = signed_by("key.pem", "chain.pem");
    assert_non_null(by);
    assert_ok(tk_media_alloc(&m));
    film_fill(&m, w->seed);
    tk_media_whole whole = tk_media_whole_of(&m);
    tk_media_source *shown = &whole.source;
    tk_marked marked = {0};
    if (marks) {
        tk_mark_key key;
        assert_ok(tk_mark_key_read(signed_path("mark.key"), &key));
        tk_marked_open(&marked, key, (tk_mark_message){.payload = 7, .small = true}, 1, shown);
        shown = &marked.source;
    }
    film_sign(w, NULL, by, true, &room);
    assert_ok(tk_file_begin(&f, signed_path(w->name)));
    assert_ok(tk_media_write_mp4(&f, shown, "of the tests", room));
    film_sign(w, &f, by, false, NULL);
    assert_ok(tk_file_commit(&f));
    tk_marked_close(&marked);
    tk_media_free(&m);
    tk_signer_close(by);
    const time_t then = 1790000000 - (time_t)(w->days * 86400);
    const struct timeval times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    assert_int_equal(utimes(signed_path(w->name), times), 0);
    if (w->prompt[0]) film_describe(w);
}

static inline void film_make(const film *w)
{
    film_make_marked(w, false);
}

// talkie gallery FOLDER -o SITE, by paths as they are.
static inline tk_status gallery_asking(const char *folder, const char *site, const char *anchors,
                                       const char *takedown, const char *store)
{
    tk_invocation in = {.files = (char *[]){(char *)folder}, .n_files = 1};
    tk_config_init(&in.config);
    in.config.output = (char *)site;
    in.config.provenance.anchors = (char *)anchors;
    in.config.gallery.takedown = (char *)takedown;
    in.config.consent.store = (char *)store;
    const tk_status st = tk_gallery_command(tk_comm_self(), &in);
    tk_config_free(&in.config);
    return st;
}

static inline tk_status gallery_by(const char *folder, const char *site, const char *anchors,
                                   const char *takedown)
{
    return gallery_asking(folder, site, anchors, takedown, "");
}

// What a site's clips.js tells, as JSON; the caller's.
static inline json_t *gallery_told(const char *site)
{
    static const char head[] = "window.talkie = {site: ";
    char path[300], *text;
    size_t bytes;
    tk_arena a;
    snprintf(path, sizeof path, "%s/clips.js", site);
    tk_arena_init(&a, 0);
    assert_ok(tk_file_read(path, 1 << 28, &a, &text, &bytes));
    char *at = strstr(text, head);
    assert_non_null(at);
    json_t *told = json_loads(at + strlen(head), JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(told);
    tk_arena_free(&a);
    return told;
}

static inline size_t n_shown(const json_t *told)
{
    return json_array_size(json_object_get(told, "clips"));
}

// The entry of that name among "clips" or "leftOut"; NULL: there is none.
static inline const json_t *entry_of(const json_t *told, const char *list, const char *name)
{
    const json_t *all = json_object_get(told, list);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *e = json_array_get(all, i);
        if (!strcmp(json_string_value(json_object_get(e, "name")), name)) return e;
    }
    return NULL;
}

static inline const char *text_in(const json_t *entry, const char *key)
{
    const char *s = json_string_value(json_object_get(entry, key));
    return s ? s : "";
}
