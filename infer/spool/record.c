// SPDX-License-Identifier: Apache-2.0
#include "infer/spool/record.h"
#include "core/base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_BYTES = 1 << 16 };

const char *const tk_spool_folder[TK_SPOOL_STATES] = {"waiting", "running", "done", "failed",
                                                      "cancelled"};

// ---- writing -----------------------------------------------------------------------------------

// Bytes that are no UTF-8 become '?': what a file was called, or words that quote it.
static json_t *json_words(const char *text)
{
    char clean[TK_SPOOL_WORDS];
    size_t n = strlen(text);
    if (n >= sizeof clean) n = sizeof clean - 1;
    memcpy(clean, text, n);
    tk_utf8_clean(clean, n);
    return json_stringn(clean, n);
}

static json_t *known_seconds(int64_t t)
{
    return t > 0 ? json_integer(t) : json_null();
}

static json_t *history_json(const tk_spool_record *r)
{
    json_t *all = json_array();
    for (int i = 0; i < r->n_history; i++)
        json_array_append_new(all,
                              json_pack("{s:I, s:o, s:o}", "claim", (json_int_t)r->history[i].claim,
                                        "worker", json_words(r->history[i].worker), "end",
                                        json_words(r->history[i].words)));
    return all;
}

json_t *tk_spool_record_object(const tk_spool_record *r)
{
    json_t *root = json_pack("{s:s, s:i, s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:o, s:I, s:I}",
                             "format", "talkie-job", "version", 1, "name", json_words(r->name),
                             "state", tk_spool_folder[r->state], "file", json_words(r->file),
                             "user", json_words(r->user), "uid", (json_int_t)r->uid, "priority",
                             (json_int_t)r->priority, "taken", (json_int_t)r->taken, "deadline",
                             known_seconds(r->deadline), "tries", (json_int_t)r->tries,
                             "most_tries", (json_int_t)r->most_tries);
    json_t *rest = json_pack(
        "{s:o, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:o}", "worker",
        *r->worker ? json_words(r->worker) : json_null(), "claim", (json_int_t)r->claim, "done",
        (json_int_t)r->done, "total", (json_int_t)r->total, "unit", json_words(r->unit),
        "seconds_left", r->seconds_left < 0 ? json_null() : json_real(r->seconds_left), "updated",
        (json_int_t)r->updated, "error", *r->error ? json_words(r->error) : json_null(), "history",
        history_json(r));
    if (root && *r->list) json_object_set_new(root, "list", json_words(r->list));
    if (root && r->storyboards)
        json_object_set_new(root, "storyboards", json_integer(r->storyboards));
    if (!root || !rest || json_object_update(root, rest) != 0) {
        json_decref(root);
        root = NULL;
    }
    json_decref(rest);
    return root;
}

tk_status tk_spool_record_print(const tk_spool_record *r, tk_arena *a, char **text)
{
    tk_spool_record now = *r;
    now.updated = (int64_t)time(NULL);
    json_t *root = tk_spool_record_object(&now);
    *text = NULL;
    if (root) {
        const size_t n = json_dumpb(root, NULL, 0, JSON_INDENT(2));
        *text = tk_arena_alloc(a, n + 2);
        if (*text && json_dumpb(root, *text, n, JSON_INDENT(2)) == n) (*text)[n] = '\n';
    }
    json_decref(root);
    return *text ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for job %s", r->name);
}

void tk_spool_record_history(tk_spool_record *r, int64_t claim, const char *worker,
                             const char *words)
{
    if (r->n_history == TK_SPOOL_HISTORY)
        memmove(r->history, r->history + 1, sizeof r->history[0] * (size_t)--r->n_history);
    struct tk_spool_try *t = &r->history[r->n_history++];
    *t = (struct tk_spool_try){.claim = claim};
    snprintf(t->worker, sizeof t->worker, "%s", worker);
    snprintf(t->words, sizeof t->words, "%s", words);
}

tk_spool_record tk_spool_record_new(void)
{
    return (tk_spool_record){.uid = -1, .priority = 5, .most_tries = 3, .seconds_left = -1};
}

void tk_spool_record_ask(tk_spool_record *r, const tk_job_config *c)
{
    r->priority = c->priority;
    r->most_tries = c->tries;
    r->deadline = c->deadline ? r->taken + c->deadline : 0;
}

// ---- reading -----------------------------------------------------------------------------------

static void read_words(const json_t *root, const char *key, char *to, size_t room)
{
    const char *s = json_string_value(json_object_get(root, key));
    snprintf(to, room, "%s", s ? s : "");
}

static void read_integer(const json_t *root, const char *key, int64_t *to)
{
    const json_t *x = json_object_get(root, key);
    if (json_is_integer(x)) *to = json_integer_value(x);
}

static void read_history(const json_t *all, tk_spool_record *r)
{
    for (size_t i = 0; i < json_array_size(all) && i < TK_SPOOL_HISTORY; i++) {
        struct tk_spool_try *t = &r->history[r->n_history++];
        const json_t *one = json_array_get(all, i);
        read_integer(one, "claim", &t->claim);
        read_words(one, "worker", t->worker, sizeof t->worker);
        read_words(one, "end", t->words, sizeof t->words);
    }
}

static void fill_record(const json_t *root, tk_spool_record *r)
{
    const json_t *left = json_object_get(root, "seconds_left");
    const char *state = json_string_value(json_object_get(root, "state"));
    for (int i = 0; i < TK_SPOOL_STATES; i++)
        if (state && !strcmp(state, tk_spool_folder[i])) r->state = (tk_spool_state)i;
    read_words(root, "name", r->name, sizeof r->name);
    read_words(root, "file", r->file, sizeof r->file);
    read_words(root, "user", r->user, sizeof r->user);
    read_words(root, "worker", r->worker, sizeof r->worker);
    read_words(root, "unit", r->unit, sizeof r->unit);
    read_words(root, "list", r->list, sizeof r->list);
    read_words(root, "error", r->error, sizeof r->error);
    read_integer(root, "uid", &r->uid);
    read_integer(root, "storyboards", &r->storyboards);
    read_integer(root, "priority", &r->priority);
    read_integer(root, "taken", &r->taken);
    read_integer(root, "deadline", &r->deadline);
    read_integer(root, "tries", &r->tries);
    read_integer(root, "most_tries", &r->most_tries);
    read_integer(root, "claim", &r->claim);
    read_integer(root, "done", &r->done);
    read_integer(root, "total", &r->total);
    read_integer(root, "updated", &r->updated);
    r->seconds_left = json_is_number(left) ? json_number_value(left) : -1;
    read_history(json_object_get(root, "history"), r);
}

tk_status tk_spool_record_read(const char *folder, tk_spool_record *r, bool *found)
{
    char path[TK_SPOOL_PATH];
    struct stat s;
    *r = tk_spool_record_new();
    *found = false;
    TK_TRY(tk_spool_path(path, folder, "job.json"));
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return TK_OK;
    json_t *root = NULL;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size <= RECORD_BYTES)
        root = json_loadfd(fd, 0, NULL);
    close(fd);
    const char *format = json_string_value(json_object_get(root, "format"));
    *found = format && !strcmp(format, "talkie-job");
    if (*found) fill_record(root, r);
    json_decref(root);
    return TK_OK;
}
