// SPDX-License-Identifier: Apache-2.0
#include "infer/ordered.h"
#include "core/base/files.h"
#include "core/base/utf8.h"
#include "core/config/wrong.h"
#include "infer/story/given.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What is read of a clip that is gone on from lies beside it.
static tk_status check_beside(tk_wrong *w, const tk_serving *a, const char *option,
                              const char *clip)
{
    static const char *const suffix[] = {".json", ".latents"};
    for (int i = 0; i < 2 && *clip; i++) {
        const char *path = tk_parent_beside(clip, suffix[i], w->arena);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        if (access(path, F_OK) == 0)
            TK_TRY(tk_wrong_with(w, option, tk_spool_inside(&a->spool, path)));
    }
    return TK_OK;
}

static tk_status check_path(tk_wrong *w, const tk_serving *a, const char *option, const char *path)
{
    return *path ? tk_wrong_with(w, option, tk_spool_inside(&a->spool, path)) : TK_OK;
}

static tk_status check_paths(tk_wrong *w, const tk_serving *a, tk_config *c)
{
    char ***at;
    tk_story_option name;
    const int64_t n = tk_story_files(&c->story, NULL);
    if (a->o->open) return TK_OK;
    TK_ARENA_NEW(at, w->arena, n + 1);
    tk_story_files(&c->story, at);
    for (int64_t i = 0; i < n; i++)
        TK_TRY(tk_wrong_with(w, tk_story_file_option(&c->story, i, name),
                             tk_spool_inside(&a->spool, *at[i])));
    TK_TRY(check_beside(w, a, "remix.clip", c->story.remix.clip));
    for (int64_t i = 0; i < c->story.n_shots; i++) {
        snprintf(name, sizeof name, "shots[%" PRId64 "].clip", i);
        if (tk_shot_is_taken(&c->story.shots[i]))
            TK_TRY(check_beside(w, a, name, c->story.shots[i].clip));
    }
    TK_TRY(check_path(w, a, "checkpoint", c->story.checkpoint));
    return check_path(w, a, "codec.file", c->codec.file);
}

// The name of its clip, to which suffixes and, while it is written, names of temporaries are added.
static void check_clip_name(tk_wrong *w, const char *name)
{
    enum { MOST = 160 }; // bytes
    char shown[400];
    snprintf(shown, sizeof shown, "%s", name);
    tk_utf8_plain(shown, '?', "");
    if (strchr(name, '/'))
        tk_wrong_add(w, "output",
                     "\"%s\": a clip goes into its job's folder; give a name without '/'", shown);
    else if (*name == '.')
        tk_wrong_add(w, "output", "\"%s\": begins with '.', which hides it; give another name",
                     shown);
    else if (strlen(name) < sizeof shown && strcmp(shown, name))
        tk_wrong_add(w, "output",
                     "\"%s\": has characters that steer a terminal, or bytes that are no UTF-8; "
                     "give another name",
                     shown);
    if (strlen(name) > MOST)
        tk_wrong_add(w, "output", "has %zu bytes; the name of a job's clip has at most %d",
                     strlen(name), MOST);
    if (strstr(name, ".part-"))
        tk_wrong_add(w, "output", "\"%s\": .part- is in names of temporaries; give another name",
                     shown);
    if (!strcmp(name, "job") || !strcmp(name, "job.mp4"))
        tk_wrong_add(w, "output", "\"job\": what its job.json tells is the job; give another name");
}

// What a job may ask of a worker; `c`: as its file has it.
static tk_status check_claimed(tk_wrong *w, const tk_serving *a, tk_config *c)
{
    if (c->jobs.n_storyboards)
        tk_wrong_add(w, "storyboards", "its file was made a list after it was taken in");
    if (c->story.takes && !c->story.take)
        tk_wrong_add(w, "takes",
                     "a job makes one clip; drop one for each, with take: 1, take: 2 and so on");
    if (c->story.n_cameo && !a->consent.store)
        tk_wrong_add(w, "cameo", "its worker was started without consent.store and knows nobody");
    check_clip_name(w, c->story.output);
    TK_TRY(tk_wrong_ask_job(w));
    if (!*c->story.checkpoint && !*a->checkpoint)
        tk_wrong_add(w, "checkpoint", "missing, and the worker was started without one");
    return check_paths(w, a, c);
}

// A clip's JSON outlives the claim: it names what is in it by the place of jobs that are done.
static tk_status name_files(const tk_serving *a, const char *clip, tk_served *h)
{
    tk_serve_order *o = &h->order;
    const char *name = h->claim.entry.name, *dir = a->spool.dir;
    TK_TRY(tk_spool_path(o->output, h->claim.dir, "%s", clip));
    TK_TRY(tk_spool_path(o->told_output, dir, "done/%s/%s", name, clip));
    return tk_spool_path(o->told_yaml, dir, "done/%s/%s.yaml", name, name);
}

// The job's files as they stand; they may not stand on others (base:), which could be anywhere.
static tk_status read_job(tk_served *h, tk_arena *arena, tk_config *c)
{
    tk_serve_order *o = &h->order;
    char *text, *list = NULL;
    size_t bytes, list_bytes = 0;
    TK_TRY(tk_claim_read(&h->claim, arena, &text, &bytes));
    if (*h->claim.record.list) {
        TK_TRY(tk_spool_path(o->list, h->claim.dir, "%s" TK_SPOOL_LIST_FILE, h->claim.entry.name));
        TK_TRY(tk_file_read(o->list, TK_SPOOL_YAML, arena, &list, &list_bytes));
    }
    return tk_spool_layer(c, list ? h->claim.record.list : NULL, list, list_bytes,
                          h->claim.record.file, text, bytes);
}

tk_status tk_served_order(tk_serving *a, tk_served *h)
{
    tk_serve_order *o = &h->order;
    tk_config c;
    tk_arena arena;
    const char *name = h->claim.entry.name;
    tk_arena_init(&arena, 0);
    tk_config_init(&c);
    *o->list = *o->output = 0;
    tk_status st = read_job(h, &arena, &c);
    tk_wrong w = tk_wrong_of(&c, h->claim.record.file, &arena);
    if (st == TK_OK) st = check_claimed(&w, a, &c);
    if (st == TK_OK) st = tk_wrong_end(&w);
    if (st == TK_OK) {
        o->what = TK_SERVE_JOB;
        o->default_checkpoint = !*c.story.checkpoint;
        o->again = h->claim.record.tries > 1;
        o->uid = h->claim.record.uid;
        snprintf(o->yaml, sizeof o->yaml, "%s", h->claim.yaml);
        st = name_files(a, *c.story.output ? c.story.output : name, h);
    }
    tk_config_free(&c);
    tk_arena_free(&arena);
    return st;
}
