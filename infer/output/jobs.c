// SPDX-License-Identifier: Apache-2.0
#include "infer/output/jobs.h"
#include "core/base/files.h"
#include "infer/output/planning.h"
#include "infer/reel/owner.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

// ---- what is wrong -----------------------------------------------------------------------------

static tk_wrong wrong_of(tk_jobs *j, const tk_job *job)
{
    tk_wrong w = tk_wrong_of(&job->config, job->file, &j->arena);
    w.listed = j->many;
    return w;
}

static bool was_told(const tk_jobs *j, const char *line, size_t n)
{
    const char *at = j->wrong.used ? j->wrong.s : NULL;
    for (; at; at = (at = strchr(at, '\n')) ? at + 1 : NULL)
        if (!strncmp(at, line, n) && (at[n] == '\n' || !at[n])) return true;
    return false;
}

// Of one storyboard; the others are looked at all the same. What they share is told once.
static tk_status tell_wrong(tk_jobs *j, tk_status st)
{
    if (st != TK_INPUT) return st;
    if (!j->wrong.arena) j->wrong = tk_text_in(&j->arena);
    for (const char *line = tk_status_message(); *line;) {
        const size_t n = strcspn(line, "\n");
        const bool told = was_told(j, line, n);
        if (!told && j->wrong.used) tk_text_add(&j->wrong, "\n");
        if (!told) tk_text_add_bytes(&j->wrong, line, n);
        line += n + (line[n] != 0);
    }
    tk_status_clear();
    return j->wrong.s ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for messages");
}

// With all of them.
static tk_status end_wrong(const tk_jobs *j)
{
    return j->wrong.used ? TK_FAIL(TK_INPUT, "%s", j->wrong.s) : TK_OK;
}

// ---- all of them -------------------------------------------------------------------------------

typedef tk_file_id files_of_job[TK_OUTPUT_FILES];

static bool writes(const files_of_job of, tk_file_id id)
{
    for (int k = 0; k < TK_OUTPUT_FILES; k++)
        if (tk_file_same(of[k], id)) return true;
    return false;
}

static tk_status check_own_inputs(tk_jobs *j, const files_of_job *of, const tk_job *reader)
{
    const tk_storyboard *b = &reader->config.story;
    tk_wrong w = wrong_of(j, reader);
    char ***at;
    const int64_t n = tk_story_files(b, NULL);
    TK_ARENA_NEW(at, &j->arena, n + 1);
    tk_story_files(b, at);
    for (int64_t r = 0; r < n; r++) {
        const tk_file_id id = tk_file_identity(*at[r]);
        tk_story_option name;
        for (int i = 0; i < j->n; i++)
            if (writes(of[i], id))
                tk_wrong_add(&w, tk_story_file_option(b, r, name),
                             "%.400s is a file that %.400s writes (output %.400s); name another "
                             "output",
                             *at[r], j->job[i].file, j->job[i].output);
    }
    return tell_wrong(j, tk_wrong_end(&w));
}

// Rank 0: no two jobs write one file, and none reads what one writes.
static tk_status check_outputs(tk_jobs *j)
{
    files_of_job *of;
    TK_ARENA_NEW(of, &j->arena, j->n);
    for (int i = 0; i < j->n; i++) {
        tk_wrong w = wrong_of(j, &j->job[i]);
        TK_TRY(tk_wrong_with(&w, "output", tk_output_identify(j->job[i].output, of[i])));
        for (int k = 0; k < i && !w.n; k++)
            if (writes(of[k], of[i][0]))
                tk_wrong_add(&w, "output",
                             "storyboards %.400s and %.400s both go to %.400s; give one of them "
                             "another output",
                             j->job[k].file, j->job[i].file, j->job[i].output);
        TK_TRY(tell_wrong(j, tk_wrong_end(&w)));
    }
    for (int i = 0; i < j->n; i++) TK_TRY(check_own_inputs(j, of, &j->job[i]));
    return TK_OK;
}

// Rank 0, before any clip is made.
static tk_status check_last(tk_jobs *j, const char *top)
{
    for (int i = 0; i < j->n; i++) {
        const tk_job *job = &j->job[i];
        tk_wrong w = wrong_of(j, job);
        if (job->finished) continue;
        TK_TRY(tk_planning_check_writable(&w, job, top));
        if (!job->uid) TK_TRY(tk_wrong_with(&w, "output", tk_reel_owner_look(job->output)));
        TK_TRY(tell_wrong(j, tk_wrong_end(&w)));
    }
    return end_wrong(j);
}

tk_status tk_job_find_stored(tk_job *job, tk_arena *a)
{
    const tk_latents_form form =
        tk_stored_form(&job->story, tk_codec_get_info(job->trained->meta.codec));
    TK_TRY(tk_stored_look(job->output, job->digest.made, &form, a, &job->stored));
    if (job->stored.path || job->is_take || !job->take || job->draft) return TK_OK;
    const char *take = tk_arena_printf(a, "%s.take%d", job->output, (int)job->take);
    if (!take) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    return tk_stored_look(take, job->digest.made, &form, a, &job->stored);
}

// What rank 0 has found, to all.
static tk_status share_stored(tk_jobs *j, tk_comm *world, tk_stored *s)
{
    char path[PATH_MAX + 32] = "";
    if (s->path) snprintf(path, sizeof path, "%s", s->path);
    TK_TRY(tk_comm_broadcast(world, path, sizeof path, 0));
    if (!*path) return TK_OK;
    TK_TRY(tk_comm_broadcast(world, &s->digest, sizeof s->digest, 0));
    TK_TRY(tk_comm_broadcast(world, &s->form, sizeof s->form, 0));
    s->path = tk_arena_strdup(&j->arena, path);
    return tk_agree(world, s->path ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path"));
}

static tk_status find_all_stored(tk_jobs *j, tk_comm *world)
{
    tk_status st = TK_OK;
    for (int i = 0; i < j->n && world->rank == 0 && st == TK_OK; i++)
        if (!j->job[i].finished) st = tk_job_find_stored(&j->job[i], &j->arena);
    TK_TRY(tk_agree(world, st));
    for (int i = 0; i < j->n; i++) TK_TRY(share_stored(j, world, &j->job[i].stored));
    return TK_OK;
}

// Rank 0 looks, the others are told.
static tk_status find_finished(tk_jobs *j, tk_comm *world)
{
    tk_status st = TK_OK;
    for (int i = 0; i < j->n && world->rank == 0 && st == TK_OK; i++)
        st = tk_output_finished(j->job[i].output, j->job[i].digest.clip, &j->job[i].finished);
    TK_TRY(tk_agree(world, st));
    for (int i = 0; i < j->n; i++) {
        tk_job *job = &j->job[i];
        TK_TRY(
            tk_same(world, "the storyboard and its references", &job->digest, sizeof job->digest));
        TK_TRY(tk_comm_broadcast(world, &job->finished, sizeof job->finished, 0));
    }
    return TK_OK;
}

// How many clips a storyboard asks for; `takes`: whether these are takes of one.
static tk_status count_clips(tk_jobs *j, const char *top, const char **file, int n,
                             char *const *overrides, int *clips, bool *takes)
{
    tk_config peek;
    tk_wrong w = tk_wrong_of(NULL, "", &j->arena); // told when it is planned
    tk_config_init(&peek);
    tk_status st = j->many ? tk_planning_find((char **)file, top, &j->arena) : TK_OK;
    if (st == TK_OK) st = tk_planning_layers(j, &w, top, *file, n, overrides, &peek);
    *takes = peek.story.takes > 0 && peek.story.take == 0;
    *clips = *takes ? (int)peek.story.takes : 1;
    tk_config_free(&peek);
    return st;
}

static tk_status add_takes(tk_jobs *j, const char *file, int clips, bool takes)
{
    tk_job *more = tk_arena_alloc(&j->arena, (size_t)(j->n + clips) * sizeof *more);
    if (!more) return TK_FAIL(TK_MEMORY, "out of memory for the clips");
    if (j->n) memcpy(more, j->job, (size_t)j->n * sizeof *more);
    for (int k = 0; k < clips; k++)
        more[j->n + k] = (tk_job){.file = file, .take = takes ? k + 1 : 0, .is_take = takes};
    j->job = more;
    j->n += clips;
    return TK_OK;
}

// only: the one storyboard of the list that is meant; NULL: all of them.
static tk_status load_top(tk_jobs *j, const char *file, const char *only, int n,
                          char *const *overrides)
{
    tk_wrong w = tk_wrong_of(&j->top, "", &j->arena);
    TK_TRY(tk_config_gather(&w, &j->top, TK_CMD_SAMPLE, file, n, overrides));
    j->many = j->top.jobs.n_storyboards > 0;
    const int listed = j->many && !only ? (int)j->top.jobs.n_storyboards : 1;
    for (int i = 0; i < listed; i++) {
        const char *one = only ? only : j->many ? j->top.jobs.storyboards[i] : file;
        char name[48];
        int clips;
        bool takes;
        snprintf(name, sizeof name, "storyboards[%d]", i);
        if (!*one) continue; // told
        const tk_status st = count_clips(j, file, &one, n, overrides, &clips, &takes);
        TK_TRY(j->many && !only ? tk_wrong_with(&w, name, st) : tell_wrong(j, st));
        if (st == TK_OK) TK_TRY(add_takes(j, one, clips, takes));
    }
    TK_ARENA_NEW(j->trained, &j->arena, j->n + 1);
    return j->many ? tell_wrong(j, tk_wrong_end(&w)) : TK_OK; // its own are told with its clip
}

// writes: their clips are to be made.
static tk_status read_jobs(tk_jobs *j, tk_comm *world, const char *file, const char *only,
                           const int64_t *uid, bool writes, int n, char *const *overrides)
{
    memset(j, 0, sizeof *j);
    tk_arena_init(&j->arena, 0);
    tk_config_init(&j->top);
    tk_status st = load_top(j, file, only, n, overrides);
    if (st == TK_OK && !j->n) st = end_wrong(j);
    st = tk_config_agree(world, st, &j->top);
    for (int i = 0; i < j->n && st == TK_OK; i++) {
        tk_planning p = {.j = j,
                         .job = &j->job[i],
                         .acts = world->rank == 0,
                         .writes = writes,
                         .top = file,
                         .n = n,
                         .overrides = overrides};
        p.job->uid = uid;
        st = tell_wrong(j, tk_planning_open(&p, world));
    }
    if (st == TK_OK) st = tk_agree(world, end_wrong(j));
    if (st != TK_OK) tk_jobs_close(j);
    return st;
}

tk_status tk_jobs_read(tk_jobs *j, tk_comm *world, const char *file, int n, char *const *overrides)
{
    return read_jobs(j, world, file, NULL, NULL, false, n, overrides);
}

tk_status tk_jobs_open_for(tk_jobs *j, tk_comm *world, const char *list, const char *file,
                           const int64_t *uid, int n, char *const *overrides)
{
    TK_TRY(read_jobs(j, world, list, file, uid, true, n, overrides));
    tk_status st = tk_agree(world, world->rank ? TK_OK : check_outputs(j));
    if (st == TK_OK) st = find_finished(j, world);
    if (st == TK_OK) st = find_all_stored(j, world);
    if (st == TK_OK) st = tk_agree(world, world->rank ? TK_OK : check_last(j, list));
    if (st != TK_OK) tk_jobs_close(j);
    return st;
}

tk_status tk_jobs_open(tk_jobs *j, tk_comm *world, const char *file, int n, char *const *overrides)
{
    return tk_jobs_open_for(j, world, file, NULL, NULL, n, overrides);
}

void tk_jobs_close(tk_jobs *j)
{
    for (int i = 0; i < j->n && j->job; i++) {
        tk_lent_close(&j->job[i].lent);
        tk_remix_close(&j->job[i].remix);
        if (j->job[i].config.arena.block_bytes) tk_config_free(&j->job[i].config);
    }
    for (int i = 0; i < j->n_trained; i++) tk_trained_close(&j->trained[i]);
    tk_config_free(&j->top);
    tk_arena_free(&j->arena);
    memset(j, 0, sizeof *j);
}
