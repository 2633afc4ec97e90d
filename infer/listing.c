// SPDX-License-Identifier: Apache-2.0
#include "infer/listing.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "infer/spool/look.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { ANY = 1 << 20, CELL = 64, NAME_CELL = 28, LINE = 4096, NARROW = 20 };

typedef enum column { NAME, STATE, PRIORITY, PROGRESS, LEFT, DEADLINE, USER, COLUMNS } column;
static const char *const head[COLUMNS] = {"JOB",  "STATE",    "PRIORITY", "PROGRESS",
                                          "LEFT", "DEADLINE", "USER"};

typedef struct job_line { // what is told of one job
    char cell[COLUMNS][CELL];
    char rest[TK_SPOOL_WORDS + 256]; // worker, and what went wrong
} job_line;

// ---- words -------------------------------------------------------------------------------------

// What others wrote, in one line that moves no cursor: bytes that are no UTF-8 and all controls
// become '?', blanks of any kind one blank.
static void copy_plain(char *to, size_t room, const char *from)
{
    size_t n = 0;
    for (const char *p = from; *p && n + 1 < room; p++) {
        const unsigned char c = (unsigned char)*p;
        const bool blank = c == '\n' || c == '\t' || c == '\r' || c == ' ';
        if (blank && n && to[n - 1] == ' ') continue;
        to[n++] = blank ? ' ' : *p;
    }
    to[n] = 0;
    tk_utf8_plain(to, '?', "");
}

// Bytes of the first `most` characters.
static size_t bytes_of_line(const char *s, int most)
{
    size_t n = 0;
    for (; s[n] && most >= 0; n++)
        if (((unsigned char)s[n] & 0xC0) != 0x80 && most-- == 0) break;
    return n;
}

static int characters_of(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void tell_seconds(char *to, size_t room, double s)
{
    const int64_t t = (int64_t)(s + 0.5);
    if (t < 100)
        snprintf(to, room, "%" PRId64 " s", t);
    else if (t < 6000)
        snprintf(to, room, "%" PRId64 " min", (t + 30) / 60);
    else if (t < 360000)
        snprintf(to, room, "%" PRId64 " h %02" PRId64, t / 3600, t / 60 % 60);
    else
        snprintf(to, room, "%" PRId64 " days", t / 86400);
}

// ---- a line ------------------------------------------------------------------------------------

static const char *told_state(const tk_spool_job *j)
{
    return j->fresh ? "new" : tk_spool_folder[j->state];
}

static void tell_when(const tk_spool_job *j, const tk_spool_record *r, int64_t now, job_line *l)
{
    const bool ended = !j->fresh && j->state > TK_SPOOL_RUNNING;
    if (!j->fresh && j->state == TK_SPOOL_RUNNING && r->seconds_left >= 0)
        tell_seconds(l->cell[LEFT], CELL, r->seconds_left);
    if (ended || !r->deadline) return;
    char far[24];
    tell_seconds(far, sizeof far,
                 (double)(r->deadline > now ? r->deadline - now : now - r->deadline));
    snprintf(l->cell[DEADLINE], CELL, r->deadline > now ? "in %s" : "%s ago", far);
}

static void tell_rest(const tk_spool_job *j, const tk_spool_record *r, job_line *l)
{
    char text[sizeof l->rest];
    const bool runs = !j->fresh && j->state == TK_SPOOL_RUNNING;
    const char *lost = runs && j->lost ? ", which shows no sign of life" : "";
    const char *last = !runs && !*r->error && r->n_history && j->state == TK_SPOOL_WAITING
                           ? r->history[r->n_history - 1].words
                           : r->error;
    snprintf(text, sizeof text, "%s%s%s%.*s", j->state == TK_SPOOL_DONE ? "" : r->worker, lost,
             *r->worker && *last ? ": " : "", TK_SPOOL_WORDS, last);
    if (!j->fresh && j->state == TK_SPOOL_WAITING && r->tries > 0)
        snprintf(text, sizeof text, "tried %" PRId64 " of %" PRId64 " times%s%.*s", r->tries,
                 r->most_tries, *last ? ": " : "", TK_SPOOL_WORDS, last);
    copy_plain(l->rest, sizeof l->rest, text);
}

static void tell_job(const tk_spool_job *j, const tk_spool_record *r, int64_t now, job_line *l)
{
    memset(l, 0, sizeof *l);
    copy_plain(l->cell[NAME], CELL, j->name);
    snprintf(l->cell[STATE], CELL, "%s", j->lost ? "lost?" : told_state(j));
    if (j->fresh) return;
    snprintf(l->cell[PRIORITY], CELL, "%" PRId64, r->priority);
    if (r->total > 0) {
        char unit[sizeof r->unit];
        copy_plain(unit, sizeof unit, r->unit);
        snprintf(l->cell[PROGRESS], CELL, "%" PRId64 "/%" PRId64 " %s", r->done, r->total, unit);
    }
    tell_when(j, r, now, l);
    copy_plain(l->cell[USER], CELL, r->user);
    tell_rest(j, r, l);
}

// ---- the table ---------------------------------------------------------------------------------

typedef struct page {  // where lines go
    int width, height; // ANY: as many as there are
    const char *end;   // of a line
} page;

static void put_line(const page *p, const char *text)
{
    printf("%.*s%s", (int)bytes_of_line(text, p->width), text, p->end);
}

static void put_cells(const page *p, const int wide[COLUMNS], const char *const cell[COLUMNS],
                      const char *rest)
{
    char text[LINE];
    size_t n = 0;
    for (int k = 0; k < COLUMNS; k++) {
        const int bytes = (int)bytes_of_line(cell[k], wide[k]);
        const int blanks = wide[k] - characters_of(cell[k]);
        if (wide[k])
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s%*s  ", bytes, cell[k],
                                  blanks > 0 ? blanks : 0, "");
    }
    snprintf(text + n, sizeof text - n, "%s", rest);
    n = strlen(text);
    while (n && text[n - 1] == ' ') text[--n] = 0;
    put_line(p, text);
}

static void put_counts(const page *p, const char *dir, const tk_spool_view *v)
{
    char text[LINE], where[256];
    copy_plain(where, sizeof where, dir);
    snprintf(text, sizeof text,
             "%s: %d running, %d waiting, %d new, %d done, %d failed, %d cancelled%s", where,
             v->count[TK_SPOOL_RUNNING], v->count[TK_SPOOL_WAITING], v->fresh,
             v->count[TK_SPOOL_DONE], v->count[TK_SPOOL_FAILED], v->count[TK_SPOOL_CANCELLED],
             v->beyond ? "; of folders with more than 10000 jobs only so many are told" : "");
    put_line(p, text);
}

static void widths_of(const job_line *l, int n, int wide[COLUMNS])
{
    for (int k = 0; k < COLUMNS; k++) {
        wide[k] = 0;
        for (int i = 0; i < n; i++) {
            const int c = characters_of(l[i].cell[k]);
            if (c > wide[k]) wide[k] = c;
        }
        const int title = (int)strlen(head[k]);
        if (wide[k] && wide[k] < title) wide[k] = title;
    }
    if (wide[NAME] > NAME_CELL) wide[NAME] = NAME_CELL;
}

static tk_status put_table(const page *p, const char *dir, tk_arena *a)
{
    tk_spool_view v;
    job_line *line;
    int wide[COLUMNS];
    TK_TRY(tk_spool_look(dir, a, &v));
    const int room = p->height > 4 ? p->height - 3 : 1; // counts, titles, and how many more
    const int n = v.n <= room + 1 ? v.n : room;
    TK_ARENA_NEW(line, a, n + 1);
    for (int i = 0; i < n; i++) {
        tk_spool_record r;
        TK_TRY(tk_spool_look_at(dir, &v.job[i], &r));
        tell_job(&v.job[i], &r, (int64_t)time(NULL), &line[i]);
    }
    put_counts(p, dir, &v);
    widths_of(line, n, wide);
    if (n) put_cells(p, wide, head, "WORKER, AND WHAT WENT WRONG");
    for (int i = 0; i < n; i++) {
        const char *cell[COLUMNS];
        for (int k = 0; k < COLUMNS; k++) cell[k] = line[i].cell[k];
        put_cells(p, wide, cell, line[i].rest);
    }
    char more[64];
    snprintf(more, sizeof more, "and %d more", v.n - n + v.beyond);
    if (v.n - n + v.beyond) put_line(p, more);
    return TK_OK;
}

// ---- as JSON -----------------------------------------------------------------------------------

static tk_status put_jobs_json(const char *dir, tk_arena *a)
{
    tk_spool_view v;
    TK_TRY(tk_spool_look(dir, a, &v));
    printf("{\"format\": \"talkie-jobs\", \"version\": 1, \"counts\": {\"running\": %d, "
           "\"waiting\": %d, \"new\": %d, \"done\": %d, \"failed\": %d, \"cancelled\": %d}, "
           "\"more\": %d, \"jobs\": [",
           v.count[TK_SPOOL_RUNNING], v.count[TK_SPOOL_WAITING], v.fresh, v.count[TK_SPOOL_DONE],
           v.count[TK_SPOOL_FAILED], v.count[TK_SPOOL_CANCELLED], v.beyond);
    for (int i = 0; i < v.n; i++) {
        const tk_spool_job *j = &v.job[i];
        tk_spool_record r;
        TK_TRY(tk_spool_look_at(dir, j, &r));
        json_t *o = tk_spool_record_object(&r);
        char folder[TK_SPOOL_PATH];
        copy_plain(folder, sizeof folder, j->folder);
        json_object_set_new(o, "state", json_string(told_state(j)));
        json_object_set_new(o, "folder", json_string(folder));
        json_object_set_new(o, "lost", json_boolean(j->lost));
        printf(i ? ",\n" : "\n");
        const bool done = o && json_dumpf(o, stdout, JSON_COMPACT) == 0;
        json_decref(o);
        if (!done) return TK_FAIL(TK_MEMORY, "cannot print job %s", r.name);
    }
    printf("%s]}\n", v.n ? "\n" : "");
    return TK_OK;
}

static tk_status print_once(const char *dir, bool json)
{
    const page whole = {ANY, ANY, "\n"};
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = json ? put_jobs_json(dir, &a) : put_table(&whole, dir, &a);
    if (fflush(stdout) != 0 && st == TK_OK)
        st = TK_FAIL(TK_IO, "cannot write the jobs to the standard output");
    tk_arena_free(&a);
    return st;
}

// ---- live --------------------------------------------------------------------------------------

static struct termios begin_keys(bool *keys)
{
    struct termios was, now;
    *keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0;
    if (!*keys) return (struct termios){0};
    now = was;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VMIN] = 0, now.c_cc[VTIME] = 0;
    now.c_cc[VSUSP] = _POSIX_VDISABLE; // nobody would put the screen back
    tcsetattr(STDIN_FILENO, TCSANOW, &now);
    return was;
}

static page window_page(void)
{
    struct winsize w = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || !w.ws_col || !w.ws_row)
        w = (struct winsize){.ws_col = 80, .ws_row = 24};
    return (page){w.ws_col > NARROW ? w.ws_col : NARROW, w.ws_row, "\033[K\n"};
}

// Whether q was pressed or a signal asks to leave, within so many seconds; a window of another size
// ends the wait as well.
static bool leaves_within(double seconds, bool keys, page shown)
{
    const double until = tk_now() + seconds;
    while (tk_now() < until) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        char key = 0;
        tk_alive();
        if (tk_stop_asked()) return true;
        const int got = poll(keys ? &in : NULL, keys ? 1 : 0, 100);
        if (got > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')) return true;
        const page now = window_page();
        if (now.width != shown.width || now.height != shown.height) return false;
    }
    return tk_stop_asked();
}

static tk_status draw(const char *dir, const page *p)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    printf("\033[H");
    const tk_status st = put_table(p, dir, &a);
    printf("\033[J");
    tk_arena_free(&a);
    if (st == TK_OK && fflush(stdout) != 0)
        return TK_FAIL(TK_IO, "cannot write the jobs to the terminal");
    return st;
}

static tk_status show_live(const char *dir, double every)
{
    bool keys;
    tk_status st;
    page p;
    TK_TRY(tk_stop_watch());
    const struct termios was = begin_keys(&keys);
    printf("\033[?1049h\033[?25l\033[?7l"); // a screen of its own, no cursor, lines are cut
    do {
        p = window_page();
        p.height--; // the last line's end must not scroll
        st = draw(dir, &p);
        p.height++;
    } while (st == TK_OK && !leaves_within(every, keys, p));
    printf("\033[?7h\033[?25h\033[?1049l");
    fflush(stdout);
    if (keys) tcsetattr(STDIN_FILENO, TCSANOW, &was);
    return st;
}

// ---- the command -------------------------------------------------------------------------------

static tk_status cancel_and_tell(const char *dir, const char *name)
{
    TK_TRY(tk_spool_cancel(dir, name));
    tk_log("job %s is to be cancelled: whoever has it does so at its next step, a worker else",
           name);
    return TK_OK;
}

// mpirun gives its first rank a terminal at which nobody sits.
static tk_status list_jobs(const tk_comm *world, const tk_invocation *in)
{
    const tk_listing_config *o = &in->config.listing;
    const char *dir = in->files[0];
    if (*o->cancel) return cancel_and_tell(dir, o->cancel);
    if (o->json || o->once || world->size > 1 || !isatty(STDOUT_FILENO))
        return print_once(dir, o->json);
    return show_live(dir, o->every);
}

tk_status tk_jobs_command(tk_comm *world, tk_invocation *in)
{
    return tk_agree(world, world->rank ? TK_OK : list_jobs(world, in));
}
