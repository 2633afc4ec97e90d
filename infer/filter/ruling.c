// SPDX-License-Identifier: Apache-2.0
#include "infer/filter/ruling.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/config/text.h"
#include "infer/filter/log.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Bytes of a piece of a long text, and of what it shares with the next one; refusals that are told
// one by one; patterns that may take too long before no others are tried.
enum { PIECE = 16384, SHARED = 1024, TOLD = 40, TOLD_BYTES = 6000, SLOW_MOST = 10 };

struct tk_ruling {
    tk_policy *policy;
    const tk_filter_config *config;
    const tk_ruling_request *request;
    int log;      // file; -1: nothing is logged
    int64_t *uid; // (n_users) who asks
    int n_users;
    int refused, told, slow;
    int64_t texts, decisions;
    tk_text lines; // of refusals
    tk_arena arena, scratch;
};

// ---- opening -----------------------------------------------------------------------------------

static tk_status find_owners(tk_ruling *f)
{
    const tk_ruling_request *r = f->request;
    TK_ARENA_NEW(f->uid, &f->arena, r->n_files + 1);
    if (r->uid) f->uid[f->n_users++] = *r->uid;
    for (int i = 0; i < r->n_files; i++) {
        struct stat s;
        if (stat(r->files[i], &s) != 0)
            return TK_FAIL(TK_INPUT, "cannot find out whose %s is: %s", r->files[i],
                           strerror(errno));
        if (!r->uid || s.st_uid != geteuid()) f->uid[f->n_users++] = s.st_uid;
    }
    return TK_OK;
}

static tk_status open_ruling(tk_ruling *f)
{
    TK_TRY(tk_policy_open(f->config->policy, &f->policy));
    TK_TRY(find_owners(f));
    f->lines = tk_text_in(&f->arena);
    if (f->request->dry) return TK_OK;
    if (!*f->config->log)
        return TK_FAIL(TK_INPUT,
                       "filter.log: missing: where there is a policy (%s), its decisions "
                       "are written down",
                       f->config->policy);
    return tk_log_file_open(f->config->log, &f->log);
}

tk_status tk_ruling_open(const tk_filter_config *c, const tk_ruling_request *r, tk_ruling **out)
{
    tk_ruling *f;
    *out = NULL;
    if (!*c->policy) return TK_OK;
    TK_NEW(f, 1);
    f->config = c;
    f->request = r;
    f->log = -1;
    tk_arena_init(&f->arena, 0);
    tk_arena_init(&f->scratch, 0);
    const tk_status st = open_ruling(f);
    if (st == TK_OK)
        *out = f;
    else
        tk_ruling_close(f);
    return st;
}

void tk_ruling_close(tk_ruling *f)
{
    if (!f) return;
    if (f->log >= 0) close(f->log);
    tk_policy_close(f->policy);
    tk_arena_free(&f->arena);
    tk_arena_free(&f->scratch);
    tk_free(f);
}

const tk_policy *tk_ruling_policy(const tk_ruling *f)
{
    return f->policy;
}

// ---- the log -----------------------------------------------------------------------------------

// A path or a place, which may hold bytes that are no text.
static json_t *clean_words(const char *words)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", words);
    tk_utf8_clean(text, strlen(text));
    return json_string(text);
}

static json_t *begin_entry(const tk_ruling *f, const char *decision)
{
    char when[32], number[32], room[4096];
    const time_t now = time(NULL);
    struct tm utc;
    struct passwd one, *found = NULL;
    json_t *users = json_array();
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    for (int i = 0; i < f->n_users; i++) {
        snprintf(number, sizeof number, "%" PRId64, f->uid[i]);
        getpwuid_r((uid_t)f->uid[i], &one, room, sizeof room, &found);
        json_array_append_new(users, json_pack("{s:I, s:o}", "uid", (json_int_t)f->uid[i], "name",
                                               clean_words(found ? one.pw_name : number)));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "time", when, "decision", decision, "clip",
                     clean_words(f->request->clip), "policy", clean_words(f->policy->file), "users",
                     users);
}

// Takes the entry.
static tk_status put_entry(tk_ruling *f, json_t *entry)
{
    char *line = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
    const tk_status st = line ? tk_log_file_add(f->log, f->config->log, line)
                              : TK_FAIL(TK_MEMORY, "out of memory for the log");
    json_decref(entry);
    free(line); // style: allow (allocated by the library)
    return st;
}

// ---- decisions ---------------------------------------------------------------------------------

static const char *name_rule(const tk_ruling *f, const tk_policy_hit *h, char *to, size_t room)
{
    static const char *const kind[] = {"word", "person", "innocent word", "pattern"};
    snprintf(to, room, "%.80s, %s \"%.160s\"%s", f->policy->categories[h->rule->category].name,
             kind[h->rule->kind], h->rule->text, h->unfinished ? ", which took too long" : "");
    tk_utf8_clean(to, strlen(to));
    return to;
}

static bool all_have_role(const tk_ruling *f, const char *role)
{
    for (int i = 0; i < f->n_users; i++)
        if (!tk_policy_has_role(f->policy, f->uid[i], role)) return false;
    return f->n_users > 0;
}

// What becomes of it, as the log calls it.
static const char *decide(const tk_ruling *f, const tk_policy_hit *h)
{
    const tk_policy_category *c = &f->policy->categories[h->rule->category];
    const tk_ruling_request *r = f->request;
    if (h->unfinished) return "refused"; // whatever is asked for: nobody writes so by chance
    if (h->rule->handle && r->consents && r->consents(r->ctx, h->rule->handle)) return "consented";
    if (c->action == TK_POLICY_LOG) return "logged";
    if (c->action == TK_POLICY_ROLE && all_have_role(f, c->role)) return "allowed";
    return "refused";
}

static void add_refusal(tk_ruling *f, const char *place, const char *rule, const char *shown,
                        const tk_policy_hit *h)
{
    f->refused++;
    if (f->told == TOLD || f->lines.used > TOLD_BYTES) return;
    if (f->told++) tk_text_add(&f->lines, "\n");
    tk_text_add(&f->lines, place);
    tk_text_add(&f->lines, ": refused (");
    tk_text_add(&f->lines, rule);
    if (h->rule->kind == TK_RULE_PERSON) tk_text_add(&f->lines, ", who has not consented");
    if (h->rule->handle)
        tk_text_addf(&f->lines, ": cameo does not name @%s, face and voice", h->rule->handle);
    tk_text_add(&f->lines, "): ");
    tk_text_add(&f->lines, shown);
}

static tk_status judge_hit(tk_ruling *f, const char *place, const char *text,
                           const tk_policy_hit *h)
{
    char rule[400], part[128], shown[160];
    const char *decision = decide(f, h);
    size_t n = (size_t)(h->end - h->begin);
    while (n > 100 || (n > 96 && ((unsigned char)text[h->begin + (int)n] & 0xc0) == 0x80)) n--;
    snprintf(part, sizeof part, "%.*s", (int)n, text + h->begin);
    tk_utf8_clean(part, strlen(part));
    for (char *p = part; *p; p++)
        if ((unsigned char)*p < ' ') *p = ' ';
    snprintf(shown, sizeof shown, "\"%s\"", part);
    name_rule(f, h, rule, sizeof rule);
    f->decisions++;
    f->slow += h->unfinished;
    if (!strcmp(decision, "refused")) add_refusal(f, place, rule, shown, h);
    if (f->log < 0) return TK_OK;
    json_t *entry = begin_entry(f, decision);
    json_object_set_new(entry, "rule", json_string(rule));
    json_object_set_new(entry, "where", clean_words(place));
    json_object_set_new(entry, "text", json_string(part));
    return put_entry(f, entry);
}

static void add_given_refusal(tk_ruling *f, const char *place, tk_policy_given kind,
                              const char *file)
{
    static const char *const why[] = {"of which nobody is known to consent",
                                      "of which nobody is known to consent",
                                      "of which nobody knows what they say"};
    static const char *const right[] = {
        "name in cameo who lends a face to this clip, or give a clip that was made here",
        "name in cameo who lends a voice to this clip, or give a clip that was made here",
        "name a checkpoint that reads prompts"};
    const bool role = f->policy->given[kind] == TK_GIVEN_ROLE;
    f->refused++;
    if (f->told == TOLD || f->lines.used > TOLD_BYTES) return;
    if (f->told++) tk_text_add(&f->lines, "\n");
    tk_text_addf(&f->lines, "%.300s: refused (given %s, %s): %.300s; %s%s%.80s%s", place,
                 tk_policy_given_name[kind], why[kind], file, right[kind],
                 role ? ", or have the role \"" : "", role ? f->policy->given_role : "",
                 role ? "\"" : "");
}

tk_status tk_ruling_given(tk_ruling *f, const char *place, tk_policy_given kind, const char *file,
                          const char *consents)
{
    char rule[40];
    const char *decision = "refused";
    if (!f || f->policy->given[kind] == TK_GIVEN_PASS) return TK_OK;
    const tk_given_action action = (tk_given_action)f->policy->given[kind];
    if (action == TK_GIVEN_LOG) decision = "logged";
    if (action == TK_GIVEN_ROLE && all_have_role(f, f->policy->given_role)) decision = "allowed";
    if (consents) decision = consents;
    f->decisions++;
    if (!strcmp(decision, "refused")) add_given_refusal(f, place, kind, file);
    if (f->log < 0) return TK_OK;
    snprintf(rule, sizeof rule, "given %s", tk_policy_given_name[kind]);
    json_t *entry = begin_entry(f, decision);
    json_object_set_new(entry, "rule", json_string(rule));
    json_object_set_new(entry, "where", clean_words(place));
    json_object_set_new(entry, "text", clean_words(file));
    return put_entry(f, entry);
}

static tk_status look_at_piece(tk_ruling *f, const char *place, const char *text, size_t bytes)
{
    tk_policy_hit *hit;
    int n;
    tk_arena_reset(&f->scratch);
    TK_TRY(tk_policy_look(f->policy, text, bytes, &f->scratch, &n, &hit));
    for (int k = 0; k < n; k++) TK_TRY(judge_hit(f, place, text, &hit[k]));
    return TK_OK;
}

static bool is_within_letter(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

tk_status tk_ruling_text(tk_ruling *f, const char *place, const char *text)
{
    size_t left = strlen(text);
    if (!f) return TK_OK;
    for (f->texts++;;) {
        size_t n = left < PIECE ? left : PIECE;
        while (n < left && n > PIECE - 8 && is_within_letter(text[n])) n--;
        tk_alive();
        if (f->slow > SLOW_MOST) return TK_OK; // it is refused already
        TK_TRY(look_at_piece(f, place, text, n));
        if (n == left) return TK_OK;
        text += n - SHARED;
        left -= n - SHARED;
        while (left && is_within_letter(*text)) text++, left--;
    }
}

// As many as pieces share, from a space on if that is not all.
static const char *last_words(const char *text)
{
    const size_t n = strlen(text);
    const char *at = n > SHARED ? strchr(text + n - SHARED, ' ') : text;
    return at ? at : text + n - SHARED;
}

tk_status tk_ruling_seam(tk_ruling *f, const char *place, const char *before, const char *after)
{
    char text[2 * SHARED + 2];
    tk_policy_hit *hit;
    int n;
    if (!f) return TK_OK;
    const int seam = snprintf(text, sizeof text, "%s", last_words(before));
    const int whole = snprintf(text + seam, SHARED, " %s", after);
    tk_utf8_clean(text, strlen(text)); // cut anywhere
    if (whole >= SHARED && strrchr(text, ' ') > text + seam) *strrchr(text, ' ') = 0;
    tk_arena_reset(&f->scratch);
    TK_TRY(tk_policy_look(f->policy, text, strlen(text), &f->scratch, &n, &hit));
    for (int k = 0; k < n; k++)
        if (hit[k].begin < seam && hit[k].end > seam + 1)
            TK_TRY(judge_hit(f, place, text, &hit[k]));
    return TK_OK;
}

int tk_ruling_refuses(const tk_ruling *f)
{
    return f ? f->refused : 0;
}

tk_status tk_ruling_verdict(tk_ruling *f)
{
    if (!f) return TK_OK;
    if (f->refused > f->told) tk_text_addf(&f->lines, "\nand %d more", f->refused - f->told);
    if (!f->lines.s) return TK_FAIL(TK_MEMORY, "out of memory for refusals");
    if (f->refused) return TK_FAIL(TK_INPUT, "%s", f->lines.s);
    if (f->log < 0) return TK_OK;
    json_t *entry = begin_entry(f, "passed");
    json_object_set_new(entry, "texts", json_integer(f->texts));
    json_object_set_new(entry, "decisions", json_integer(f->decisions));
    return put_entry(f, entry);
}
