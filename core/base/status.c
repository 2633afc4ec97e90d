// SPDX-License-Identifier: Apache-2.0
// Message and trace of the last failure, per thread, in fixed buffers: reporting a failure must
// not need memory.
#include "core/base/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 8192, TRACE_BYTES = 4096 }; // a configuration reports all errors at once

static _Thread_local char message[MESSAGE_BYTES];
static _Thread_local char trace[TRACE_BYTES];
static _Thread_local bool shared;

// Copies text into buf (n bytes); text that does not fit ends in "...".
static void copy_text(char *buf, size_t n, const char *text)
{
    size_t len = strlen(text);
    if (len < n) {
        memmove(buf, text, len + 1);
        return;
    }
    memmove(buf, text, n - 4);
    memcpy(buf + n - 4, "...", 4);
}

tk_status tk_fail(tk_status code, const char *file, int line, const char *func, const char *fmt,
                  ...)
{
    char text[MESSAGE_BYTES + 1]; // apart, since the arguments may quote the message before
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0) snprintf(text, sizeof text, "%s", tk_status_words(code));
    copy_text(message, sizeof message, text);
    trace[0] = 0;
    shared = false;
    return tk_trace(code, file, line, func);
}

tk_status tk_trace(tk_status status, const char *file, int line, const char *func)
{
    size_t used = strlen(trace);
    int len = snprintf(trace + used, sizeof trace - used, "%s:%d:%s\n", file, line, func);
    if (len < 0 || (size_t)len >= sizeof trace - used) trace[used] = 0; // whole lines only
    return status;
}

const char *tk_status_message(void)
{
    return message;
}

const char *tk_status_trace(void)
{
    return trace;
}

void tk_status_clear(void)
{
    message[0] = trace[0] = 0;
    shared = false;
}

void tk_status_set(tk_status code, const char *text)
{
    copy_text(message, sizeof message, text && *text ? text : tk_status_words(code));
    shared = false;
}

tk_status tk_status_renamed(tk_status status, const char *from, const char *to)
{
    char words[sizeof message];
    const char *at = status == TK_OK ? NULL : strstr(message, from);
    if (!at) return status;
    snprintf(words, sizeof words, "%.*s%s%s", (int)(at - message), message, to, at + strlen(from));
    tk_status_set(status, words);
    return status;
}

tk_status tk_status_in_file(tk_status status, const char *path)
{
    char words[sizeof message];
    if (status == TK_OK || strstr(message, path)) return status;
    snprintf(words, sizeof words, "%s: %s", path, message);
    tk_status_set(status, words);
    return status;
}

void tk_status_set_trace(const char *text)
{
    copy_text(trace, sizeof trace, text ? text : "");
}

int tk_status_exit_code(tk_status status)
{
    switch (status) {
#define X(code, exit_code, words) \
    case code:                    \
        return exit_code;
        TK_STATUS_MAP(X)
#undef X
    case TK_STATUS_COUNT:
        break;
    }
    return tk_status_exit_code(TK_INTERNAL);
}

const char *tk_status_words(tk_status status)
{
    switch (status) {
#define X(code, exit_code, words) \
    case code:                    \
        return words;
        TK_STATUS_MAP(X)
#undef X
    case TK_STATUS_COUNT:
        break;
    }
    return "unknown status";
}

void tk_team_report(tk_team *t, tk_status st)
{
    if (st == TK_OK) return;
#pragma omp critical(tk_team)
    if (!tk_team_failed(t)) {
        snprintf(t->words, sizeof t->words, "%s", tk_status_message());
        __atomic_store_n(&t->st, st, __ATOMIC_RELEASE);
    }
}

bool tk_team_failed(const tk_team *t)
{
    return __atomic_load_n(&t->st, __ATOMIC_ACQUIRE) != TK_OK;
}

tk_status tk_team_result(const tk_team *t)
{
    if (t->st != TK_OK) tk_status_set(t->st, t->words);
    return t->st;
}

void tk_assert_failed(const char *cond, const char *file, int line);
void tk_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "talkie: bug: %s:%d: expected %s\n", file, line, cond);
    fflush(stderr);
    abort();
}

bool tk_status_shared(void)
{
    return shared;
}

void tk_status_set_shared(bool on)
{
    shared = on;
}
