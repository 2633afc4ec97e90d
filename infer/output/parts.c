// SPDX-License-Identifier: Apache-2.0
#include "infer/output/parts.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "data/media/media.h"
#include "infer/cut/lists.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const suffix[TK_OUTPUT_FILES] = {".latents", ".mp4", ".png", ".mkv",
                                                    ".edl",     ".srt", ".json"};
const char *const tk_part_name[TK_OUTPUT_FILES] = {"latents", "mp4", "png", "master",
                                                   "edl",     "srt", ""};

bool tk_part_asked(const tk_config *c, tk_output_part k)
{
    bool named = false;
    for (int64_t i = 0; i < c->film.n_files; i++)
        named = named || !strcmp(c->film.files[i], tk_part_name[k]);
    return k == TK_PART_LATENTS ? c->sample.latents != 0
                                : k < TK_PART_MASTER || k == TK_PART_JSON || named;
}

// ---- is it done --------------------------------------------------------------------------------

char *tk_part_path(const char *output, tk_output_part k, tk_arena *a)
{
    return tk_arena_printf(a, "%s%s", output, suffix[k]);
}

// What cannot be read is not finished; memory that ran out tells nothing about it.
static tk_status unless_memory(tk_status st)
{
    if (st == TK_MEMORY) return st;
    tk_status_clear();
    return TK_OK;
}

tk_status tk_part_told(const char *output, tk_arena *a, json_t **root)
{
    char *text;
    size_t bytes;
    const char *path = tk_part_path(output, TK_PART_JSON, a);
    *root = NULL;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    const tk_status st = tk_file_read(path, 16 << 20, a, &text, &bytes);
    if (st != TK_OK) return unless_memory(st);
    *root = json_loadb(text, bytes, 0, NULL);
    return TK_OK;
}

tk_status tk_part_same(const json_t *root, tk_output_part k, const char *path, bool *same)
{
    uint64_t digest;
    int64_t bytes;
    *same = false;
    const json_t *entry = json_object_get(root, tk_part_name[k]),
                 *size = json_object_get(entry, "bytes");
    const char *written = json_string_value(json_object_get(entry, "digest"));
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    const tk_status st = tk_file_digest(path, &digest, &bytes);
    if (st != TK_OK) return unless_memory(st);
    char text[TK_HEX_DIGEST];
    *same = json_is_integer(size) && bytes == json_integer_value(size) && written &&
            !strcmp(written, tk_digest_hex(digest, text));
    return TK_OK;
}

static tk_status look_for_finished(const char *output, uint64_t digest, tk_arena *a, json_t **root,
                                   bool *done)
{
    char hex_digest[TK_HEX_DIGEST];
    bool all = true;
    TK_TRY(tk_part_told(output, a, root));
    const char *found = json_string_value(json_object_get(*root, "digest"));
    if (!found || strcmp(found, tk_digest_hex(digest, hex_digest))) return TK_OK;
    for (tk_output_part k = TK_PART_MP4; k < TK_PART_JSON && all; k++) {
        const char *path = tk_part_path(output, k, a);
        if (!json_object_get(*root, tk_part_name[k]) && k >= TK_PART_MASTER)
            continue; // not asked for
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        if (k >= TK_PART_EDL) // somebody may have gone on with it
            all = access(path, F_OK) == 0;
        else
            TK_TRY(tk_part_same(*root, k, path, &all));
    }
    *done = all;
    return TK_OK;
}

tk_status tk_output_finished(const char *output, uint64_t digest, bool *done)
{
    tk_arena a;
    json_t *root = NULL;
    *done = false;
    tk_arena_init(&a, 0);
    const tk_status st = look_for_finished(output, digest, &a, &root, done);
    json_decref(root);
    tk_arena_free(&a);
    return st;
}

// ---- can it be written -------------------------------------------------------------------------

static const tk_file_kind kind[TK_OUTPUT_FILES] = {
    [TK_PART_MP4] = {.name = "clip", .at = 4, .head = "ftyp", .words = "talkie "},
    [TK_PART_PNG] = {.name = "contact sheet", .at = 0, .head = "\x89PNG", .words = "IHDR"},
    [TK_PART_LATENTS] = {.name = "clip's latents",
                         .at = 0,
                         .head = "talkie-latents ",
                         .words = "talkie-"},
    [TK_PART_MASTER] = {.name = "clip's master",
                        .at = 0,
                        .head = "\x1a\x45\xdf\xa3",
                        .words = "talkie "},
    [TK_PART_EDL] = {.name = "list of shots", .at = 0, .head = "TITLE: ", .words = "FCM: "},
    [TK_PART_SRT] = {.name = "file of subtitles", .at = 0, .head = "1\n", .words = " --> "},
    [TK_PART_JSON] = {.name = "clip's description",
                      .at = 0,
                      .head = "{",
                      .words = "\"talkie-clip\""},
};

tk_status tk_output_identify(const char *output, tk_file_id id[TK_OUTPUT_FILES])
{
    tk_arena a;
    tk_status st = tk_file_make_folders(output);
    tk_arena_init(&a, 0);
    for (tk_output_part k = 0; k < TK_PARTS && st == TK_OK; k++) {
        const char *path = tk_part_path(output, k, &a);
        if (path)
            id[k] = tk_file_identity(path);
        else
            st = TK_FAIL(TK_MEMORY, "out of memory for a path");
    }
    tk_arena_free(&a);
    return st;
}

tk_status tk_part_write_list(const tk_file *f, tk_output_part k, const tk_cut *cut,
                             const char *output)
{
    const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
    return k == TK_PART_EDL ? tk_cut_write_edl(f, cut, name) : tk_cut_write_srt(f, cut);
}

// Whether a list is, byte for byte, what would be written in its place: a run that was killed
// before its description had its name leaves such.
static tk_status is_list_to_be(const char *path, tk_output_part k, const tk_cut *cut,
                               const char *output, bool *same)
{
    tk_file f;
    uint64_t there, wanted = 0;
    int64_t bytes, n = 0;
    TK_TRY(tk_file_digest(path, &there, &bytes));
    TK_TRY(tk_file_begin(&f, path));
    tk_status st = tk_part_write_list(&f, k, cut, output);
    if (st == TK_OK) st = tk_file_digest(f.tmp, &wanted, &n);
    tk_file_abort(&f);
    *same = st == TK_OK && bytes == n && there == wanted;
    return st;
}

// Lists bear no mark of ours: one that is there is what the description names, or is to be written
// again, or somebody's. cut: as far as it is known.
static tk_status check_list_there(const char *output, tk_output_part k, const tk_cut *cut,
                                  tk_arena *a)
{
    json_t *root;
    bool ours = false;
    const char *path = tk_part_path(output, k, a);
    struct stat st;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (stat(path, &st) || st.st_size == 0) return TK_OK;
    TK_TRY(tk_part_told(output, a, &root));
    const tk_status looked = tk_part_same(root, k, path, &ours);
    json_decref(root);
    TK_TRY(looked);
    if (!ours && cut->n) TK_TRY(is_list_to_be(path, k, cut, output, &ours));
    if (ours) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "cannot write %s: it is there already, and not as a clip's description beside "
                   "it names it: changed since, or not talkie's; move it away",
                   path);
}

bool tk_output_has_folder(const char *output)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(output ? output : "", '/');
    if (!output || (slash && slash - output >= PATH_MAX)) return false;
    if (!slash || slash == output) return true;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - output), output);
    return access(folder, F_OK) == 0;
}

tk_status tk_output_check(const char *output, const tk_config *c, const tk_cut *cut, int n,
                          char *const *inputs)
{
    tk_arena a;
    tk_status st = tk_media_writes(output);
    bool there[TK_OUTPUT_FILES] = {false};
    tk_arena_init(&a, 0);
    for (tk_output_part k = 0; k < TK_PARTS && st == TK_OK; k++) {
        const char *path = tk_part_path(output, k, &a);
        if (k >= TK_PART_MASTER && !tk_part_asked(c, k)) continue;
        st = path ? tk_file_check_output(path, &kind[k], n, inputs)
                  : TK_FAIL(TK_MEMORY, "out of memory for a path");
        if (st == TK_OK && (k == TK_PART_EDL || k == TK_PART_SRT))
            st = check_list_there(output, k, cut, &a);
        there[k] = path && access(path, F_OK) == 0;
    }
    // A picture bears no mark of ours; it is known by what it lies beside.
    if (st == TK_OK && there[TK_PART_PNG] && !there[TK_PART_MP4] && !there[TK_PART_JSON])
        st = TK_FAIL(TK_INPUT,
                     "cannot write %s.png: it is there already, without a clip of talkie's; name "
                     "another output, or move it away",
                     output);
    tk_arena_free(&a);
    return st;
}

tk_status tk_parts_stale(const char *output, const tk_config *c, tk_arena *a,
                         const char *stale[TK_OUTPUT_FILES])
{
    json_t *root;
    tk_status st = TK_OK;
    TK_TRY(tk_part_told(output, a, &root));
    for (tk_output_part k = 0; k < TK_PART_JSON && st == TK_OK; k++) {
        bool ours = k == TK_PART_LATENTS;
        const char *path = tk_part_path(output, k, a);
        if (!path) st = TK_FAIL(TK_MEMORY, "out of memory for a path");
        if (st != TK_OK || tk_part_asked(c, k)) continue;
        if (!ours && json_object_get(root, tk_part_name[k]))
            st = tk_part_same(root, k, path, &ours);
        if (ours) stale[k] = path;
    }
    json_decref(root);
    return st;
}
