// SPDX-License-Identifier: Apache-2.0
// Lines and progress on stderr. One mutex, since loader threads warn while the step reports.
#include "core/base/log.h"
#include "core/base/utf8.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24 };
static const double REDRAW_SECONDS = 0.1, LINE_SECONDS = 10;

static struct {
    pthread_mutex_t lock;
    int rank, level;
    bool terminal, colour;
    bool bar; // a bar stands on the last line of the terminal
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = 1};

void tk_log_open(int rank, int level)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    out.rank = rank;
    out.level = level;
    out.terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
    out.colour = out.terminal && !(no_color && *no_color);
}

double tk_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void (*alive_heard)(void);

void tk_alive(void)
{
    if (alive_heard) alive_heard();
}

void tk_alive_by(void (*heard)(void))
{
    alive_heard = heard;
}

// Caller holds the lock. The next redraw of the bar puts it below the line.
static void clear_bar(void)
{
    if (out.bar) fputs("\r\033[K", stderr);
    out.bar = false;
}

// What others wrote has lines of its own: none of them begins as one of ours does.
static void indent_lines(const char *text, char *to, size_t room)
{
    size_t n = 0;
    for (; *text && n + 4 < room; text++) {
        to[n++] = *text;
        if (*text != '\n' || text[1] == ' ') continue;
        to[n++] = ' ';
        to[n++] = ' ';
    }
    to[n] = 0;
}

static void line(const char *before, const char *after, const char *fmt, va_list ap)
{
    char words[8192], text[2 * sizeof words]; // one write per line: lines of ranks do not mix
    vsnprintf(words, sizeof words, fmt, ap);
    tk_utf8_plain(words, '?', "\n\t"); // names of files and what others wrote is in many
    indent_lines(words, text, sizeof text);
    pthread_mutex_lock(&out.lock);
    clear_bar();
    fprintf(stderr, "%s%s%s\n", before, text, after);
    fflush(stderr);
    pthread_mutex_unlock(&out.lock);
}

void tk_log(const char *fmt, ...)
{
    if (out.rank || out.level < 1) return;
    va_list ap;
    va_start(ap, fmt);
    line("", "", fmt, ap);
    va_end(ap);
}

void tk_log_verbose(const char *fmt, ...)
{
    if (out.rank || out.level < 2) return;
    va_list ap;
    va_start(ap, fmt);
    line("", "", fmt, ap);
    va_end(ap);
}

static void warn(const char *fmt, va_list ap)
{
    char before[64];
    const char *on = out.colour ? "\033[33m" : "", *off = out.colour ? "\033[0m" : "";
    if (out.rank)
        snprintf(before, sizeof before, "%srank %d: warning: ", on, out.rank);
    else
        snprintf(before, sizeof before, "%swarning: ", on);
    line(before, off, fmt, ap);
}

void tk_log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    warn(fmt, ap);
    va_end(ap);
}

void tk_log_warn_once(const char *fmt, ...)
{
    if (out.rank) return;
    va_list ap;
    va_start(ap, fmt);
    warn(fmt, ap);
    va_end(ap);
}

// Progress ------------------------------------------------------------------------------------

static const char *clock_text(double seconds, char *buf, size_t n)
{
    long s = seconds > 0 && seconds < 1e7 ? (long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(buf, n, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, n, "%ld:%02ld", s / 60, s % 60);
    return buf;
}

static void draw_bar(const tk_progress *p, const char *note, bool last)
{
    char bar[BAR_CELLS * 3 + 1] = "", left[32], text[512];
    double elapsed = tk_now() - p->started, rate = elapsed > 0 ? (double)p->done / elapsed : 0;
    double part = p->total > 0 ? (double)p->done / (double)p->total : 0;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    for (int i = 0; i < BAR_CELLS; i++) strcat(bar, i < (int)(part * BAR_CELLS) ? "━" : "─");
    if (last)
        clock_text(elapsed, left, sizeof left);
    else
        clock_text(rate > 0 ? (double)(p->total - p->done) / rate : 0, left, sizeof left);
    snprintf(text, sizeof text, "%3.0f%%  %lld/%lld %s  %.*f/s  %s %s%s%s", 100 * part,
             (long long)p->done, (long long)p->total, p->unit, rate < 10 ? 2 : 0, rate, left,
             last       ? "in all"
             : rate > 0 ? "left"
                        : "",
             note && *note ? "  " : "", note ? note : "");
    pthread_mutex_lock(&out.lock);
    if (out.terminal) {
        const char *on = out.colour ? "\033[32m" : "", *off = out.colour ? "\033[0m" : "";
        fprintf(stderr, "\r%s  %s%s%s %s\033[K%s", p->what, on, bar, off, text, last ? "\n" : "");
        out.bar = !last;
    } else {
        fprintf(stderr, "%s  %s\n", p->what, text);
    }
    fflush(stderr);
    pthread_mutex_unlock(&out.lock);
}

void tk_progress_begin(tk_progress *p, const char *what, const char *unit, int64_t total)
{
    *p = (tk_progress){.total = total, .started = tk_now()};
    snprintf(p->what, sizeof p->what, "%s", what);
    snprintf(p->unit, sizeof p->unit, "%s", unit);
    p->shown = p->started;
}

void tk_progress_at(tk_progress *p, int64_t done, const char *note)
{
    p->done = done;
    tk_alive();
    double now = tk_now();
    if (out.rank || out.level < 1) return;
    if (now - p->shown < (out.terminal ? REDRAW_SECONDS : LINE_SECONDS)) return;
    p->shown = now;
    draw_bar(p, note, false);
}

void tk_progress_end(tk_progress *p)
{
    if (out.rank || out.level < 1) return;
    draw_bar(p, NULL, true);
}
