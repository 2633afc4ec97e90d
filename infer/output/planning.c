// SPDX-License-Identifier: Apache-2.0
#include "infer/output/planning.h"
#include "core/base/files.h"
#include "infer/mark/marked.h"
#include "infer/output/sign.h"
#include "infer/provenance/signer.h"
#include "infer/story/check.h"
#include "infer/story/naming.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { LESS = 4 }; // times fewer steps of a draft

tk_status tk_planning_find(char **path, const char *named_by, tk_arena *a)
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
    TK_TRY(tk_planning_find(path, named_by, a));
    if (**path == '/' || !slash || access(*path, F_OK) == 0 || errno != ENOENT) return TK_OK;
    return TK_FAIL(TK_INPUT, "no checkpoint at %s, looked for from %s and from %.*s on", *path,
                   getcwd(here, sizeof here) ? here : ".", (int)(slash - named_by), named_by);
}

tk_status tk_planning_layers(const tk_jobs *j, tk_wrong *w, const char *top, const char *file,
                             int n, char *const *overrides, tk_config *c)
{
    if (j->many) {
        TK_TRY(tk_config_gather(w, c, 0, top, 0, NULL));
        c->jobs = (tk_jobs_config){0};
        c->story.output = c->output = "";
    }
    TK_TRY(tk_config_gather(w, c, TK_CMD_SAMPLE, file, n, overrides));
    if (j->many && c->jobs.n_storyboards)
        tk_wrong_add(w, "storyboards", "%s is a list too; a job file lists storyboards", file);
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
    for (int64_t i = 0; i < n; i++) TK_TRY(tk_planning_find(at[i], job->file, a));
    return TK_OK;
}

// A spool's job cites files of others, who may change them between a look at them and their use.
static tk_status hold_inputs(const tk_job *job, tk_arena *a)
{
    const tk_storyboard *b = &job->config.story;
    char ***at;
    const int64_t n = tk_story_files(b, NULL);
    if (!job->uid) return TK_OK;
    TK_ARENA_NEW(at, a, n + 1);
    tk_story_files(b, at);
    for (int64_t i = 0; i < n; i++) {
        const char *latents = tk_parent_beside(*at[i], ".latents", a);
        if (!latents) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        TK_TRY(tk_file_hold(*at[i], job->output));
        TK_TRY(tk_file_hold(latents, job->output));
    }
    return TK_OK;
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

// ---- what is wrong -----------------------------------------------------------------------------

static tk_status check_signing(tk_wrong *w, const tk_job *job)
{
    const int before = w->n;
    tk_signing by;
    TK_TRY(tk_signer_ask(w, &job->config.provenance));
    if (w->n > before) return TK_OK;
    const tk_status st = tk_signing_open(&by, &job->config, job->trained, &job->remix, job->output);
    tk_signing_close(&by);
    return tk_wrong_with(w, "provenance.key", st);
}

tk_status tk_planning_check_writable(tk_wrong *w, const tk_job *job, const char *top)
{
    char *const inputs[] = {(char *)top, (char *)job->file};
    const tk_config *c = &job->config;
    if (tk_output_has_folder(job->output))
        TK_TRY(tk_wrong_with(w, "output", tk_output_check(job->output, c, &job->cut, 2, inputs)));
    if (job->trained && *c->provenance.key && !tk_wrong_doubts(w, "provenance"))
        TK_TRY(check_signing(w, job));
    if (!*c->watermark.key || tk_wrong_doubts(w, "watermark")) return TK_OK;
    return tk_mark_ask(w, &c->watermark);
}

// ---- planning ----------------------------------------------------------------------------------

// The checkpoint's options under the storyboard's; what the model is stays the checkpoint's.
static tk_status layer_options(tk_planning *p)
{
    tk_config *c = &p->job->config;
    const tk_trained *t = p->job->trained;
    tk_config_init(c);
    if (!t) return tk_planning_layers(p->j, &p->wrong, p->top, p->job->file, p->n, p->overrides, c);
    const char *yaml = t->meta.config;
    TK_TRY(tk_config_parse(c, TK_CMD_PLAN, t->path, yaml, strlen(yaml), 0, NULL));
    c->story.output = c->output = "";
    c->parallel = t->config.parallel;
    TK_TRY(tk_planning_layers(p->j, &p->wrong, p->top, p->job->file, p->n, p->overrides, c));
    c->model = t->config.model;
    c->media = t->config.media;
    char *codec_file = c->codec.file;
    c->codec = t->config.codec;
    c->codec.file = codec_file;
    return TK_OK;
}

// What the model has to do with. laid: whether it could be laid out.
static tk_status check_made(tk_planning *p, bool *laid)
{
    tk_job *job = p->job;
    tk_config *c = &job->config;
    tk_wrong *w = &p->wrong;
    tk_arena *a = &p->j->arena;
    const tk_codec_info *k = tk_codec_get_info(job->trained->meta.codec);
    tk_story_text text;
    if (job->trained->meta.bare && !c->story.size[0]) {
        tk_wrong_add(w, "size",
                     "missing: %.400s does not say which pictures it was trained on; give "
                     "size: [width, height]",
                     job->trained->path);
        return TK_OK;
    }
    const bool strangers = job->uid && *c->consent.store;
    TK_TRY(tk_remix_look(w, c, k, a, &job->remix));
    for (int i = 0; i < job->remix.n; i++)
        TK_TRY(tk_wrong_with(
            w, job->remix.parent[i].option,
            tk_signing_check_latents(&job->remix.parent[i], strangers ? &c->provenance : NULL)));
    TK_TRY(tk_story_text_check(w, c, job->trained, a, &text));
    if (!c->story.n_shots && w->n) return TK_OK;
    TK_TRY(tk_story_lay(w, c, job->trained->meta.codec, a, &job->story));
    *laid = job->story.n_windows > 0;
    if (!*laid) return TK_OK;
    TK_TRY(tk_cut_plan(w, &c->story, &job->story, k, a, &job->cut));
    tk_remix_check(w, c, &job->story);
    return w->n ? TK_OK : tk_story_check_made(w, c, &job->story, k);
}

// Everything that can be found without decoding; then, of a storyboard that is right so far, who
// is in what it goes on from, and how long its references are.
static tk_status check_all(tk_planning *p)
{
    tk_job *job = p->job;
    tk_config *c = &job->config;
    tk_wrong *w = &p->wrong;
    tk_arena *a = &p->j->arena;
    bool laid = false;
    if (!job->uid && !tk_wrong_doubts(w, "parallel.guidance") &&
        !tk_wrong_doubts(w, "sample.guidance")) // a spool's job may be left to other workers
        TK_TRY(tk_wrong_with(
            w, "parallel.guidance",
            tk_sample_check_branches(p->j->top.parallel.guidance, c->sample.guidance)));
    take_up_choice(job, c);
    TK_TRY(tk_wrong_with(w, "output", name_output(job, a)));
    TK_TRY(find_inputs(job, a));
    if (p->writes) TK_TRY(hold_inputs(job, a));
    if (job->trained) TK_TRY(check_made(p, &laid));
    TK_TRY(tk_story_check(w, &c->story, laid ? &job->story : NULL));
    if (!tk_wrong_doubts(w, "cameo") && !tk_wrong_doubts(w, "consent"))
        TK_TRY(
            tk_lent_open(&job->lent, w, c, job->file, p->top, job->uid, job->output, p->acts, a));
    if (w->n && p->acts && p->writes) TK_TRY(tk_planning_check_writable(w, job, p->top));
    if (w->n || !job->trained) return TK_OK;
    return tk_references_check(w, c, &job->story, tk_codec_get_info(job->trained->meta.codec));
}

static tk_status plan_job(tk_planning *p)
{
    tk_job *job = p->job;
    tk_config *c = &job->config;
    TK_TRY(layer_options(p)); // each line has its place
    TK_TRY(tk_status_in_file(check_all(p), job->file));
    TK_TRY(tk_wrong_end(&p->wrong));
    if (!job->trained) return TK_OK; // another rank tells
    TK_TRY(
        tk_status_in_file(tk_output_digest(c, job->trained, &job->remix, &job->digest), job->file));
    if (p->acts) tk_naming_tell(c, &job->remix);
    const tk_mark_message mark = tk_output_mark(c, &job->story, &job->cut, job->digest.clip);
    if (*c->watermark.key) tk_mark_say(&mark, job->lent.mark);
    return TK_OK;
}

// The files that the storyboard's options name: its checkpoint, and the codec's. A checkpoint that
// is not there is a line; *where is empty then, or where it is not known. What is wrong with the
// options is told by plan_job, which reads them again.
static tk_status find_own_checkpoint(tk_planning *p, char **where, char **codec_file)
{
    tk_jobs *j = p->j;
    tk_job *job = p->job;
    tk_wrong w = tk_wrong_of(&p->peek, "", &j->arena);
    if (j->many) TK_TRY(tk_planning_find((char **)&job->file, p->top, &j->arena));
    p->wrong.file = job->file;
    TK_TRY(tk_planning_layers(j, &w, p->top, job->file, p->n, p->overrides, &p->peek));
    *where = tk_arena_strdup(&j->arena, p->peek.story.checkpoint);
    *codec_file = tk_arena_strdup(&j->arena, p->peek.codec.file);
    if (!(*where && *codec_file)) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (tk_wrong_doubts(&w, "checkpoint") || tk_wrong_doubts(&w, "codec.file")) **where = 0;
    if (!**where) return TK_OK;
    const tk_status st = locate_checkpoint(where, job->file, &j->arena);
    if (st == TK_INPUT) **where = 0;
    return tk_wrong_with(&p->wrong, "checkpoint", st);
}

// Collective. One that cannot be opened is a line, and then NULL.
static tk_status open_checkpoint(tk_planning *p, tk_comm *world, const char *where,
                                 const char *codec_file)
{
    uint64_t missing = !*where;
    TK_TRY(tk_comm_sum_u64(world, &missing, 1));
    if (missing) return TK_OK;
    TK_TRY(tk_same(world, "the storyboard's checkpoint", where, strlen(where)));
    const tk_status st = open_trained(p->j, world, where, codec_file, &p->job->trained);
    if (st != TK_OK) p->job->trained = NULL;
    return tk_wrong_with(&p->wrong, "checkpoint", st);
}

static tk_status open_planned(tk_planning *p, tk_comm *world)
{
    char *where = NULL, *codec_file = NULL;
    p->wrong = tk_wrong_of(&p->peek, p->job->file, &p->j->arena);
    p->wrong.listed = p->j->many;
    TK_TRY(tk_agree(world, find_own_checkpoint(p, &where, &codec_file)));
    TK_TRY(open_checkpoint(p, world, where, codec_file));
    return tk_agree(world, plan_job(p));
}

tk_status tk_planning_open(tk_planning *p, tk_comm *world)
{
    tk_config_init(&p->peek);
    const tk_status st = open_planned(p, world);
    tk_config_free(&p->peek);
    return st;
}
