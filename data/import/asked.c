// SPDX-License-Identifier: Apache-2.0
// What is wrong with an import, before it looks into any file.
#include "core/store/npy.h"
#include "data/import/import.h"
#include "data/import/internal.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

// A file named on the command line, which no option is.
static void tell_media(tk_wrong *w, const char *path, const char *words)
{
    char line[1024];
    snprintf(line, sizeof line, "%.400s: %s", path, words);
    if (tk_wrong_at(w, TK_COMMAND_LINE, "", line) != TK_OK) tk_status_clear(); // w knows
}

static tk_status ask_import_output(tk_wrong *w, const tk_invocation *in)
{
    const tk_config *c = &in->config;
    char **inputs;
    int n = 0;
    if (!c->output || !*c->output)
        tk_wrong_add(w, "output", "say where to write the clips: -o my.h5");
    if (!c->output || !*c->output || tk_wrong_doubts(w, "output")) return TK_OK;
    TK_ARENA_NEW(inputs, w->arena, in->n_files + 3);
    for (int i = 0; i < in->n_files; i++) inputs[n++] = in->files[i];
    if (*c->codec.from) inputs[n++] = c->codec.from;
    if (*c->codec.file) inputs[n++] = c->codec.file;
    if (*c->import.empty_features) inputs[n++] = c->import.empty_features;
    return tk_wrong_with(w, "output", tk_clips_check_output(c->output, n, inputs));
}

static tk_status ask_patch(tk_wrong *w, const tk_config *c)
{
    const tk_media_config *m = &c->media;
    const double clip = c->import.clip_seconds;
    tk_codec_info info;
    bool known;
    TK_TRY(tk_codec_ask(w, &c->codec, m, &info, &known));
    if (!known || tk_wrong_doubts(w, "media")) return TK_OK;
    if (!tk_grid_divides(&info, info.patch_frames, m->height, m->width))
        tk_wrong_add(w, *tk_config_place(w->config, "media.width") ? "media.width" : "media.height",
                     "%lldx%lld must be multiples of the codec's patch of %lld pixels",
                     (long long)m->width, (long long)m->height, (long long)info.patch_size);
    if (tk_grid_frame(&info, tk_grid_latents(&info, clip)) < 1)
        tk_wrong_add(w, "import.clip_seconds",
                     "%g is shorter than the codec's patch of %lld frames (%g s)", clip,
                     (long long)info.patch_frames, tk_grid_tick(&info));
    return TK_OK;
}

static tk_status ask_empty(tk_wrong *w, const char *path)
{
    tk_npy n;
    if (!*path) return TK_OK;
    tk_status st = tk_npy_look(path, &n);
    if (st == TK_OK) st = tk_npy_check(&n);
    return tk_wrong_with(w, "import.empty_features", st);
}

// Packets of one file, its caption and its text features.
static tk_status ask_inside(tk_wrong *w, const tk_media_config *m, const char *path)
{
    tk_import_file *f;
    TK_ARENA_NEW(f, w->arena, 1);
    f->path = path;
    tk_import_look(f, m);
    if (f->status != TK_OK) {
        tk_status_clear();
        const size_t n = strlen(path);
        const char *words = f->words;
        if (!strncmp(words, path, n) && !strncmp(words + n, ": ", 2)) words += n + 2;
        tell_media(w, path, words);
    }
    return TK_OK;
}

tk_status tk_import_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    const tk_config *c = &in->config;
    (void)ranks; // any number makes the same
    TK_TRY(ask_import_output(w, in));
    TK_TRY(ask_patch(w, c));
    TK_TRY(ask_empty(w, c->import.empty_features));
    for (int i = 0; i < in->n_files; i++) {
        if (access(in->files[i], R_OK)) {
            char words[200];
            snprintf(words, sizeof words, "cannot be opened: %.120s", strerror(errno));
            tell_media(w, in->files[i], words);
            continue;
        }
        TK_TRY(tk_import_ask_references(w, in->files[i]));
    }
    const bool stops = c->import.bad == TK_BAD_STOP && !tk_wrong_doubts(w, "import.bad");
    if (!w->n || !stops || tk_wrong_doubts(w, "media")) return TK_OK;
    for (int i = 0; i < in->n_files && w->n <= TK_WRONG_LINES; i++)
        if (!access(in->files[i], R_OK)) TK_TRY(ask_inside(w, &c->media, in->files[i]));
    return TK_OK;
}
