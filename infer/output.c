// SPDX-License-Identifier: Apache-2.0
#include "infer/output.h"
#include "core/version.h"
#include "data/media.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { PATH = 4096, PIECE = 1 << 16 };

// ---- digests -----------------------------------------------------------------------------------

static tk_status digest_file(const char *path, uint64_t *out)
{
    char *buffer;
    ssize_t n = 0;
    *out = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return TK_FAIL(TK_INPUT, "cannot open %s: %s", path, strerror(errno));
    buffer = tk_alloc(PIECE);
    XXH3_state_t *state = XXH3_createState();
    if (buffer && state && XXH3_64bits_reset(state) == XXH_OK)
        while ((n = read(fd, buffer, PIECE)) > 0) XXH3_64bits_update(state, buffer, (size_t)n);
    const bool room = buffer && state;
    if (room) *out = XXH3_64bits_digest(state);
    const int error = errno;
    XXH3_freeState(state);
    tk_free(buffer);
    close(fd);
    if (!room) return TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
    return n < 0 ? TK_FAIL(TK_INPUT, "cannot read %s: %s", path, strerror(error)) : TK_OK;
}

static tk_status add_references(char *const *paths, int64_t n, uint64_t *h)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t file;
        TK_TRY(digest_file(paths[i], &file));
        *h = XXH3_64bits_withSeed(&file, sizeof file, *h);
    }
    return TK_OK;
}

tk_status tk_output_digest(const tk_config *c, const tk_trained *t, uint64_t *out)
{
    tk_config bare = *c;
    tk_arena a;
    static char none[] = "";
    bare.parallel = (tk_parallel_config){0};
    bare.story.output = bare.output = bare.story.checkpoint = none;
    bare.jobs = (tk_jobs_config){0};
    bare.log_level = 0;
    tk_arena_init(&a, 0);
    const char *dump = tk_config_dump(&bare, TK_CMD_SAMPLE, &a);
    const uint64_t text = dump ? XXH3_64bits(dump, strlen(dump)) : 0;
    tk_arena_free(&a);
    if (!dump) return TK_FAIL(TK_MEMORY, "out of memory for the options");
    const uint64_t model[] = {text, t->digest, tk_codec_get_info(t->meta.codec)->digest,
                              (uint64_t)(c->sample.ema && t->has_ema)};
    *out = XXH3_64bits(model, sizeof model);
    TK_TRY(add_references(c->story.references, c->story.n_references, out));
    for (int64_t i = 0; i < c->story.n_shots; i++)
        TK_TRY(add_references(c->story.shots[i].references, c->story.shots[i].n_references, out));
    return TK_OK;
}

static json_t *hex(uint64_t x)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, x);
    return json_string(text);
}

// ---- is it done --------------------------------------------------------------------------------

static bool same_file(const json_t *root, const char *key, const char *output, const char *suffix)
{
    char path[PATH];
    struct stat st;
    const json_t *bytes = json_object_get(json_object_get(root, key), "bytes");
    snprintf(path, sizeof path, "%s%s", output, suffix);
    return json_is_integer(bytes) && stat(path, &st) == 0 &&
           (json_int_t)st.st_size == json_integer_value(bytes);
}

bool tk_output_finished(const char *output, uint64_t digest)
{
    char path[PATH], text[17];
    struct stat st;
    snprintf(path, sizeof path, "%s.json", output);
    if (stat(path, &st) != 0 || st.st_size > 16 << 20) return false;
    json_t *root = json_load_file(path, 0, NULL);
    const char *found = json_string_value(json_object_get(root, "digest"));
    snprintf(text, sizeof text, "%016" PRIx64, digest);
    const bool done = found && !strcmp(found, text) && same_file(root, "mp4", output, ".mp4") &&
                      same_file(root, "png", output, ".png");
    json_decref(root);
    return done;
}

// ---- writing -----------------------------------------------------------------------------------

static tk_status make_folders(const char *output)
{
    char path[PATH];
    if (strlen(output) + 16 > sizeof path)
        return TK_FAIL(TK_INPUT, "output: a path of %zu bytes is too long", strlen(output));
    snprintf(path, sizeof path, "%s", output);
    for (char *s = path + 1; *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return TK_FAIL(TK_IO, "cannot make the folder %s: %s", path, strerror(errno));
        *s = '/';
    }
    return TK_OK;
}

static tk_status file_entry(json_t *root, const char *key, const char *path)
{
    struct stat st;
    uint64_t digest;
    TK_TRY(digest_file(path, &digest));
    if (stat(path, &st) != 0) return TK_FAIL(TK_IO, "cannot read %s: %s", path, strerror(errno));
    const char *name = strrchr(path, '/');
    json_object_set_new(root, key,
                        json_pack("{s:s, s:I, s:o}", "file", name ? name + 1 : path, "bytes",
                                  (json_int_t)st.st_size, "digest", hex(digest)));
    return TK_OK;
}

static json_t *shots_json(const tk_story *s)
{
    json_t *shots = json_array();
    for (int i = 0; i < s->n_shots; i++) {
        const tk_story_shot *k = &s->shot[i];
        json_array_append_new(shots,
                              json_pack("{s:f, s:f, s:f, s:s}", "start", k->start, "seconds",
                                        k->seconds, "asked", k->asked, "caption", k->caption));
    }
    return shots;
}

static json_t *references_json(const tk_references *refs)
{
    json_t *all = json_array();
    for (int i = 0; i < refs->n; i++) json_array_append_new(all, json_string(refs->ref[i].path));
    return all;
}

static json_t *describe(const tk_provenance *p, const char *options)
{
    const tk_story *s = p->story;
    const tk_trained *t = p->trained;
    json_t *root = json_object();
    json_object_set_new(root, "format", json_string("talkie-clip"));
    json_object_set_new(root, "version", json_integer(1));
    json_object_set_new(root, "digest", hex(p->digest));
    json_object_set_new(root, "storyboard", json_string(p->storyboard));
    json_object_set_new(root, "seed", json_integer(p->config->story.seed));
    json_object_set_new(root, "checkpoint",
                        json_pack("{s:s, s:I, s:o, s:b, s:o}", "file", t->path, "step",
                                  (json_int_t)t->meta.step, "digest", hex(t->digest), "averaged",
                                  p->ema, "codec", hex(tk_codec_get_info(t->meta.codec)->digest)));
    json_object_set_new(root, "revision", json_string(tk_revision()));
    json_object_set_new(root, "clip",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "frames",
                                  (json_int_t)s->frames, "width", (json_int_t)s->width, "height",
                                  (json_int_t)s->height, "fps", (json_int_t)s->fps, "samples",
                                  (json_int_t)s->samples, "sample_rate", (json_int_t)s->sample_rate,
                                  "channels", (json_int_t)s->channels));
    json_object_set_new(root, "shots", shots_json(s));
    json_object_set_new(root, "references", references_json(p->refs));
    json_object_set_new(root, "options", json_string(options));
    json_object_set_new(root, "layout",
                        json_pack("{s:I, s:I, s:I}", "tensor", (json_int_t)p->layout->tensor,
                                  "pipeline", (json_int_t)p->layout->pipeline, "data",
                                  (json_int_t)p->layout->data));
    json_object_set_new(root, "seconds", json_real(p->seconds));
    return root;
}

static tk_status write_json(const tk_provenance *p, const char *mp4, const char *png,
                            const char *path)
{
    char tmp[PATH + 8];
    tk_arena a;
    tk_arena_init(&a, 0);
    const char *options = tk_config_dump(p->config, TK_CMD_SAMPLE, &a);
    json_t *root = options ? describe(p, options) : NULL;
    tk_status st = root ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for %s", path);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    TK_TRY_TO(st, done, st);
    TK_TRY_TO(st, done, file_entry(root, "mp4", mp4));
    TK_TRY_TO(st, done, file_entry(root, "png", png));
    if (json_dump_file(root, tmp, JSON_INDENT(2)) != 0)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", tmp, strerror(errno));
    else
        st = tk_commit_file(tmp, path);
    if (st != TK_OK) unlink(tmp);
done:
    json_decref(root);
    tk_arena_free(&a);
    return st;
}

static tk_status write_sheet(const tk_provenance *p, const tk_decoded *clip, const char *path)
{
    const tk_story *s = p->story;
    const tk_codec_info *k = tk_codec_get_info(p->trained->meta.codec);
    tk_arena a;
    tk_arena_init(&a, 0);
    int64_t *cut = tk_arena_alloc(&a, tk_array_bytes(s->n_shots, sizeof *cut));
    char **caption = tk_arena_alloc(&a, tk_array_bytes(s->n_shots, sizeof *caption));
    for (int i = 0; i < s->n_shots && cut && caption; i++) {
        cut[i] = s->shot[i].first_latent * k->patch_frames;
        caption[i] = s->shot[i].caption;
    }
    const tk_status st =
        cut && caption ? tk_media_contact_sheet(path, clip->rgb, s->frames, s->height, s->width,
                                                (double)s->fps, clip->pcm, s->samples, s->channels,
                                                s->sample_rate, s->n_shots, cut, caption)
                       : TK_FAIL(TK_MEMORY, "out of memory for the contact sheet");
    tk_arena_free(&a);
    return st;
}

tk_status tk_output_write(const tk_provenance *p, const tk_decoded *clip)
{
    const tk_story *s = p->story;
    char mp4[PATH], png[PATH], json[PATH], comment[96];
    TK_TRY(make_folders(p->output));
    snprintf(mp4, sizeof mp4, "%s.mp4", p->output);
    snprintf(png, sizeof png, "%s.png", p->output);
    snprintf(json, sizeof json, "%s.json", p->output);
    snprintf(comment, sizeof comment, "talkie %s, clip %016" PRIx64, tk_revision(), p->digest);
    if (unlink(json) != 0 && errno != ENOENT) // an older clip's, which ends here
        return TK_FAIL(TK_IO, "cannot replace %s: %s", json, strerror(errno));
    tk_status st = TK_OK;
    TK_TRY_TO(st, fail,
              tk_media_write_mp4(mp4, clip->rgb, s->frames, s->height, s->width, (double)s->fps,
                                 clip->pcm, s->samples, s->channels, s->sample_rate, comment));
    TK_TRY_TO(st, fail, write_sheet(p, clip, png));
    TK_TRY_TO(st, fail, write_json(p, mp4, png, json));
    return TK_OK;
fail: // a clip is there whole or not at all
    unlink(mp4);
    unlink(png);
    return st;
}
