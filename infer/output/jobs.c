// SPDX-License-Identifier: Apache-2.0
#include "infer/output/jobs.h"
#include "infer/mark/marked.h"
#include "infer/output/sign.h"
#include "infer/story/check.h"
#include "infer/story/naming.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LESS = 4 }; // times fewer steps of a draft

// A file named by another: as it stands, else beside the one that names it.
static tk_status find_file(char **path, const char *named_by, tk_arena *a)
{
    const char *slash = strrchr(named_by, '/');
    if (**path == '/' || !slash || access(*path, F_OK) == 0) return TK_OK;
    char *beside = tk_arena_printf(a, "%.*s/%s", (int)(slash - named_by), named_by, *path);
    if (!beside) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (access(beside, F_OK) == 0) *path = beside;
    return TK_OK;
}

static tk_status locate_checkpoint(char **path, const char *named_by, tk_arena *a)
{
    char here[PATH_MAX];
    const char *slash = strrchr(named_by, '/');
    TK_TRY(find_file(path, named_by, a));
    if (**path == '/' || !slash || access(*path, F_OK) == 0 || errno != ENOENT) return TK_OK;
    return TK_FAIL(TK_INPUT, "no checkpoint at %s, looked for from %s and from %.*s on", *path,
                   getcwd(here, sizeof here) ? here : ".", (int)(slash - named_by), named_by);
}

// Job file, storyboard and overrides on top of what `c` has. The job file's list is no option of
// the storyboard's.
static tk_status load_layers(const tk_jobs *j, const char *top, const char *file, int n,
                             char *const *overrides, tk_config *c)
{
    if (j->many) {
        TK_TRY(tk_config_load(c, TK_CMD_SAMPLE, top, 0, NULL));
        c->jobs = (tk_jobs_config){0};
        c->story.output = c->output = "";
    }
    TK_TRY(tk_config_load(c, TK_CMD_SAMPLE, file, n, overrides));
    if (j->many && c->jobs.n_storyboards)
        return TK_FAIL(TK_INPUT, "%s: storyboards: %s is a list too; a job file lists storyboards",
                       top, file);
    return TK_OK;
}

static tk_status open_trained(tk_jobs *j, tk_comm *world, const char *where, const char *codec_file,
                              tk_trained **out)
{
    for (int i = 0; i < j->n_trained; i++)
        if (!strcmp(j->trained[i].where, where)) {
            *out = &j->trained[i];
            return TK_OK;
        }
    *out = &j->trained[j->n_trained];
    TK_TRY(tk_trained_open(where, codec_file, world, &j->arena, *out));
    j->n_trained++;
    return TK_OK;
}

// clips/<name of the storyboard> unless the storyboard says otherwise.
static tk_status name_output(tk_job *job, tk_arena *a)
{
    const char *slash = strrchr(job->file, '/'), *name = slash ? slash + 1 : job->file;
    const char *dot = strrchr(name, '.');
    const int length = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
    const char *asked = job->config.story.output;
    const size_t n = asked ? strlen(asked) : 0;
    if (n > 4 && !strcmp(asked + n - 4, ".mp4"))
        job->output = tk_arena_printf(a, "%.*s", (int)n - 4, asked);
    else
        job->output =
            n ? tk_arena_strdup(a, asked) : tk_arena_printf(a, "clips/%.*s", length, name);
    if (job->output && job->is_take)
        job->output = tk_arena_printf(a, "%s.take%d", job->output, (int)job->take);
    if (job->output && job->draft && !job->uid) // a spool's jobs have folders of their own
        job->output = tk_arena_printf(a, "%s.draft", job->output);
    if (!job->output) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    const char *last = strrchr(job->output, '/');
    if (last && !last[1])
        return TK_FAIL(TK_INPUT, "output: \"%s\" names a folder, not a clip", asked);
    return TK_OK;
}

static tk_status find_inputs(tk_job *job, tk_arena *a)
{
    char ***at;
    const int64_t n = tk_story_files(&job->config.story, NULL);
    TK_ARENA_NEW(at, a, n + 1);
    tk_story_files(&job->config.story, at);
    for (int64_t i = 0; i < n; i++) TK_TRY(find_file(at[i], job->file, a));
    return TK_OK;
}

// Whether what is given leaves something to make.
static tk_status check_made(const tk_job *job)
{
    tk_arena a;
    tk_story_given given;
    if (!tk_story_gives(&job->config.story)) return TK_OK;
    tk_arena_init(&a, 0);
    const tk_status st = tk_story_given_lay(
        &job->config, &job->story, tk_codec_get_info(job->trained->meta.codec), &a, &given);
    tk_arena_free(&a);
    return st;
}

// What is asked for of takes and drafts, as options of a clip like any other.
static void take_up_choice(tk_job *job, tk_config *c)
{
    tk_storyboard *b = &c->story;
    if (!job->is_take) job->take = b->take;
    if (job->take) b->seed = (int64_t)(((uint64_t)b->seed + (uint64_t)job->take - 1) & INT64_MAX);
    job->draft = b->draft != 0;
    if (job->draft) c->sample.steps = (c->sample.steps + LESS - 1) / LESS;
    b->takes = b->take = b->draft = 0;
}

// The checkpoint's options under the storyboard's; what the model is stays the checkpoint's.
// acts: on the one rank that changes files.
static tk_status plan_job(tk_jobs *j, tk_job *job, bool acts, const char *top, int n,
                          char *const *overrides)
{
    const tk_trained *t = job->trained;
    tk_config *c = &job->config;
    const char *yaml = t->meta.config;
    tk_story_text text;
    tk_wrong wrong = tk_wrong_of(c, &j->arena);
    tk_config_init(c);
    TK_TRY(tk_config_parse(c, TK_CMD_PLAN, t->path, yaml, strlen(yaml), 0, NULL));
    c->story.output = c->output = "";
    c->parallel = t->config.parallel;
    TK_TRY(load_layers(j, top, job->file, n, overrides, c));
    c->model = t->config.model;
    c->media = t->config.media;
    if (t->meta.bare && !c->story.size[0])
        return TK_FAIL(TK_INPUT,
                       "size is missing: %s does not say which pictures it was trained on; give "
                       "size: [width, height]",
                       t->path);
    char *codec_file = c->codec.file;
    c->codec = t->config.codec;
    c->codec.file = codec_file;
    TK_TRY(tk_sample_check_branches(j->top.parallel.guidance, c->sample.guidance));
    take_up_choice(job, c);
    TK_TRY(name_output(job, &j->arena));
    TK_TRY(find_inputs(job, &j->arena));
    TK_TRY(tk_remix_look(c, tk_codec_get_info(t->meta.codec), &j->arena, &job->remix));
    TK_TRY(tk_signing_check_latents(&job->remix));
    TK_TRY(tk_story_plan(c, t->meta.codec, &j->arena, &job->story));
    TK_TRY(tk_cut_plan(&wrong, &c->story, &job->story, tk_codec_get_info(t->meta.codec), &j->arena,
                       &job->cut));
    tk_story_check(&wrong, &c->story, &job->story);
    TK_TRY(tk_wrong_end(&wrong));
    TK_TRY(tk_remix_check(&job->remix, c, &job->story));
    TK_TRY(check_made(job));
    TK_TRY(tk_lent_open(&job->lent, c, job->file, top, job->uid, job->output, acts, &j->arena));
    TK_TRY(tk_story_text_look(c, t, &j->arena, &text));
    TK_TRY(tk_output_digest(c, t, &job->remix, &job->digest, &job->made));
    if (acts) tk_naming_tell(c, &job->remix);
    const tk_mark_message mark = tk_output_mark(c, &job->story, &job->cut, job->digest);
    if (*c->watermark.key) tk_mark_say(&mark, job->lent.mark);
    return TK_OK;
}

static tk_status open_job(tk_jobs *j, tk_job *job, tk_comm *world, const char *top, int n,
                          char *const *overrides)
{
    tk_config peek;
    char *where = NULL, *codec_file = NULL;
    tk_config_init(&peek);
    tk_status st = j->many ? find_file((char **)&job->file, top, &j->arena) : TK_OK;
    if (st == TK_OK) st = load_layers(j, top, job->file, n, overrides, &peek);
    if (st == TK_OK) where = tk_arena_strdup(&j->arena, peek.story.checkpoint);
    if (st == TK_OK) codec_file = tk_arena_strdup(&j->arena, peek.codec.file);
    if (st == TK_OK && !(where && codec_file)) st = TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (st == TK_OK) st = locate_checkpoint(&where, job->file, &j->arena);
    tk_config_free(&peek);
    TK_TRY(tk_agree(world, tk_status_in_file(st, job->file)));
    TK_TRY(tk_same(world, "the storyboard's checkpoint", where, strlen(where)));
    TK_TRY(open_trained(j, world, where, codec_file, &job->trained));
    return tk_agree(
        world, tk_status_in_file(plan_job(j, job, world->rank == 0, top, n, overrides), job->file));
}

typedef tk_file_id files_of_job[TK_OUTPUT_FILES];

static bool writes(const files_of_job of, tk_file_id id)
{
    for (int k = 0; k < TK_OUTPUT_FILES; k++)
        if (tk_file_same(of[k], id)) return true;
    return false;
}

static tk_status check_own_inputs(tk_jobs *j, const files_of_job *of, const tk_job *reader)
{
    char ***at;
    const int64_t n = tk_story_files(&reader->config.story, NULL);
    TK_ARENA_NEW(at, &j->arena, n + 1);
    tk_story_files(&reader->config.story, at);
    for (int64_t r = 0; r < n; r++) {
        const tk_file_id id = tk_file_identity(*at[r]);
        for (int i = 0; i < j->n; i++)
            if (writes(of[i], id))
                return TK_FAIL(TK_INPUT,
                               "%s: its reference %s is a file that %s writes (output %s); name "
                               "another output",
                               reader->file, *at[r], j->job[i].file, j->job[i].output);
    }
    return TK_OK;
}

// Rank 0: no two jobs write one file, and none reads what one writes.
static tk_status check_outputs(tk_jobs *j)
{
    files_of_job *of;
    TK_ARENA_NEW(of, &j->arena, j->n);
    for (int i = 0; i < j->n; i++) {
        TK_TRY(tk_output_identify(j->job[i].output, of[i]));
        for (int k = 0; k < i; k++)
            if (writes(of[k], of[i][0]))
                return TK_FAIL(TK_INPUT,
                               "storyboards %s and %s both go to %s; give one of them another "
                               "output",
                               j->job[k].file, j->job[i].file, j->job[i].output);
    }
    for (int i = 0; i < j->n; i++) TK_TRY(check_own_inputs(j, of, &j->job[i]));
    return TK_OK;
}

// Rank 0, before any clip is made.
static tk_status check_writable(const tk_jobs *j, const char *top)
{
    for (int i = 0; i < j->n; i++) {
        const tk_job *job = &j->job[i];
        char *const inputs[] = {(char *)top, (char *)job->file};
        if (job->finished) continue;
        tk_signing by;
        TK_TRY(tk_output_check(job->output, &job->config, 2, inputs));
        TK_TRY(tk_status_in_file(tk_signing_open(&by, &job->config, job->trained, job->output),
                                 job->file));
        tk_signing_close(&by);
        tk_mark_key key;
        if (*job->config.watermark.key)
            TK_TRY(tk_status_in_file(tk_mark_open_key(&job->config.watermark, &key), job->file));
    }
    return TK_OK;
}

tk_status tk_job_find_stored(tk_job *job, tk_arena *a)
{
    const tk_latents_form form =
        tk_stored_form(&job->story, tk_codec_get_info(job->trained->meta.codec));
    TK_TRY(tk_stored_look(job->output, job->made, &form, a, &job->stored));
    if (job->stored.path || job->is_take || !job->take || job->draft) return TK_OK;
    const char *take = tk_arena_printf(a, "%s.take%d", job->output, (int)job->take);
    if (!take) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    return tk_stored_look(take, job->made, &form, a, &job->stored);
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
        st = tk_output_finished(j->job[i].output, j->job[i].digest, &j->job[i].finished);
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
    tk_config_init(&peek);
    tk_status st = j->many ? find_file((char **)file, top, &j->arena) : TK_OK;
    if (st == TK_OK) st = load_layers(j, top, *file, n, overrides, &peek);
    *takes = peek.story.takes > 0 && peek.story.take == 0;
    *clips = *takes ? (int)peek.story.takes : 1;
    tk_config_free(&peek);
    return tk_status_in_file(st, *file);
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
    TK_TRY(tk_config_load(&j->top, TK_CMD_SAMPLE, file, n, overrides));
    j->many = j->top.jobs.n_storyboards > 0;
    const int listed = j->many && !only ? (int)j->top.jobs.n_storyboards : 1;
    for (int i = 0; i < listed; i++) {
        const char *one = only ? only : j->many ? j->top.jobs.storyboards[i] : file;
        int clips;
        bool takes;
        TK_TRY(count_clips(j, file, &one, n, overrides, &clips, &takes));
        TK_TRY(add_takes(j, one, clips, takes));
    }
    TK_ARENA_NEW(j->trained, &j->arena, j->n);
    return TK_OK;
}

static tk_status read_jobs(tk_jobs *j, tk_comm *world, const char *file, const char *only,
                           const int64_t *uid, int n, char *const *overrides)
{
    memset(j, 0, sizeof *j);
    tk_arena_init(&j->arena, 0);
    tk_config_init(&j->top);
    tk_status st = tk_config_agree(world, load_top(j, file, only, n, overrides), &j->top);
    for (int i = 0; i < j->n && st == TK_OK; i++) {
        j->job[i].uid = uid;
        st = open_job(j, &j->job[i], world, file, n, overrides);
    }
    if (st != TK_OK) tk_jobs_close(j);
    return st;
}

tk_status tk_jobs_read(tk_jobs *j, tk_comm *world, const char *file, int n, char *const *overrides)
{
    return read_jobs(j, world, file, NULL, NULL, n, overrides);
}

tk_status tk_jobs_open_for(tk_jobs *j, tk_comm *world, const char *list, const char *file,
                           const int64_t *uid, int n, char *const *overrides)
{
    TK_TRY(read_jobs(j, world, list, file, uid, n, overrides));
    tk_status st = tk_agree(world, world->rank ? TK_OK : check_outputs(j));
    if (st == TK_OK) st = find_finished(j, world);
    if (st == TK_OK) st = find_all_stored(j, world);
    if (st == TK_OK) st = tk_agree(world, world->rank ? TK_OK : check_writable(j, list));
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
