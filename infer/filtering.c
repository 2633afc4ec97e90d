// SPDX-License-Identifier: Apache-2.0
#include "infer/filtering.h"
#include "core/base/log.h"
#include "core/config/text.h"
#include "data/media/media.h"
#include "infer/senses.h"
#include "infer/story/given.h"
#include "infer/story/remix.h"
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Bytes of what a clip of ours says of itself; pixels at which given pictures are read, larger ones
// made smaller.
enum { SAID_MOST = 16 << 20, READ_SIDE = 1280 };

// ---- what it says ------------------------------------------------------------------------------

// "a.yaml:3:12: shots[2].prompt"; "a.yaml: shots[2].prompt" of the storyboard where no file has a
// line that says it.
static void name_place(const tk_job *job, const tk_config_text *t, char *to, size_t room)
{
    snprintf(to, room, "%.300s: %.160s", strchr(t->place, ':') ? t->place : job->file, t->name);
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
    if (tk_ruling_refuses(f)) return TK_OK;
    for (int i = 0; i < job->story.n_shots; i++) {
        if (!strcmp(job->story.shot[i].caption, job->config.story.shots[i].prompt)) continue;
        snprintf(place, sizeof place, "%.300s: shots[%d], style and prompt", job->file, i);
        TK_TRY(tk_ruling_text(f, place, job->story.shot[i].caption));
    }
    return TK_OK;
}

// Words that begin in one prompt and end in a later one.
static tk_status look_at_seams(tk_ruling *f, const tk_job *job, tk_arena *a)
{
    enum { BEFORE = 1024 }; // bytes that are looked at
    const tk_storyboard *b = &job->config.story;
    tk_text all = tk_text_in(a);
    char place[512];
    for (int64_t i = 0; i < b->n_shots; i++) {
        const size_t skip = all.used > BEFORE ? all.used - BEFORE : 0;
        snprintf(place, sizeof place, "%.300s: into shots[%" PRId64 "].prompt", job->file, i);
        if (all.used) TK_TRY(tk_ruling_seam(f, place, all.s + skip, b->shots[i].prompt));
        if (all.used) tk_text_add(&all, " ");
        tk_text_add(&all, b->shots[i].prompt);
        if (!all.s) return TK_FAIL(TK_MEMORY, "out of memory for prompts");
    }
    return TK_OK;
}

// ---- what it is given --------------------------------------------------------------------------

// A clip's captions, as the file beside `where` has them; none where that is no such file.
static tk_status look_beside_parent(tk_ruling *f, const tk_job *job, const char *file,
                                    const char *where, tk_arena *a)
{
    const char *beside = tk_parent_beside(where, ".json", a);
    char *text, place[512];
    size_t bytes, i;
    json_t *shot;
    if (!beside) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (access(beside, F_OK) != 0) return TK_OK;
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

// Its film, its sheet, by whatever ending; beside a link, and beside what that leads to.
static tk_status look_at_parent(tk_ruling *f, const tk_job *job, const char *file, tk_arena *a)
{
    char real[PATH_MAX];
    struct stat s;
    TK_TRY(look_beside_parent(f, job, file, file, a));
    const bool link = lstat(file, &s) == 0 && S_ISLNK(s.st_mode) && realpath(file, real);
    return link ? look_beside_parent(f, job, file, real, a) : TK_OK;
}

static tk_status look_at_parents(tk_ruling *f, const tk_job *job, tk_arena *a)
{
    char ***file;
    const int64_t n = tk_story_files(&job->config.story, NULL);
    TK_ARENA_NEW(file, a, n + 1);
    tk_story_files(&job->config.story, file);
    for (int64_t i = 0; i < n; i++)
        if (!tk_story_file_again(file, i)) TK_TRY(look_at_parent(f, job, *file[i], a));
    return TK_OK;
}

// ---- the files that pictures and sound are taken of ---------------------------------------------

typedef struct given_file {
    const char *path, *what; // what: as messages call it
    bool pictures, sound;    // that may be taken of it
    double reach;            // seconds of it that are, where that is known; 0: as long as the clip
    bool lent;               // by somebody who consents
} given_file;

typedef struct given_files {
    given_file *file;
    int64_t n;
} given_files;

static void add_given(given_files *to, const char *path, bool pictures, bool sound)
{
    if (*path) to->file[to->n++] = (given_file){path, path, pictures, sound, 0, false};
}

// Of a clip, once, what shots are taken of it.
static void add_taken(given_files *to, int64_t first, const tk_storyboard *b, int64_t i)
{
    const tk_shot_config *s = &b->shots[i];
    int64_t k = first;
    if (!tk_shot_is_taken(s)) return;
    while (k < to->n && strcmp(to->file[k].path, s->clip)) k++;
    if (k == to->n) {
        add_given(to, s->clip, false, false);
        to->file[k].reach = tk_story_file_reach(b, s->clip);
    }
    to->file[k].pictures |= tk_shot_keeps(s, TK_VIDEO);
    to->file[k].sound |= tk_shot_keeps(s, TK_AUDIO);
}

static tk_status list_given(const tk_storyboard *b, tk_arena *a, given_files *out)
{
    int64_t most = b->n_references + b->n_cast + b->n_lent + b->n_keyframes + b->n_shots + 3;
    for (int64_t k = 0; k < b->n_shots; k++) most += b->shots[k].n_references;
    out->n = 0;
    TK_ARENA_NEW(out->file, a, most);
    for (int64_t i = 0; i < b->n_references; i++) add_given(out, b->references[i], true, true);
    for (int64_t k = 0; k < b->n_shots; k++)
        for (int64_t i = 0; i < b->shots[k].n_references; i++)
            add_given(out, b->shots[k].references[i], true, true);
    for (int64_t i = 0; i < b->n_cast; i++) add_given(out, b->cast[i].file, true, true);
    for (int64_t i = 0; i < b->n_lent; i++)
        out->file[out->n++] = (given_file){b->lent[i].file, b->lent[i].handle, true, true, 0, true};
    for (int64_t i = 0; i < b->n_keyframes; i++)
        add_given(out, b->keyframes[i].picture, true, false);
    add_given(out, b->picture, true, false);
    add_given(out, b->sound, false, true);
    add_given(out, b->remix.clip, true, true);
    const int64_t first = out->n;
    for (int64_t i = 0; i < b->n_shots; i++) add_taken(out, first, b, i);
    return TK_OK;
}

// ---- who is in it ------------------------------------------------------------------------------

typedef struct who_lends {
    const tk_lent *lent; // asked for already: everybody in it consents, for all who were asked for
    const int64_t *uid;
} who_lends;

// A name stands for a face and a voice: one of the two is not enough, nor is a handle that somebody
// took by a challenge, which says that a person was there, not who.
static bool consents(void *ctx, const char *handle)
{
    const who_lends *w = ctx;
    const tk_lent *l = w->lent;
    const unsigned both = TK_USE_FACE | TK_USE_VOICE;
    bool asked = !w->uid;
    for (int i = 0; i < l->ask.users && !asked; i++) asked = l->ask.user[i] == *w->uid;
    for (int i = 0; i < l->ask.n && asked; i++)
        if (!strcmp(l->cameo[i].who.name, handle) && (l->cameo[i].uses & both) == both)
            return l->cameo[i].vouched;
    return false;
}

typedef struct asking { // in one place as long as the ruling
    who_lends who;
    tk_ruling_request request;
    tk_ruling *ruling; // NULL: there is no policy
} asking;

static tk_status open_asking(const tk_job *job, const int64_t *uid, bool dry, asking *out)
{
    out->who = (who_lends){&job->lent, uid};
    out->request = (tk_ruling_request){.clip = job->output,
                                       .files = &job->file,
                                       .n_files = 1,
                                       .uid = uid,
                                       .dry = dry,
                                       .consents = consents,
                                       .ctx = &out->who};
    return tk_ruling_open(&job->config.filter, &out->request, &out->ruling);
}

// ---- whose face and voice ----------------------------------------------------------------------

// What speaks for a file, as the log calls it: that people in it, or people who are named, consent,
// or that it was made here. NULL: nothing does.
static const char *speaks_for(const tk_lent *l, const char *file, unsigned use)
{
    for (int i = 0; i < l->ask.n; i++)
        if (l->cameo[i].uses & use) return "consented";
    for (int i = 0; i < l->people.n_shows; i++)
        if (!strcmp(l->people.shows[i], file)) return "consented";
    for (int i = 0; i < l->people.n_ours; i++)
        if (!strcmp(l->people.ours[i], file)) return "made here";
    return NULL;
}

// A reference may be either, or both.
static tk_status rule_given(tk_ruling *f, const tk_job *job, const given_file *g)
{
    tk_media_has has = {.pictures = g->pictures, .sound = g->sound};
    if (has.pictures && has.sound) TK_TRY(tk_media_look(g->path, &has));
    const bool wanted[] = {has.pictures, has.sound};
    static const unsigned use[] = {TK_USE_FACE, TK_USE_VOICE};
    for (int k = TK_GIVEN_PICTURES; k <= TK_GIVEN_SOUNDS; k++)
        if (wanted[k])
            TK_TRY(tk_ruling_given(f, job->file, (tk_policy_given)k, g->path,
                                   speaks_for(&job->lent, g->path, use[k])));
    return TK_OK;
}

// They are what the model reads in the place of a prompt, which is then for people only.
static tk_status rule_features(tk_ruling *f, const tk_job *job)
{
    const tk_storyboard *b = &job->config.story;
    const tk_policy_given kind = TK_GIVEN_FEATURES;
    for (int64_t i = 0; i < b->n_shots; i++)
        if (*b->shots[i].features)
            TK_TRY(tk_ruling_given(f, job->file, kind, b->shots[i].features, NULL));
    if (!*b->empty_features) return TK_OK;
    return tk_ruling_given(f, job->file, kind, b->empty_features, NULL);
}

// Every picture may show somebody and every sound be somebody's: nobody looks at faces here.
static tk_status look_at_given(tk_ruling *f, const tk_job *job, const given_files *all)
{
    const int64_t *given = tk_ruling_policy(f)->given;
    if (!given[TK_GIVEN_PICTURES] && !given[TK_GIVEN_SOUNDS]) return TK_OK;
    for (int64_t i = 0; i < all->n; i++)
        if (!all->file[i].lent) TK_TRY(rule_given(f, job, &all->file[i]));
    return TK_OK;
}

// ---- what is said and can be read --------------------------------------------------------------

// As much of a file as a clip can be given, at the size of the clip or larger. A film whose
// pictures are given is heard as well.
static tk_status sense_file(const tk_job *job, const given_file *g, tk_ruling *f, tk_senses *s)
{
    const tk_story *y = &job->story;
    const double whole = (double)y->grid.latent_frames * y->tick;
    int64_t side = y->grid.width > y->grid.height ? y->grid.width : y->grid.height;
    if (side < READ_SIDE) side = READ_SIDE;
    if (side > TK_LETTERS_SIDE) side = TK_LETTERS_SIDE;
    const double most = fmax(g->reach, fmax(whole, y->window)) + 1;
    const tk_senses_file file = {g->path, most, side, g->pictures};
    tk_sensed of = {.ruling = f, .file = job->file, .what = g->what};
    const tk_status st = tk_senses_take(s, &file, &of);
    tk_sensed_free(&of);
    return st;
}

static tk_status take_given(tk_ruling *f, const tk_job *job, const given_files *all, tk_senses *s)
{
    const tk_storyboard *b = &job->config.story;
    for (int64_t i = 0; i < all->n; i++) {
        const given_file *g = &all->file[i];
        if (g->path == b->sound && !strcmp(b->sound, b->picture)) continue; // heard already
        TK_TRY(sense_file(job, g, f, s));
    }
    return TK_OK;
}

static bool has_senses(const tk_ruling *f)
{
    return f && (tk_ruling_policy(f)->listen || tk_ruling_policy(f)->read);
}

// ---- what is said and can be read in the clip --------------------------------------------------

struct tk_review {
    asking ask;
    tk_sensed clip;
    tk_senses senses;
    const tk_story *story;
    const tk_cut *cut;  // the film that is seen and heard
    int64_t heard, due; // samples; the frame that is read next
};

static tk_status begin_review(tk_review *r, const tk_job *job)
{
    r->story = &job->story;
    r->cut = &job->cut;
    r->clip = (tk_sensed){.ruling = r->ask.ruling, .file = job->file, .what = "the clip"};
    TK_TRY(tk_senses_open(&r->senses, tk_ruling_policy(r->ask.ruling), job->file,
                          job->story.sample_rate));
    if (!r->senses.ear) return TK_OK;
    return tk_transcript_begin(r->senses.ear, job->story.sample_rate, job->story.channels,
                               tk_sensed_said, &r->clip);
}

tk_status tk_review_open(const tk_job *job, const int64_t *uid, tk_review **out)
{
    tk_review *r;
    *out = NULL;
    TK_NEW(r, 1);
    tk_status st = open_asking(job, uid, false, &r->ask);
    const bool yes = st == TK_OK && has_senses(r->ask.ruling);
    if (yes) st = begin_review(r, job);
    if (yes && st == TK_OK)
        *out = r;
    else
        tk_review_close(r);
    return st;
}

tk_status tk_review_hear(tk_review *r, int64_t first, int64_t n, const float *pcm)
{
    if (!r || !r->senses.ear || first + n <= r->heard) return TK_OK;
    if (first > r->heard)
        return TK_FAIL(TK_INTERNAL, "samples %" PRId64 " to %" PRId64 " are not heard", r->heard,
                       first);
    const int64_t known = r->heard - first;
    r->heard = first + n;
    return tk_transcript_add(r->senses.ear, pcm + known * r->story->channels, n - known);
}

// The contact sheet asks for some pictures before all are asked for in order: what is not due yet
// comes again.
tk_status tk_review_see(tk_review *r, int64_t frame, const uint8_t *rgb)
{
    if (!r || !r->senses.eye || frame != r->due) return TK_OK;
    const tk_grid *g = &r->story->grid;
    const int64_t each =
        r->story->fps > 2 * TK_SENSES_PICTURES ? (int64_t)r->story->fps / TK_SENSES_PICTURES : 1;
    const int64_t last = r->cut->frames - 1;
    r->due = frame == last || frame + each <= last ? frame + each : last;
    return tk_senses_see(&r->senses, &r->clip, (double)frame / (double)r->story->fps, rgb,
                         g->height, g->width);
}

tk_status tk_review_verdict(tk_review *r)
{
    if (!r) return TK_OK;
    if (r->senses.eye && r->due < r->cut->frames)
        return TK_FAIL(TK_INTERNAL, "frame %" PRId64 " is not seen", r->due);
    if (r->senses.ear) TK_TRY(tk_transcript_end(r->senses.ear));
    return tk_ruling_verdict(r->ask.ruling);
}

bool tk_review_refuses(const tk_review *r)
{
    return r && tk_ruling_refuses(r->ask.ruling);
}

void tk_review_close(tk_review *r)
{
    if (!r) return;
    tk_senses_close(&r->senses);
    tk_sensed_free(&r->clip);
    tk_ruling_close(r->ask.ruling);
    tk_free(r);
}

// ---- jobs --------------------------------------------------------------------------------------

static tk_status look_at_job(const tk_job *job, const int64_t *uid, bool dry, tk_senses *s,
                             tk_arena *a)
{
    asking ask;
    given_files given;
    TK_TRY(list_given(&job->config.story, a, &given));
    TK_TRY(open_asking(job, uid, dry, &ask));
    tk_ruling *f = ask.ruling;
    if (!f) return TK_OK;
    tk_status st = look_at_texts(f, job, a);
    if (st == TK_OK) st = look_at_captions(f, job);
    if (st == TK_OK) st = look_at_seams(f, job, a);
    if (st == TK_OK) st = look_at_parents(f, job, a);
    if (st == TK_OK) st = rule_features(f, job);
    if (st == TK_OK) st = look_at_given(f, job, &given);
    if (st == TK_OK) st = tk_senses_open(s, tk_ruling_policy(f), job->file, job->story.sample_rate);
    if (st == TK_OK && has_senses(f)) st = take_given(f, job, &given, s);
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
    tk_senses senses = {0};
    tk_status st = TK_OK;
    for (int i = 0; i < jobs->n && (st == TK_OK || st == TK_INPUT); i++) {
        tk_arena_reset(&a);
        if (jobs->job[i].finished) continue;
        const tk_status one = look_at_job(&jobs->job[i], uid, dry, &senses, &a);
        if (one == TK_OK) continue;
        if (lines.used) tk_text_add(&lines, "\n");
        tk_text_add(&lines, tk_status_message());
        st = one;
    }
    if (st == TK_INPUT)
        st = lines.s ? TK_FAIL(TK_INPUT, "%s", lines.s) : TK_FAIL(TK_MEMORY, "out of memory");
    tk_senses_close(&senses);
    tk_arena_free(&all);
    tk_arena_free(&a);
    return st;
}

tk_status tk_filter_jobs(const tk_jobs *jobs, tk_comm *world, const int64_t *uid, bool dry)
{
    return tk_agree(world, world->rank ? TK_OK : look_at_jobs(jobs, uid, dry));
}
