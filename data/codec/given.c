// SPDX-License-Identifier: Apache-2.0
// The codec that another file carries, for clips to be made with.
#define _GNU_SOURCE // a temporary file that no other program inherits
#include "data/codec/kind.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 256 << 20 };

// ---- in safetensors ----------------------------------------------------------------------------

static tk_status copy_tensor(const char *path, const tk_safe_tensor *t, int to, const char *name)
{
    int fd;
    TK_TRY(tk_file_open(path, &fd, NULL));
    const tk_status st = tk_file_copy(fd, path, t->address, t->count, to, name);
    close(fd);
    return st;
}

// What the reader of the copy said, with the words that tell what it is in the place of its name.
static void blame_original(tk_status st, const char *path, const char *copy)
{
    char words[1024];
    const char *said = tk_status_message();
    const size_t n = strlen(copy);
    const bool named = !strncmp(said, copy, n);
    snprintf(words, sizeof words, "%s: the codec it carries%s%s", path, named ? "" : ": ",
             named ? said + n : said);
    tk_status_set(st, words);
}

// As a file of its own, since it is read as one, by a reader that may die of it first.
tk_status tk_codec_in_tensor(const char *path, const tk_safe_tensor *t, tk_arena *a, tk_codec **out)
{
    const char *folder = getenv("TMPDIR");
    char *name = tk_arena_printf(a, "%s/talkie-codec.XXXXXX", folder && *folder ? folder : "/tmp");
    if (t->type != TK_SAFE_U8 || t->count > MOST_BYTES)
        return TK_FAIL(TK_INPUT, "%s: the tensor %s is not a codec file's bytes (U8)", path,
                       t->name);
    if (!name) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    const int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) return TK_FAIL(TK_IO, "cannot make a file in %s: %s", name, tk_io_words(errno));
    tk_status st = copy_tensor(path, t, fd, name);
    close(fd);
    if (st == TK_OK) {
        st = tk_codec_open(name, out);
        if (st == TK_INPUT) blame_original(st, path, name);
    }
    unlink(name);
    return st;
}

static tk_status take_from_safetensors(const char *path, tk_arena *a, tk_codec **out)
{
    tk_safetensors s;
    TK_TRY(tk_safe_open(path, a, &s));
    const tk_safe_tensor *t = tk_safe_find(&s, TK_CODEC_TENSOR);
    if (!t)
        return TK_FAIL(TK_INPUT, "%s carries no codec: it has no tensor " TK_CODEC_TENSOR, path);
    return tk_codec_in_tensor(path, t, a, out);
}

// ---- in HDF5 -----------------------------------------------------------------------------------

static tk_status take_from_h5(const char *path, const char *codec_file, tk_codec **out)
{
    hid_t file, group;
    TK_TRY(tk_h5_open(path, NULL, 0, &file));
    group = tk_h5_exists(file, "codec") ? H5Gopen2(file, "codec", H5P_DEFAULT) : -1;
    const tk_status st = group < 0 ? TK_FAIL(TK_INPUT, "it has no group \"codec\"")
                                   : tk_codec_read(group, codec_file, out);
    if (group >= 0) H5Gclose(group);
    H5Fclose(file);
    return tk_status_in_file(st, path);
}

// ---- given to those who make clips -------------------------------------------------------------

static tk_status open_from(const tk_codec_config *c, tk_arena *a, tk_codec **out)
{
    struct stat s;
    bool safe;
    if (!stat(c->from, &s) && S_ISDIR(s.st_mode))
        return TK_FAIL(TK_INPUT, "codec.from: %s is a folder; name a file in it that has the codec",
                       c->from);
    TK_TRY(tk_safe_is(c->from, &safe));
    return safe ? take_from_safetensors(c->from, a, out) : take_from_h5(c->from, c->file, out);
}

static tk_status match_media(const tk_codec *codec, const tk_codec_config *c,
                             const tk_media_config *m)
{
    const tk_codec_info *i = tk_codec_get_info(codec);
    if (i->fps != m->fps || i->sample_rate != m->sample_rate || i->channels != m->channels)
        return TK_FAIL(TK_INPUT,
                       "codec.from: the codec of %s is for %lld fps, %lld Hz and %lld channels; "
                       "media.fps, media.sample_rate and media.channels are %lld, %lld and %lld",
                       c->from, (long long)i->fps, (long long)i->sample_rate,
                       (long long)i->channels, (long long)m->fps, (long long)m->sample_rate,
                       (long long)m->channels);
    return TK_OK;
}

static tk_status take_codec(const tk_codec_config *c, const tk_media_config *m, tk_arena *a,
                            tk_codec **out)
{
    TK_TRY(open_from(c, a, out));
    return match_media(*out, c, m);
}

// What options say of the shape is the codec's from here on.
static void shape_options(const tk_codec *codec, tk_codec_config *c)
{
    const tk_codec_info *i = &codec->info;
    c->video = tk_codec_kind_number(codec->half[TK_CODEC_VIDEO]->kind);
    c->audio = tk_codec_kind_number(codec->half[TK_CODEC_AUDIO]->kind);
    c->patch_frames = i->patch_frames;
    c->patch_size = i->patch_size;
    c->video_channels = i->video_channels;
    c->audio_hop = i->audio_hop;
    c->audio_channels = i->audio_channels;
}

tk_status tk_codec_given(tk_comm *world, tk_codec_config *c, const tk_media_config *m,
                         tk_codec **out)
{
    tk_arena a;
    *out = NULL;
    if (!*c->from) return TK_OK;
    tk_arena_init(&a, 0);
    tk_status st = tk_agree(world, world->rank ? TK_OK : take_codec(c, m, &a, out));
    tk_arena_free(&a);
    if (st == TK_OK) st = tk_codec_broadcast(world, out, 0);
    if (st == TK_OK) {
        shape_options(*out, c);
        return TK_OK;
    }
    tk_codec_free(*out);
    *out = NULL;
    return st;
}

// The file that clips are to refer to is one of that codec (NULL: of one that is to be fitted), or
// is not there and can be written.
static tk_status ask_kept(tk_wrong *w, const tk_codec_config *c, const tk_codec *codec)
{
    tk_codec *there = NULL;
    tk_file f;
    if (c->store == TK_CODEC_CARRY || !*c->file || tk_wrong_doubts(w, "codec.file") ||
        tk_wrong_doubts(w, "codec.store"))
        return TK_OK;
    tk_status st;
    if (access(c->file, F_OK) != 0 && errno == ENOENT) {
        st = tk_file_begin(&f, c->file);
        tk_file_abort(&f);
    } else {
        st = codec ? tk_codec_keep(c, codec) : tk_codec_open(c->file, &there);
    }
    tk_codec_free(there);
    return tk_wrong_with(w, "codec.file", st);
}

tk_status tk_codec_ask(tk_wrong *w, const tk_codec_config *c, const tk_media_config *m,
                       tk_codec_info *info, bool *known)
{
    tk_codec *codec = NULL;
    *known = !*c->from && !tk_wrong_doubts(w, "codec") && !tk_wrong_doubts(w, "media");
    if (*known) *info = tk_codec_planned(c, m);
    if (!*c->from) return ask_kept(w, c, NULL);
    if (tk_wrong_doubts(w, "codec.from") || tk_wrong_doubts(w, "codec.file")) return TK_OK;
    tk_status st = open_from(c, w->arena, &codec);
    if (st == TK_OK && !tk_wrong_doubts(w, "media")) st = match_media(codec, c, m);
    *known = st == TK_OK;
    if (*known) *info = *tk_codec_get_info(codec);
    st = tk_wrong_with(w, "codec.from", st);
    if (st == TK_OK) st = ask_kept(w, c, *known ? codec : NULL);
    tk_codec_free(codec);
    return st;
}
