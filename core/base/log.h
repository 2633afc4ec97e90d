// SPDX-License-Identifier: Apache-2.0
// What a person sees while talkie works: lines, a progress bar and a clock. Rank 0 only, stderr.
#pragma once
#include <stdbool.h>
#include <stdint.h>

void tk_log_open(int rank,
                 int level); // level 0 quiet, 1 normal, 2 verbose; other ranks stay silent
void tk_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));         // level 1
void tk_log_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2))); // level 2
void tk_log_warn(const char *fmt, ...)
    __attribute__((format(printf, 1, 2))); // always, "warning: ", any rank ("rank N: ")
// The same of what all ranks find alike, each by itself: rank 0 says it.
void tk_log_warn_once(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// Progress of long work: a bar with rate and time left on a terminal, else a plain line now and
// then (at most every 10 s, and at the end). NO_COLOR is honoured.
typedef struct tk_progress {
    char what[64], unit[16];
    int64_t total, done;
    double started, shown;
} tk_progress;
void tk_progress_begin(tk_progress *p, const char *what, const char *unit, int64_t total);
void tk_progress_at(tk_progress *p, int64_t done, const char *note); // note: "loss 0.31" or ""
void tk_progress_end(tk_progress *p);

double tk_now(void); // seconds, monotonic

// "This process is at work", for whoever waits for it: called by all that may take long, at least
// every few seconds and as often as it likes; tk_progress_at, the operators, the codec's products
// and all reading and writing do so themselves. A transport says by whom it is heard.
void tk_alive(void);
void tk_alive_by(void (*heard)(void)); // NULL: by nobody
