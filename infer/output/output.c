// SPDX-License-Identifier: Apache-2.0
#include "infer/output/output.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/base/version.h"
#include "data/draw/sheet.h"
#include "data/media/level.h"
#include "data/media/media.h"
#include "infer/mark/marked.h"
#include "infer/output/lineage.h"
#include "infer/output/parts.h"
#include "infer/output/sign.h"
#include "infer/output/stored.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUIETEST (-120.0) // LUFS and dB where there is nothing to be heard

static json_t *hex(uint64_t x)
{
    char text[TK_HEX_DIGEST];
    return json_string(tk_digest_hex(x, text));
}

// ---- writing -----------------------------------------------------------------------------------

static tk_status file_entry(json_t *root, const char *key, const tk_file *f)
{
    uint64_t digest;
    int64_t bytes;
    TK_TRY(tk_file_digest(f->tmp, &digest, &bytes));
    const char *name = strrchr(f->path, '/');
    json_object_set_new(root, key,
                        json_pack("{s:s, s:I, s:o}", "file", name ? name + 1 : f->path, "bytes",
                                  (json_int_t)bytes, "digest", hex(digest)));
    return TK_OK;
}

static json_t *references_json(const tk_references *refs)
{
    json_t *all = json_array();
    for (int i = 0; i < refs->n; i++)
        if (!refs->ref[i].lent) json_array_append_new(all, json_string(refs->ref[i].path));
    return all;
}

// Who is in it, and what each stands on; of those who were in what it was made from, in which file.
static json_t *cameos_json(const tk_storyboard *b)
{
    json_t *all = json_array();
    for (int64_t i = 0; i < b->n_lent; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "handle", b->lent[i].handle, "tag",
                                             b->lent[i].tag, "paper", b->lent[i].paper));
    for (int64_t i = 0; i < b->n_inherited; i++) {
        const tk_inherited_config *x = &b->inherited[i];
        char from[256]; // of a file's name
        const char *slash = strrchr(x->from, '/');
        snprintf(from, sizeof from, "%s", slash ? slash + 1 : x->from);
        tk_utf8_clean(from, strlen(from)); // it may be any bytes
        json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "handle", x->handle, "from", from,
                                             "paper", x->paper));
    }
    return all;
}

// What was given of the clip itself.
static json_t *given_json(const tk_storyboard *b, const tk_remix *r)
{
    json_t *o = json_object(), *frames = json_array(), *clips = json_array();
    for (int64_t k = 0; k < b->n_keyframes; k++)
        json_array_append_new(frames, json_pack("{s:f, s:s}", "at", b->keyframes[k].at, "picture",
                                                b->keyframes[k].picture));
    json_object_set_new(o, "keyframes", frames);
    if (*b->sound) json_object_set_new(o, "sound", json_string(b->sound));
    if (*b->picture) json_object_set_new(o, "picture", json_string(b->picture));
    if (*b->remix.clip) json_object_set_new(o, "remix", json_string(b->remix.clip));
    for (int k = 0; k < r->n && !*b->remix.clip; k++)
        json_array_append_new(clips, json_string(r->parent[k].clip));
    json_object_set_new(o, "clips", clips);
    return o;
}

tk_mark_message tk_output_mark(const tk_config *c, const tk_story *s, const tk_cut *cut,
                               uint64_t digest)
{
    const tk_grid *g = &s->grid;
    const tk_media shape = {
        .frames = cut->frames, .width = g->width, .height = g->height, .fps = (double)s->fps};
    return tk_mark_message_for(&shape, tk_mark_payload(&c->watermark, digest));
}

static tk_mark_message message_of(const tk_provenance *p)
{
    return tk_output_mark(p->config, p->story, p->cut, p->digest);
}

static json_t *mark_json(const tk_provenance *p)
{
    const tk_mark_message m = message_of(p);
    return json_pack("{s:o, s:i}", "payload", hex(m.payload), "bits", m.small ? 16 : 64);
}

static json_t *describe(const tk_provenance *p, const char *options)
{
    const tk_story *s = p->story;
    const tk_trained *t = p->trained;
    json_t *root = json_object();
    json_object_set_new(root, "format", json_string("talkie-clip"));
    json_object_set_new(root, "version", json_integer(1));
    json_object_set_new(root, "digest", hex(p->digest));
    json_object_set_new(root, "made", hex(p->made));
    if (p->draft) json_object_set_new(root, "draft", json_true());
    json_object_set_new(root, "storyboard", json_string(p->storyboard));
    json_object_set_new(root, "seed", json_integer(p->config->story.seed));
    json_object_set_new(root, "checkpoint",
                        json_pack("{s:s, s:I, s:o, s:b, s:o}", "file", t->path, "step",
                                  (json_int_t)t->meta.step, "digest", hex(t->meta.digest),
                                  "averaged", p->averaged, "codec",
                                  hex(tk_codec_get_info(t->meta.codec)->digest)));
    json_object_set_new(root, "revision", json_string(tk_revision()));
    json_object_set_new(root, "clip",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "frames",
                                  (json_int_t)p->cut->frames, "width", (json_int_t)s->grid.width,
                                  "height", (json_int_t)s->grid.height, "fps", (json_int_t)s->fps,
                                  "samples", (json_int_t)p->cut->samples, "sample_rate",
                                  (json_int_t)s->sample_rate, "channels", (json_int_t)s->channels));
    json_object_set_new(root, "shots", json_array()); // written one by one, as are
    json_object_set_new(root, "windows", json_array());
    json_object_set_new(root, "references", references_json(p->refs));
    if (p->config->story.n_lent + p->config->story.n_inherited)
        json_object_set_new(root, "cameos", cameos_json(&p->config->story));
    if (tk_story_gives(&p->config->story))
        json_object_set_new(root, "given", given_json(&p->config->story, p->remix));
    if (*p->config->watermark.key) json_object_set_new(root, "watermark", mark_json(p));
    if (p->remix->n)
        json_object_set_new(root, "lineage", tk_lineage_json(p->remix, &p->config->story));
    json_object_set_new(root, "options", json_string(options));
    json_object_set_new(root, "layout",
                        json_pack("{s:I, s:I, s:I, s:I}", "tensor", (json_int_t)p->layout->tensor,
                                  "pipeline", (json_int_t)p->layout->pipeline, "guidance",
                                  (json_int_t)p->layout->guidance, "data",
                                  (json_int_t)p->layout->data));
    json_object_set_new(root, "seconds", json_real(p->seconds));
    return root;
}

// ---- as text -----------------------------------------------------------------------------------
// As json_dumpf would write it, but shot by shot: there may be thousands.

typedef struct writer {
    FILE *f;
    int indent; // spaces before each line but the first
} writer;

static int put_text(const char *text, size_t bytes, void *ctx)
{
    const writer *w = ctx;
    for (size_t i = 0; i < bytes; i++) {
        if (putc(text[i], w->f) == EOF) return -1;
        if (text[i] == '\n' && w->indent) fprintf(w->f, "%*s", w->indent, "");
    }
    return 0;
}

// Takes the value.
static bool put_value(FILE *f, int indent, json_t *value)
{
    writer w = {f, indent};
    const bool done =
        value && json_dump_callback(value, put_text, &w, JSON_INDENT(2) | JSON_ENCODE_ANY) == 0;
    json_decref(value);
    return done;
}

// As it was made; at: seconds into the film, where it may lie elsewhere.
static json_t *shot_json(const tk_story_shot *k, const tk_shot_config *asked, double at)
{
    json_t *o = json_pack("{s:f, s:f, s:f, s:f, s:s}", "start", k->start, "seconds", k->seconds,
                          "at", at, "asked", k->asked, "caption", k->caption);
    json_t *remember = asked->remember ? json_array() : NULL;
    for (int64_t i = 0; i < asked->n_remember; i++)
        json_array_append_new(remember, json_integer(asked->remember[i]));
    if (remember) json_object_set_new(o, "remember", remember);
    return o;
}

static bool put_shots(FILE *f, const tk_provenance *p)
{
    for (int i = 0; i < p->story->n_shots; i++) {
        const double at = (double)p->cut->shot[i].at / (double)p->cut->fps;
        fputs(i ? ",\n    " : "[\n    ", f);
        if (!put_value(f, 4, shot_json(&p->story->shot[i], &p->config->story.shots[i], at)))
            return false;
    }
    return fputs("\n  ]", f) >= 0;
}

// The shots that a window makes, and those it was given as memory, with the reason.
static json_t *window_json(const tk_window *w)
{
    json_t *made = json_array(), *given = json_array();
    for (int i = w->target; i < w->end; i++) json_array_append_new(made, json_integer(i));
    for (int k = 0; k < w->n_memory; k++) {
        char why[TK_MEMORY_WORDS];
        json_array_append_new(given, json_pack("{s:i, s:s}", "shot", w->memory[k].shot, "why",
                                               tk_memory_say(&w->memory[k], why)));
    }
    return json_pack("{s:o, s:o}", "shots", made, "memory", given);
}

static bool put_windows(FILE *f, const tk_story *s)
{
    for (int i = 0; i < s->n_windows; i++) {
        fputs(i ? ",\n    " : "[\n    ", f);
        if (!put_value(f, 4, window_json(&s->windows[i]))) return false;
    }
    return fputs("\n  ]", f) >= 0;
}

static bool put_list(FILE *f, const char *key, json_t *value, const tk_provenance *p)
{
    if (!strcmp(key, "shots")) return put_shots(f, p);
    if (!strcmp(key, "windows")) return put_windows(f, p->story);
    return put_value(f, 2, json_incref(value));
}

static bool put_description(FILE *f, json_t *root, const tk_provenance *p)
{
    const char *key, *before = "{\n  \"";
    json_t *value;
    json_object_foreach(root, key, value)
    {
        fprintf(f, "%s%s\": ", before, key);
        if (!put_list(f, key, value, p)) return false;
        before = ",\n  \"";
    }
    return fputs("\n}", f) >= 0 && fflush(f) == 0;
}

static tk_status put_json(const tk_provenance *p, json_t *root, const tk_file *to)
{
    const int fd = dup(to->fd);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        if (fd >= 0) close(fd);
        return TK_FAIL(TK_IO, "cannot write %s: %s", to->path, strerror(errno));
    }
    const bool done = put_description(f, root, p);
    const int error = errno;
    fclose(f);
    return done ? TK_OK : TK_FAIL(TK_IO, "cannot write %s: %s", to->path, tk_io_words(error));
}

// What came of the loudness that was asked for.
static tk_status tell_loudness(const tk_provenance *p, tk_leveled *l, json_t *root)
{
    tk_loudness_figures now;
    if (!l->of) return TK_OK;
    TK_TRY(tk_level_figures(l, &now));
    const double was = fmax(l->was, QUIETEST), is = fmax(now.lufs, QUIETEST);
    const double peak = fmax(now.peak, QUIETEST);
    tk_log("%s: its sound was at %.1f LUFS and is at %.1f, true peak %.1f dB", p->output, was, is,
           peak);
    json_object_set_new(root, "loudness",
                        json_pack("{s:f, s:f, s:f, s:f}", "asked", p->config->film.loudness, "was",
                                  was, "lufs", is, "peak", peak));
    return TK_OK;
}

static tk_status write_json(const tk_provenance *p, tk_leveled *l, const tk_file f[TK_OUTPUT_FILES])
{
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_config as_told = *p->config;
    as_told.story.output = as_told.output = (char *)p->told;
    const char *options = tk_config_dump(&as_told, TK_CMD_SAMPLE, &a);
    json_t *root = options ? describe(p, options) : NULL;
    tk_status st = root ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for %s", f[TK_PART_JSON].path);
    TK_TRY_TO(st, done, st);
    for (tk_output_part k = 0; k < TK_PART_JSON; k++)
        if (tk_part_asked(p->config, k))
            TK_TRY_TO(st, done, file_entry(root, tk_part_name[k], &f[k]));
    TK_TRY_TO(st, done, tell_loudness(p, l, root));
    TK_TRY_TO(st, done, put_json(p, root, &f[TK_PART_JSON]));
done:
    json_decref(root);
    tk_arena_free(&a);
    return st;
}

static tk_status write_sheet(const tk_provenance *p, tk_media_source *clip, const tk_file *f)
{
    const tk_story *s = p->story;
    tk_sheet_shot *shots;
    TK_NEW(shots, s->n_shots);
    for (int i = 0; i < s->n_shots; i++)
        shots[i] = (tk_sheet_shot){p->cut->shot[i].at, s->shot[i].caption};
    const tk_status st = tk_draw_sheet(f, clip, s->n_shots, shots);
    tk_free(shots);
    return st;
}

static tk_status write_latents(const tk_provenance *p, const tk_file *f)
{
    const tk_latents_form form =
        tk_stored_form(p->story, tk_codec_get_info(p->trained->meta.codec));
    return p->config->sample.latents ? tk_latents_write(f, &form, p->latents) : TK_OK;
}

static tk_status begin_all(const tk_provenance *p, tk_file f[TK_OUTPUT_FILES])
{
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    for (tk_output_part k = 0; k < TK_PARTS && st == TK_OK; k++) {
        if (!tk_part_asked(p->config, k)) continue;
        const char *path = tk_part_path(p->output, k, &a);
        st = path ? tk_file_begin(&f[k], path) : TK_FAIL(TK_MEMORY, "out of memory for a path");
    }
    tk_arena_free(&a);
    return st;
}

// The clip as it goes to the encoder: marked, or as it is.
static tk_status mark_clip(const tk_provenance *p, tk_marked *m, tk_media_source **clip)
{
    tk_mark_key key;
    if (!*p->config->watermark.key) return TK_OK;
    TK_TRY(tk_mark_open_key(&p->config->watermark, &key));
    tk_marked_open(m, key, message_of(p), p->config->watermark.strength, *clip);
    *clip = &m->source;
    return TK_OK;
}

// The sound as it goes there: as loud as was asked for.
static tk_status level_clip(const tk_provenance *p, tk_leveled *l, tk_media_source **clip)
{
    const double lufs = p->config->film.loudness;
    if (lufs == 0) return TK_OK;
    TK_TRY(tk_level_open(l, *clip, lufs, p->output));
    *clip = &l->source;
    return TK_OK;
}

static tk_status write_lists(const tk_provenance *p, const tk_file f[TK_OUTPUT_FILES])
{
    for (tk_output_part k = TK_PART_EDL; k <= TK_PART_SRT; k++)
        if (tk_part_asked(p->config, k)) TK_TRY(tk_part_write_list(&f[k], k, p->cut, p->output));
    return TK_OK;
}

static tk_status commit_all(const tk_provenance *p, tk_file f[TK_OUTPUT_FILES])
{
    tk_arena a;
    tk_file asked[TK_OUTPUT_FILES];
    const char *stale[TK_OUTPUT_FILES] = {NULL};
    int n = 0;
    tk_arena_init(&a, 0);
    tk_status st = tk_parts_stale(p->output, p->config, &a, stale);
    for (tk_output_part k = 0; k < TK_PARTS && st == TK_OK; k++) {
        if (!tk_part_asked(p->config, k)) continue;
        asked[n++] = f[k];
        f[k] = (tk_file){.fd = -1};
    }
    if (st == TK_OK) st = tk_files_commit(n, asked);
    for (tk_output_part k = 0; k < TK_PARTS && st == TK_OK; k++)
        if (stale[k]) (void)unlink(stale[k]);
    tk_arena_free(&a);
    return st;
}

tk_status tk_output_write(const tk_provenance *p, tk_media_source *clip)
{
    tk_file f[TK_OUTPUT_FILES];
    tk_media_source *encoded = clip;
    tk_marked marked = {0};
    tk_leveled level = {0};
    char comment[96];
    tk_signing by;
    for (tk_output_part k = 0; k < TK_PARTS; k++) f[k] = (tk_file){.fd = -1};
    snprintf(comment, sizeof comment, "talkie %s, clip %016" PRIx64, tk_revision(), p->digest);
    tk_status st = TK_OK;
    TK_TRY(tk_signing_open(&by, p->config, p->trained, p->remix, p->output));
    TK_TRY_TO(st, done, level_clip(p, &level, &encoded));
    TK_TRY_TO(st, done, mark_clip(p, &marked, &encoded));
    TK_TRY_TO(st, done, begin_all(p, f));
    TK_TRY_TO(st, done, write_latents(p, &f[TK_PART_LATENTS]));
    TK_TRY_TO(st, done, tk_media_write_mp4(&f[TK_PART_MP4], encoded, comment, by.room));
    TK_TRY_TO(st, done, tk_signing_put(&by, &f[TK_PART_MP4], &f[TK_PART_LATENTS]));
    if (tk_part_asked(p->config, TK_PART_MASTER))
        TK_TRY_TO(st, done, tk_media_write_master(&f[TK_PART_MASTER], encoded, comment));
    TK_TRY_TO(st, done, write_sheet(p, clip, &f[TK_PART_PNG]));
    TK_TRY_TO(st, done, write_lists(p, f));
    TK_TRY_TO(st, done, write_json(p, &level, f));
    if (p->approve) TK_TRY_TO(st, done, p->approve(p->ctx));
    TK_TRY_TO(st, done, commit_all(p, f));
done: // a clip that was there before stays until this one is whole
    for (tk_output_part k = 0; k < TK_PARTS; k++) tk_file_abort(&f[k]);
    tk_marked_close(&marked);
    tk_level_close(&level);
    tk_signing_close(&by);
    return st;
}
