// SPDX-License-Identifier: Apache-2.0
#include "infer/filtering.h"
#include "core/base/log.h"
#include "core/config/text.h"
#include "infer/filter/ruling.h"
#include "infer/story/given.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SAID_MOST = 16 << 20 }; // bytes of what a clip of ours says of itself

// ---- what it says ------------------------------------------------------------------------------

// "a.yaml:3:12: shots[2].prompt"
static void name_place(const tk_job *job, const tk_config_text *t, char *to, size_t room)
{
    if (*t->place)
        snprintf(to, room, "%.300s: %.160s", t->place, t->name);
    else
        snprintf(to, room, "%.300s: %.160s", job->file, t->name);
}

// Names of files are no text of a clip's.
static bool names_file(const tk_job *job, char *const *const *file, int64_t n,
                       const tk_config_text *t)
{
    for (int64_t i = 0; i < n; i++)
        if (file[i] == t->at) return true;
    return t->at == &job->config.story.checkpoint || t->at == &job->config.story.output ||
           t->at == &job->config.codec.file || !strncmp(t->name, "provenance.", 11) ||
           !strncmp(t->name, "watermark.", 10) || !strncmp(t->name, "consent.", 8);
}

static tk_status look_at_texts(tk_ruling *f, const tk_job *job, tk_arena *a)
{
    tk_config_text *t;
    int64_t n, files;
    char ***file, place[512];
    TK_TRY(tk_config_texts(&job->config, TK_CMD_SAMPLE, a, &t, &n));
    files = tk_story_files(&job->config.story, NULL);
    TK_ARENA_NEW(file, a, files + 1);
    tk_story_files(&job->config.story, file);
    for (int64_t i = 0; i < n; i++) {
        if (names_file(job, (char *const *const *)file, files, &t[i])) continue;
        name_place(job, &t[i], place, sizeof place);
        TK_TRY(tk_ruling_text(f, place, *t[i].at));
    }
    return TK_OK;
}

// The style and a prompt together, where they may mean what neither does.
static tk_status look_at_captions(tk_ruling *f, const tk_job *job)
{
    char place[512];
    if (!*job->config.story.style || tk_ruling_refuses(f)) return TK_OK;
    for (int i = 0; i < job->story.n_shots; i++) {
        snprintf(place, sizeof place, "%.300s: shots[%d], style and prompt", job->file, i);
        TK_TRY(tk_ruling_text(f, place, job->story.shot[i].caption));
    }
    return TK_OK;
}

// ---- what it is given --------------------------------------------------------------------------

// A clip's captions, as the file beside it has them; none where that is no such file.
static tk_status look_at_parent(tk_ruling *f, const tk_job *job, const char *file, tk_arena *a)
{
    const size_t n = strlen(file);
    const char *beside = n > 4 && !strcmp(file + n - 4, ".mp4")
                             ? tk_arena_printf(a, "%.*s.json", (int)n - 4, file)
                             : NULL;
    char *text, place[512];
    size_t bytes, i;
    json_t *shot;
    if (!beside || access(beside, F_OK) != 0) return TK_OK;
    TK_TRY(tk_file_read(beside, SAID_MOST, a, &text, &bytes));
    json_t *root = json_loadb(text, bytes, 0, NULL);
    tk_status st = TK_OK;
    json_array_foreach(json_object_get(root, "shots"), i, shot)
    {
        const char *caption = json_string_value(json_object_get(shot, "caption"));
        snprintf(place, sizeof place, "%.200s: %.200s, its shot %zu", job->file, file, i);
        if (caption && st == TK_OK) st = tk_ruling_text(f, place, caption);
    }
    json_decref(root);
    return st;
}

static tk_status look_at_parents(tk_ruling *f, const tk_job *job, tk_arena *a)
{
    char ***file;
    const int64_t n = tk_story_files(&job->config.story, NULL);
    TK_ARENA_NEW(file, a, n + 1);
    tk_story_files(&job->config.story, file);
    for (int64_t i = 0; i < n; i++) TK_TRY(look_at_parent(f, job, *file[i], a));
    return TK_OK;
}

// ---- who is in it ------------------------------------------------------------------------------

typedef struct who_lends {
    const tk_lent *lent; // asked for already: everybody in it consents, for all who were asked for
    const int64_t *uid;
} who_lends;

// A name stands for a face and a voice: one of the two is not enough.
static bool consents(void *ctx, const char *handle)
{
    const who_lends *w = ctx;
    const tk_lent *l = w->lent;
    const unsigned both = TK_USE_FACE | TK_USE_VOICE;
    bool asked = !w->uid;
    for (int i = 0; i < l->ask.users && !asked; i++) asked = l->ask.user[i] == *w->uid;
    for (int i = 0; i < l->ask.n && asked; i++)
        if (!strcmp(l->cameo[i].who.name, handle) && (l->cameo[i].uses & both) == both) return true;
    return false;
}

// ---- jobs --------------------------------------------------------------------------------------

static tk_status look_at_job(const tk_job *job, const int64_t *uid, bool dry, tk_arena *a)
{
    tk_ruling *f;
    who_lends who = {&job->lent, uid};
    const tk_ruling_request r = {.clip = job->output,
                                 .files = &job->file,
                                 .n_files = 1,
                                 .uid = uid,
                                 .dry = dry,
                                 .consents = consents,
                                 .ctx = &who};
    TK_TRY(tk_ruling_open(&job->config.filter, &r, &f));
    if (!f) return TK_OK;
    tk_status st = look_at_texts(f, job, a);
    if (st == TK_OK) st = look_at_captions(f, job);
    if (st == TK_OK) st = look_at_parents(f, job, a);
    if (st == TK_OK) st = tk_ruling_verdict(f);
    if (st == TK_OK && dry) {
        const tk_policy *p = tk_ruling_policy(f);
        printf("filter      %s: nothing is refused of %s, by %" PRId64 " categories of %" PRId64
               " words and names\n",
               p->file, job->file, p->n_categories, p->words);
    }
    tk_ruling_close(f);
    return st;
}

// Rank 0: of all storyboards what is refused, in one message.
static tk_status look_at_jobs(const tk_jobs *jobs, const int64_t *uid, bool dry)
{
    tk_arena a, all;
    tk_arena_init(&a, 0);
    tk_arena_init(&all, 0);
    tk_text lines = tk_text_in(&all);
    tk_status st = TK_OK;
    for (int i = 0; i < jobs->n && (st == TK_OK || st == TK_INPUT); i++) {
        tk_arena_reset(&a);
        if (jobs->job[i].finished) continue;
        const tk_status one = look_at_job(&jobs->job[i], uid, dry, &a);
        if (one == TK_OK) continue;
        if (lines.used) tk_text_add(&lines, "\n");
        tk_text_add(&lines, tk_status_message());
        st = one;
    }
    if (st == TK_INPUT)
        st = lines.s ? TK_FAIL(TK_INPUT, "%s", lines.s) : TK_FAIL(TK_MEMORY, "out of memory");
    tk_arena_free(&all);
    tk_arena_free(&a);
    return st;
}

tk_status tk_filter_jobs(const tk_jobs *jobs, tk_comm *world, const int64_t *uid, bool dry)
{
    return tk_agree(world, world->rank ? TK_OK : look_at_jobs(jobs, uid, dry));
}
