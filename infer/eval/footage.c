// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/footage.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "infer/eval/screening.h"
#include "parallel/mpi/deal.h"
#include "train/run/report.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { FILES = 100000, NUMBERS = sizeof(tk_film) / sizeof(double) };

typedef struct footage {
    tk_comm *world;
    tk_media_config media;
    int n;
    char **path;   // (n) in order of their names
    tk_film *film; // (n)
    const char *report;
    tk_arena arena;
} footage;

// ---- which files -------------------------------------------------------------------------------

static bool ends_with(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);
    return n > m && strcasecmp(path + n - m, end) == 0;
}

static bool is_film(const char *path)
{
    static const char *const ends[] = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".ts"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(path, ends[i])) return true;
    return false;
}

static int shows(const struct dirent *e)
{
    return e->d_name[0] != '.' && is_film(e->d_name);
}

static int find_films(const char *folder, struct dirent ***list)
{
    const int n = scandir(folder, list, shows, alphasort);
    return n < 0 ? 0 : n;
}

static void drop_list(struct dirent **list, int n)
{
    for (int i = 0; i < n; i++) free(list[i]); // style: allow: scandir's
    free(list);                                // style: allow
}

static bool holds_checkpoints(const char *folder)
{
    struct dirent **list = NULL;
    const int n = scandir(folder, &list, NULL, NULL);
    bool found = false;
    for (int i = 0; i < n; i++)
        found |= !strncmp(list[i]->d_name, "step-", 5) && ends_with(list[i]->d_name, ".h5");
    if (n >= 0) drop_list(list, n);
    return found;
}

bool tk_footage_is(const char *path)
{
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return is_film(path);
    struct dirent **list = NULL;
    const int n = find_films(path, &list);
    if (n) drop_list(list, n);
    return n > 0 && !holds_checkpoints(path);
}

static tk_status name_films(footage *f, const char *where)
{
    struct stat st;
    struct dirent **list = NULL;
    const bool folder = stat(where, &st) == 0 && S_ISDIR(st.st_mode);
    f->n = folder ? find_films(where, &list) : 1;
    if (f->n > FILES)
        return TK_FAIL(TK_INPUT, "%s: holds %d films, at most %d are judged at once", where, f->n,
                       FILES);
    TK_ARENA_NEW(f->path, &f->arena, f->n + 1);
    TK_ARENA_NEW(f->film, &f->arena, f->n + 1);
    for (int i = 0; i < f->n; i++)
        f->path[i] = folder ? tk_arena_printf(&f->arena, "%s/%s", where, list[i]->d_name)
                            : tk_arena_strdup(&f->arena, where);
    if (list) drop_list(list, f->n);
    for (int i = 0; i < f->n; i++)
        if (!f->path[i]) return TK_FAIL(TK_MEMORY, "out of memory for names of films");
    return TK_OK;
}

// ---- all of them -------------------------------------------------------------------------------

// A film that cannot be read is left out; anything else that goes wrong ends it all.
static tk_status judge_one(footage *f, int64_t i)
{
    const tk_status st = tk_film_judge(f->path[i], &f->media, &f->film[i]);
    if (st != TK_INPUT) return st;
    tk_log_warn("left out: %s", tk_status_message());
    tk_status_clear();
    f->film[i] = (tk_film){0};
    return TK_OK;
}

static tk_status judge_all(footage *f)
{
    tk_deal *deal;
    int64_t i = 0;
    TK_TRY(tk_deal_open(f->world, tk_comm_self(), f->n, "watching", "films", f->n, &deal));
    tk_status st = TK_OK;
    while (st == TK_OK && (st = tk_deal_next(deal, &i)) == TK_OK && i >= 0) {
        st = judge_one(f, i);
        tk_deal_step(deal);
    }
    TK_TRY(tk_deal_close(deal, st));
    return tk_comm_sum_f64(f->world, (double *)f->film, f->n * NUMBERS);
}

// ---- what it gave ------------------------------------------------------------------------------

static const char *film_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_film(const char *name, const tk_film *m)
{
    printf("%-32.32s %8.1f %6.0f", name, m->seconds, m->shots);
    if (m->sounds > 0)
        printf(" %5.0f of %-5.0f %7.1f %7.1f %6.1f", m->with, m->heard, m->chance, m->lufs,
               m->peak);
    else
        printf(" %38s", "silent");
    printf(" %7.2f%% %6.2f\n", m->flicker, m->drift);
}

static void print_films(const footage *f)
{
    tk_film all = {0};
    printf("%-32s %8s %6s %14s %7s %7s %6s %8s %6s\n", "", "seconds", "shots", "sounds in time",
           "chance", "LUFS", "peak", "flicker", "drift");
    for (int i = 0; i < f->n; i++) {
        const tk_film *m = &f->film[i];
        if (m->read == 0) continue;
        print_film(film_name(f->path[i]), m);
        all.read += 1, all.seconds += m->seconds, all.shots += m->shots;
        all.heard += m->heard, all.with += m->with, all.chance += m->chance;
    }
    printf(
        "%.0f of %d films, %.1f s, %.0f shots; %.0f of %.0f sounds begin within 80 ms of a moment "
        "in the picture (%.1f would by chance)\n",
        all.read, f->n, all.seconds, all.shots, all.with, all.heard, all.chance);
}

static json_t *describe_film(const char *path, const tk_film *m)
{
    return json_pack("{s:s, s:b, s:f, s:I, s:b, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "film",
                     film_name(path), "read", m->read > 0, "seconds", m->seconds, "shots",
                     (json_int_t)m->shots, "has_sound", m->sounds > 0, "sounds",
                     (json_int_t)m->heard, "sounds_in_time", (json_int_t)m->with, "by_chance",
                     m->chance, "lufs", m->lufs, "loudness_range", m->range, "true_peak_db",
                     m->peak, "flicker_percent", m->flicker, "drift", m->drift);
}

static json_t *describe_films(const footage *f)
{
    const tk_media_config *m = &f->media;
    json_t *films = json_array();
    for (int i = 0; i < f->n; i++)
        json_array_append_new(films, describe_film(f->path[i], &f->film[i]));
    return json_pack("{s:s, s:i, s:s, s:{s:I, s:I, s:I, s:I}, s:o}", "format", "talkie-footage",
                     "version", 1, "revision", tk_revision(), "seen_as", "width",
                     (json_int_t)m->width, "height", (json_int_t)m->height, "fps",
                     (json_int_t)m->fps, "sample_rate", (json_int_t)m->sample_rate, "films", films);
}

// ---- the command -------------------------------------------------------------------------------

const tk_file_kind tk_footage_report = {
    .name = "report", .at = 0, .head = "{", .words = "\"talkie-footage\""};

// Rank 0, before any work.
static tk_status check_films_report(footage *f)
{
    return f->report ? tk_file_check_output(f->report, &tk_footage_report, f->n, f->path) : TK_OK;
}

static tk_status show_films(const footage *f)
{
    int64_t read = 0;
    for (int i = 0; i < f->n; i++) read += f->film[i].read > 0;
    if (read == 0)
        return TK_FAIL(TK_INPUT, "none of the %d films could be read: see the warnings above",
                       f->n);
    print_films(f);
    return f->report ? tk_report_write(f->report, describe_films(f)) : TK_OK;
}

static tk_status run_footage(footage *f, tk_invocation *in)
{
    tk_comm *w = f->world;
    tk_config *c = &in->config;
    TK_TRY(tk_config_agree(w, tk_config_load(c, TK_CMD_EVAL, NULL, in->n_overrides, in->overrides),
                           c));
    f->media = c->media;
    f->report = c->output && *c->output ? c->output : NULL;
    TK_TRY(tk_agree(w, name_films(f, in->files[0])));
    TK_TRY(tk_agree(w, w->rank ? TK_OK : check_films_report(f)));
    TK_TRY(judge_all(f));
    return tk_agree(w, w->rank ? TK_OK : show_films(f));
}

tk_status tk_footage_eval(tk_comm *world, tk_invocation *in)
{
    footage f = {.world = world};
    tk_arena_init(&f.arena, 0);
    const tk_status st = run_footage(&f, in);
    tk_arena_free(&f.arena);
    return st;
}
