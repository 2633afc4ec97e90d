// SPDX-License-Identifier: Apache-2.0
#include "infer/filtering.h"
#include "core/base/log.h"
#include "core/config/text.h"
#include "data/media/media.h"
#include "data/media/reader.h"
#include "infer/filter/ruling.h"
#include "infer/judges/sound/transcript.h"
#include "infer/story/given.h"
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Bytes of what a clip of ours says of itself; samples a second at which given sounds are heard.
enum { SAID_MOST = 16 << 20, HEARD_RATE = 16000 };

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
    const char *beside = n > 4 && (!strcmp(file + n - 4, ".mp4") || !strcmp(file + n - 4, ".mkv"))
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

// ---- what is said ------------------------------------------------------------------------------

typedef struct listening { // to one sound
    tk_ruling *ruling;
    const char *file, *what; // storyboard; which sound
} listening;

static tk_status look_at_said(void *ctx, double second, const char *text)
{
    const listening *l = ctx;
    char place[512];
    snprintf(place, sizeof place, "%.200s: %.200s, said after second %.0f", l->file, l->what,
             second);
    return tk_ruling_text(l->ruling, place, text);
}

static tk_status sounds(const char *path, bool *yes)
{
    const tk_media_config some = {
        .width = 16, .height = 16, .fps = 25, .sample_rate = HEARD_RATE, .channels = 1};
    int64_t frames;
    bool pictures;
    TK_TRY(tk_media_has_pictures(path, &pictures));
    *yes = !pictures;
    return pictures ? tk_media_probe(path, &some, 1, &frames, yes) : TK_OK;
}

// As much of a file's sound as a clip can be given.
static tk_status hear_file(const tk_job *job, const char *path, tk_transcript **t, listening *l)
{
    const tk_story *s = &job->story;
    const tk_media_config want = {.sample_rate = HEARD_RATE, .channels = 1};
    const double whole = (double)s->grid.latent_frames * s->tick;
    bool yes;
    tk_media m;
    TK_TRY(sounds(path, &yes));
    if (!yes) return TK_OK;
    if (!*t) TK_TRY(tk_transcript_open(t));
    TK_TRY(tk_media_hear(path, &want, fmax(whole, s->window) + 1, &m));
    tk_status st = tk_transcript_begin(*t, HEARD_RATE, 1, look_at_said, l);
    if (st == TK_OK) st = tk_transcript_add(*t, m.pcm, m.samples);
    if (st == TK_OK) st = tk_transcript_end(*t);
    tk_media_free(&m);
    return st;
}

// All files that sound is taken of.
static tk_status hear_given(tk_ruling *f, const tk_job *job, tk_transcript **t)
{
    const tk_storyboard *b = &job->config.story;
    listening l = {f, job->file, NULL};
#define HEAR(path, words)                      \
    do {                                       \
        l.what = (words);                      \
        TK_TRY(hear_file(job, (path), t, &l)); \
    } while (0)
    for (int64_t i = 0; i < b->n_references; i++) HEAR(b->references[i], b->references[i]);
    for (int64_t k = 0; k < b->n_shots; k++)
        for (int64_t i = 0; i < b->shots[k].n_references; i++)
            HEAR(b->shots[k].references[i], b->shots[k].references[i]);
    for (int64_t i = 0; i < b->n_cast; i++) HEAR(b->cast[i].file, b->cast[i].file);
    for (int64_t i = 0; i < b->n_lent; i++) HEAR(b->lent[i].file, b->lent[i].handle);
    if (*b->sound) HEAR(b->sound, b->sound);
    if (*b->remix.clip) HEAR(b->remix.clip, b->remix.clip);
#undef HEAR
    return TK_OK;
}

static bool listens(const tk_ruling *f)
{
    return f && tk_ruling_policy(f)->listen;
}

// Where words are to be heard and cannot be, nothing is made.
static tk_status check_ear(const tk_ruling *f, const tk_job *job)
{
    if (tk_transcript_ready(job->story.sample_rate) == TK_OK) return TK_OK;
    char words[512];
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_status_clear();
    return TK_FAIL(TK_INPUT, "%s: listen: nothing is made of %s: %s", tk_ruling_policy(f)->file,
                   job->file, words);
}

// ---- what is said in the clip ------------------------------------------------------------------

struct tk_hearing {
    asking ask;
    listening to;
    tk_transcript *transcript;
    int64_t channels, heard; // samples
};

static tk_status begin_hearing(tk_hearing *h, const tk_job *job)
{
    h->to = (listening){h->ask.ruling, job->file, "the clip"};
    h->channels = job->story.channels;
    TK_TRY(check_ear(h->ask.ruling, job));
    TK_TRY(tk_transcript_open(&h->transcript));
    return tk_transcript_begin(h->transcript, job->story.sample_rate, job->story.channels,
                               look_at_said, &h->to);
}

tk_status tk_hearing_open(const tk_job *job, const int64_t *uid, tk_hearing **out)
{
    tk_hearing *h;
    *out = NULL;
    TK_NEW(h, 1);
    tk_status st = open_asking(job, uid, false, &h->ask);
    const bool yes = st == TK_OK && listens(h->ask.ruling);
    if (yes) st = begin_hearing(h, job);
    if (yes && st == TK_OK)
        *out = h;
    else
        tk_hearing_close(h);
    return st;
}

tk_status tk_hearing_add(tk_hearing *h, int64_t first, int64_t n, const float *pcm)
{
    if (!h || first + n <= h->heard) return TK_OK;
    if (first > h->heard)
        return TK_FAIL(TK_INTERNAL, "samples %" PRId64 " to %" PRId64 " are not heard", h->heard,
                       first);
    const int64_t known = h->heard - first;
    h->heard = first + n;
    return tk_transcript_add(h->transcript, pcm + known * h->channels, n - known);
}

tk_status tk_hearing_verdict(tk_hearing *h)
{
    if (!h) return TK_OK;
    TK_TRY(tk_transcript_end(h->transcript));
    return tk_ruling_verdict(h->ask.ruling);
}

bool tk_hearing_refuses(const tk_hearing *h)
{
    return h && tk_ruling_refuses(h->ask.ruling);
}

void tk_hearing_close(tk_hearing *h)
{
    if (!h) return;
    tk_transcript_close(h->transcript);
    tk_ruling_close(h->ask.ruling);
    tk_free(h);
}

// ---- jobs --------------------------------------------------------------------------------------

static tk_status look_at_job(const tk_job *job, const int64_t *uid, bool dry, tk_transcript **t,
                             tk_arena *a)
{
    asking ask;
    TK_TRY(open_asking(job, uid, dry, &ask));
    tk_ruling *f = ask.ruling;
    if (!f) return TK_OK;
    tk_status st = look_at_texts(f, job, a);
    if (st == TK_OK) st = look_at_captions(f, job);
    if (st == TK_OK) st = look_at_parents(f, job, a);
    if (st == TK_OK && listens(f)) st = check_ear(f, job);
    if (st == TK_OK && listens(f)) st = hear_given(f, job, t);
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
    tk_transcript *t = NULL;
    tk_status st = TK_OK;
    for (int i = 0; i < jobs->n && (st == TK_OK || st == TK_INPUT); i++) {
        tk_arena_reset(&a);
        if (jobs->job[i].finished) continue;
        const tk_status one = look_at_job(&jobs->job[i], uid, dry, &t, &a);
        if (one == TK_OK) continue;
        if (lines.used) tk_text_add(&lines, "\n");
        tk_text_add(&lines, tk_status_message());
        st = one;
    }
    if (st == TK_INPUT)
        st = lines.s ? TK_FAIL(TK_INPUT, "%s", lines.s) : TK_FAIL(TK_MEMORY, "out of memory");
    tk_transcript_close(t);
    tk_arena_free(&all);
    tk_arena_free(&a);
    return st;
}

tk_status tk_filter_jobs(const tk_jobs *jobs, tk_comm *world, const int64_t *uid, bool dry)
{
    return tk_agree(world, world->rank ? TK_OK : look_at_jobs(jobs, uid, dry));
}
