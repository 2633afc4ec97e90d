// SPDX-License-Identifier: Apache-2.0
// Statuses and traces: how every fallible function of talkie reports.
//
// A fallible function returns tk_status. The one that fails says in words what is wrong, where
// and what would be right, with TK_FAIL; every caller passes the status up with TK_TRY, which
// adds its own file:line:function to the trace. main() prints the message once (tk_agree in
// core/comm/comm.h sees to "once" under MPI) and exits with tk_status_exit_code().
//
//     tk_status load(const char *path) {
//         FILE *f = fopen(path, "rb");
//         if (!f) return TK_FAIL(TK_IO, "cannot open %s: %s", path, strerror(errno));
//         TK_TRY(read_header(f));
//         return TK_OK;
//     }
//
// Message and trace are per thread. Check kinds: TK_FAIL for what a user or the world did,
// tk_assert for our own bugs (on in debug and sanitizer builds, never with side effects).
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

// X(code, exit code of the process, words)
#define TK_STATUS_MAP(X)                                                                \
    X(TK_OK, 0, "ok")                                                                   \
    X(TK_DIFFERENT, 1, "different") /* no failure: what was compared is not the same */ \
    X(TK_INPUT, 2, "bad input")     /* config, data, media, storyboard, mesh */         \
    X(TK_MEMORY, 3, "out of memory")                                                    \
    X(TK_IO, 4, "input/output error") /* full disk, unreadable device */                \
    X(TK_COMM, 5, "communication failed")                                               \
    X(TK_NUMERIC, 6, "numbers went bad") /* non-finite loss, parity not reached */      \
    X(TK_FENCED, 7, "another run has taken over")                                       \
    X(TK_DEVICE, 8, "the device failed") /* lost, or broken for this process */         \
    X(TK_INTERNAL, 70, "internal error") /* a bug of talkie's */                        \
    X(TK_STOPPED, 75, "stopped on request; run again to go on")

typedef enum tk_status {
#define X(code, exit_code, words) code,
    TK_STATUS_MAP(X)
#undef X
        TK_STATUS_COUNT
} tk_status;

// Records message (printf style) and the first trace line; returns `code`.
tk_status tk_fail(tk_status code, const char *file, int line, const char *func, const char *fmt,
                  ...) __attribute__((format(printf, 5, 6)));
// Adds a trace line; returns `status` unchanged.
tk_status tk_trace(tk_status status, const char *file, int line, const char *func);

#define TK_FAIL(code, ...) tk_fail((code), __FILE__, __LINE__, __func__, __VA_ARGS__)
#define TK_TRY(expr)                                                                  \
    do {                                                                              \
        tk_status tk_try_ = (expr);                                                   \
        if (tk_try_ != TK_OK) return tk_trace(tk_try_, __FILE__, __LINE__, __func__); \
    } while (0)
// As TK_TRY, for functions with one clean-up block: sets `st` and jumps to `label`.
#define TK_TRY_TO(st, label, expr)                        \
    do {                                                  \
        (st) = (expr);                                    \
        if ((st) != TK_OK) {                              \
            tk_trace((st), __FILE__, __LINE__, __func__); \
            goto label;                                   \
        }                                                 \
    } while (0)

const char *tk_status_message(void); // words of the last failure of this thread; "" if none
const char *tk_status_trace(void);   // "file:line:function" lines, innermost first
void tk_status_clear(void);
void tk_status_set(tk_status code, const char *message); // replace the message (relayed errors)
// Puts the file's name before the words of a failure that do not name it; returns `status`. For the
// one that opened a file, over what those said who only had a handle to something in it.
tk_status tk_status_in_file(tk_status status, const char *path);
// The same where the words name the file by another path (of a copy in memory): `to` comes in the
// place of `from`.
tk_status tk_status_renamed(tk_status status, const char *from, const char *to);
void tk_status_set_trace(const char *trace); // replace the trace (relayed errors)
// Whether every rank holds this same failure (tk_agree says so; a new failure takes it back).
bool tk_status_shared(void);
void tk_status_set_shared(bool shared);
int tk_status_exit_code(tk_status status);
const char *tk_status_words(tk_status status);

// Between the threads of a parallel region and the one that opened it, since messages are per
// thread: begins as {TK_OK, ""}, keeps the first failure.
typedef struct tk_team {
    tk_status st;
    char words[1024];
} tk_team;
void tk_team_report(tk_team *t, tk_status st); // any thread
bool tk_team_failed(const tk_team *t);         // any thread: work left may be dropped
tk_status tk_team_result(const tk_team *t);    // the opener, after the region

#ifdef NDEBUG
#define tk_assert(cond) ((void)sizeof !(cond)) // not evaluated, but its variables count as used
#else
void tk_assert_failed(const char *cond, const char *file, int line);
#define tk_assert(cond) ((cond) ? (void)0 : tk_assert_failed(#cond, __FILE__, __LINE__))
#endif
