// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 200; waits: mostly */
// Workers of a spool that are killed, stopped and continued at every step of the protocol, and
// whose renames lie about what they did. Whatever dies when, no job is lost, none is done twice,
// and every result is of one try from its first byte to its last. With the protocol broken on
// purpose the same rounds must find it out.
//
//     test_kills              a few rounds, and the broken protocols
//     test_kills N FILE       rounds until N kills; goes on with FILE, where it writes a line a
//     round
#include "core/base/log.h"
#include "infer/spool/internal.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Of the files that are dropped each tenth is a list of so many jobs.
enum { WORKERS = 6, DROPPED = 30, LISTED = 2, LISTS = DROPPED / 10, PARTS = 3, POINTS = 24 };
enum { JOBS = DROPPED + LISTS * LISTED };
static const double lease = 0.2, too_long = 60; // seconds

typedef enum breakage { WHOLE, UNFENCED, NOT_ATOMIC, NEVER_DEAD } breakage;

typedef struct counts { // shared by all processes of a round
    char point[POINTS][16];
    int kills[POINTS], stops[POINTS];
    int n_points, lies, committed, fenced;
} counts;

static counts *tally;
static char dir[64];
static breakage broken;
static uint64_t state_of_worker;

// ---- in a worker -------------------------------------------------------------------------------

static unsigned draw(unsigned n) // one of n, by the worker's seed
{
    state_of_worker = state_of_worker * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state_of_worker >> 33) % n);
}

static int index_of(const char *point)
{
    for (int i = 0; i < tally->n_points; i++)
        if (!strcmp(tally->point[i], point)) return i;
    return 0;
}

static void at_point(const char *point)
{
    const int i = index_of(point);
    const unsigned fate = draw(40);
    if (fate == 0) {
        __atomic_add_fetch(&tally->kills[i], 1, __ATOMIC_SEQ_CST);
        raise(SIGKILL);
    }
    if (fate == 1) {
        __atomic_add_fetch(&tally->stops[i], 1, __ATOMIC_SEQ_CST);
        raise(SIGSTOP);
    }
}

// What a commit without a token does: the job's folder goes to done/ whosever it is by now, and one
// that is there already is taken for the own.
static int rename_unfenced(const char *from, const char *to)
{
    tk_spool_entry own, e;
    char path[TK_SPOOL_PATH];
    const int got = rename(from, to);
    if (got == 0 || !strstr(to, "/done/")) return got;
    if (access(to, F_OK) == 0) return 0;
    tk_spool_entry_read(strrchr(from, '/') + 1, &own);
    snprintf(path, sizeof path, "%s/running", dir);
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));)
        if (tk_spool_entry_read(f->d_name, &e) && !strcmp(e.name, own.name)) {
            snprintf(path, sizeof path, "%s/running/%s", dir, f->d_name);
            break;
        }
    if (d) closedir(d);
    return rename(path, to);
}

// A claim that looks and then copies, as on a store without renames.
static int rename_by_copy(const char *from, const char *to)
{
    char command[4 * TK_SPOOL_PATH];
    if (!strstr(from, "/waiting/")) return rename(from, to);
    if (access(from, F_OK) != 0) return -1;
    usleep(2000);
    snprintf(command, sizeof command, "cp -r '%s' '%s' 2>/dev/null && rm -r '%s' 2>/dev/null", from,
             to, from);
    return system(command) == 0 || access(to, F_OK) == 0 ? 0 : (errno = ENOENT, -1);
}

// Now and then the answer of a rename that was done is lost.
static int rename_somehow(const char *from, const char *to)
{
    static const int errors[] = {ENOENT, ESTALE, EIO};
    const int got = broken == UNFENCED     ? rename_unfenced(from, to)
                    : broken == NOT_ATOMIC ? rename_by_copy(from, to)
                                           : rename(from, to);
    if (got != 0 || draw(20)) return got;
    __atomic_add_fetch(&tally->lies, 1, __ATOMIC_SEQ_CST);
    errno = errors[draw(3)];
    return -1;
}

static bool never_dead(bool held)
{
    (void)held;
    return true;
}

static bool write_part(const tk_claim *c, int i)
{
    char tmp[TK_SPOOL_PATH], path[TK_SPOOL_PATH];
    snprintf(tmp, sizeof tmp, "%s/part%d.part-%s", c->dir, i, c->spool->lease.worker);
    snprintf(path, sizeof path, "%s/part%d", c->dir, i);
    FILE *f = fopen(tmp, "w");
    if (!f) return false;
    at_point("writing");
    fprintf(f, "%lld %s\n", (long long)c->entry.claims, c->spool->lease.worker);
    fclose(f);
    at_point("written");
    return rename(tmp, path) == 0;
}

static tk_status do_job(tk_claim *c)
{
    if (!strncmp(c->entry.name, "bad", 3)) return tk_claim_fail(c, "bad for ever", false);
    if (!strncmp(c->entry.name, "often", 5) && c->record.tries % 2)
        return tk_claim_fail(c, "this time not", true);
    if (!strncmp(c->entry.name, "back", 4) && draw(2)) return tk_claim_return(c, "");
    for (int i = 0; i < PARTS; i++) {
        at_point("work");
        if (!write_part(c, i)) return TK_FAIL(TK_FENCED, "the folder is gone");
        c->asked = 0;
        const tk_claim_end end = tk_claim_progress(c, i, PARTS, "parts");
        if (end != TK_CLAIM_GOES_ON) return tk_claim_stop(c, end);
    }
    TK_TRY(tk_claim_commit(c));
    char line[128], path[128];
    const int n = snprintf(line, sizeof line, "%s\n", c->entry.name);
    snprintf(path, sizeof path, "%s.ledger", dir); // who was told that its result is the one
    const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (write(fd, line, (size_t)n) != n) abort();
    close(fd);
    __atomic_add_fetch(&tally->committed, 1, __ATOMIC_SEQ_CST);
    return TK_OK;
}

static void work(uint64_t seed)
{
    tk_spool s;
    tk_claim c;
    bool got;
    state_of_worker = seed * 0x9E3779B97F4A7C15u + 1;
    if (broken != WHOLE && !freopen("/dev/null", "w", stderr)) abort(); // it has much to say
    tk_spool_seam = (tk_spool_seams){
        .rename = rename_somehow, .at = at_point, .held = broken == NEVER_DEAD ? never_dead : NULL};
    if (tk_spool_open(&s, dir, lease) != TK_OK) _exit(1);
    for (;;) {
        tk_status st = tk_spool_scan(&s);
        if (st == TK_OK) st = tk_spool_next(&s, NULL, NULL, &c, &got);
        if (st == TK_OK && got) st = do_job(&c);
        if (st == TK_FENCED) __atomic_add_fetch(&tally->fenced, 1, __ATOMIC_SEQ_CST);
        tk_status_clear();
        usleep(2000 + draw(8000));
    }
}

// ---- the round ---------------------------------------------------------------------------------

typedef struct hand { // a worker, from outside
    pid_t pid;
    double wakes; // stopped until then
} hand;

static void start_worker(hand *h, uint64_t *seed)
{
    const uint64_t own = (*seed)++;
    h->wakes = 0;
    h->pid = fork();
    if (h->pid == 0) {
        work(own);
        _exit(1);
    }
}

static void look_after(hand *h, uint64_t *seed, double now)
{
    int status;
    if (h->wakes > 0 && now > h->wakes) {
        kill(h->pid, SIGCONT);
        h->wakes = 0;
    }
    if (waitpid(h->pid, &status, WNOHANG | WUNTRACED) != h->pid) return;
    if (WIFSTOPPED(status)) // half of them long enough to lose their lease
        h->wakes = now + lease * (*seed % 2 ? 0.5 : 2.5);
    else
        start_worker(h, seed);
}

static const char *kind_of(int i)
{
    static const char *const kind[10] = {
        [1] = "cut", [3] = "bad", [5] = "often", [7] = "back", [9] = "list"};
    return kind[i % 10] ? kind[i % 10] : "job";
}

static void drop_job(int i)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s/new && echo '{job: {tries: 1000, priority: %d}%s}' >.%d && mv .%d %s-%d.yaml",
             dir, i % 10, strcmp(kind_of(i), "list") ? "" : ", storyboards: [kid.yaml, kid.yaml]",
             i, i, kind_of(i), i % 25); // some names come twice
    if (system(command) != 0) abort();
}

// Somebody wants one of those cancelled, whatever has become of it by now.
static void cancel_job(int i)
{
    char path[128];
    snprintf(path, sizeof path, "%s/cancel/cut-%d", dir, i % 25);
    const int fd = strcmp(kind_of(i), "cut") ? -1 : open(path, O_WRONLY | O_CREAT, 0666);
    if (fd >= 0) close(fd);
}

static int entries(const char *folder)
{
    char path[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void count_points(void)
{
    static const char *const names[] = {"other",   "taking",    "taken",   "named",  "record",
                                        "publish", "published", "claim",   "work",   "writing",
                                        "written", "settle",    "settled", "lapsed", "takeover",
                                        "listed",  "ready"};
    tally->n_points = sizeof names / sizeof *names;
    for (int i = 0; i < tally->n_points; i++)
        snprintf(tally->point[i], sizeof tally->point[i], "%s", names[i]);
}

// What is wrong with a folder of done/, in words; NULL: nothing.
static const char *judge_result(const char *name)
{
    char path[TK_SPOOL_PATH], text[PARTS][256] = {""}, want[256];
    tk_spool_record r;
    bool found;
    snprintf(path, sizeof path, "%s/done/%s", dir, name);
    if (tk_spool_record_read(path, &r, &found) != TK_OK || !found) return "has no job.json";
    if (r.state != TK_SPOOL_DONE) return "is not done by its job.json";
    if (r.storyboards) return r.done == LISTED ? NULL : "is a list without all of its jobs";
    snprintf(want, sizeof want, "%lld %s\n", (long long)r.claim, r.worker);
    for (int i = 0; i < PARTS; i++) {
        snprintf(path, sizeof path, "%s/done/%s/part%d", dir, name, i);
        FILE *f = fopen(path, "r");
        if (!f || !fgets(text[i], sizeof text[i], f)) text[i][0] = 0;
        if (f) fclose(f);
        if (strcmp(text[i], want)) return "has a part of another try";
    }
    snprintf(path, sizeof path, "[ -f %s/done/%s/%s.yaml ] && [ $(ls -A %s/done/%s | wc -l) = %d ]",
             dir, name, name, dir, name, PARTS + 2 + (*r.list != 0));
    return system(path) == 0 ? NULL : "has files too many or too few";
}

// Behind what is there already.
__attribute__((format(printf, 3, 4))) static void add_words(char *words, size_t room,
                                                            const char *fmt, ...)
{
    va_list list;
    size_t n = strlen(words);
    if (n) n += (size_t)snprintf(words + n, room - n, "; ");
    if (n >= room) return;
    va_start(list, fmt);
    vsnprintf(words + n, room - n, fmt, list);
    va_end(list);
}

// All that the round has done wrong, in words, as far as there is room; "": nothing.
static void judge_round(char *words, size_t room)
{
    char path[256], line[128], seen[JOBS * 2][128];
    int n = 0, bad = 0;
    *words = 0;
    if (entries("done") + entries("failed") + entries("cancelled") != JOBS)
        add_words(words, room, "lost: %d done, %d failed and %d cancelled of %d", entries("done"),
                  entries("failed"), entries("cancelled"), JOBS);
    for (int i = 0; i < DROPPED; i++) bad += !strcmp(kind_of(i), "bad");
    if (!*words && entries("failed") != bad)
        add_words(words, room, "%d failed, not %d", entries("failed"), bad);
    snprintf(path, sizeof path, "%s.ledger", dir);
    FILE *f = fopen(path, "r");
    for (; f && n < 2 * JOBS && fgets(line, sizeof line, f); n++) {
        snprintf(seen[n], sizeof seen[n], "%s", line);
        snprintf(path, sizeof path, "%s/cancelled/%.*s", dir, (int)strcspn(line, "\n"), line);
        if (access(path, F_OK) == 0) add_words(words, room, "done and cancelled: %s", line);
        for (int i = 0; i < n; i++)
            if (!strcmp(seen[i], line)) add_words(words, room, "done twice: %s", line);
    }
    if (f) fclose(f);
    snprintf(path, sizeof path, "%s/done", dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *wrong = e->d_name[0] == '.' ? NULL : judge_result(e->d_name);
        if (wrong) add_words(words, room, "%s %s", e->d_name, wrong);
    }
    if (d) closedir(d);
}

static bool all_ended(void)
{
    return entries("new") + entries("taking") + entries("waiting") + entries("running") == 0 &&
           entries("done") + entries("failed") + entries("cancelled") >= JOBS;
}

// words: what went wrong. limit: seconds.
static void one_round(uint64_t seed, breakage how, double limit, char *words, size_t room)
{
    hand hands[WORKERS];
    tk_spool s;
    int dropped = 0;
    uint64_t next = seed * 1000;
    char command[256];
    memset(tally, 0, sizeof *tally);
    count_points();
    broken = how;
    snprintf(dir, sizeof dir, "/tmp/spool-kills-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_ok(tk_spool_open(&s, dir, lease)); // the folders
    tk_spool_close(&s);
    snprintf(command, sizeof command, "echo 'seed: 1' >%s/files/kid.yaml", dir);
    const double begin = tk_now();
    for (int i = 0; i < WORKERS; i++) start_worker(&hands[i], &next);
    if (system(command) != 0) abort();
    while (!all_ended() && tk_now() - begin < limit) {
        if (dropped >= 3 && dropped < DROPPED + 3) cancel_job(dropped - 3);
        if (dropped < DROPPED) drop_job(dropped);
        dropped++;
        for (int i = 0; i < WORKERS; i++) look_after(&hands[i], &next, tk_now());
        usleep(5000);
    }
    // Those that are stopped still are to do what they were about to: their commits come too late.
    for (int i = 0; i < WORKERS; i++) kill(hands[i].pid, SIGCONT);
    usleep(100000);
    for (int i = 0; i < WORKERS; i++) {
        kill(hands[i].pid, SIGKILL);
        waitpid(hands[i].pid, NULL, 0);
    }
    judge_round(words, room);
    snprintf(command, sizeof command, "rm -rf %s %s.ledger", dir, dir);
    assert_int_equal(system(command), 0);
}

static int sum_of(const int *x)
{
    int n = 0;
    for (int i = 0; i < tally->n_points; i++) n += x[i];
    return n;
}

// ---- a few in every test -----------------------------------------------------------------------

static void nothing_is_lost_or_doubled(void **state)
{
    char words[1024];
    int kills = 0, stops = 0;
    (void)state;
    for (uint64_t seed = 1; kills < 30; seed++) {
        one_round(seed, WHOLE, too_long, words, sizeof words);
        if (*words) fail_msg("seed %d: %s", (int)seed, words);
        kills += sum_of(tally->kills);
        stops += sum_of(tally->stops);
    }
    assert_true(stops > 10);
    print_message("%d kills, %d stops\n", kills, stops);
}

// Rounds of a broken protocol must go wrong as they do when it is broken so.
static void assert_found_out(breakage how, double limit, const char *want)
{
    char words[1024] = "";
    for (uint64_t seed = 1; seed <= 16 && (!*words || !strstr(words, want)); seed++)
        one_round(seed, how, limit, words, sizeof words);
    if (!*words || !strstr(words, want)) fail_msg("not found out; last: '%s'", words);
    print_message("found out: %s\n", words);
}

static void commits_without_a_token_are_found_out(void **state)
{
    (void)state;
    assert_found_out(UNFENCED, too_long, "twice");
}

static void claims_that_are_not_atomic_are_found_out(void **state)
{
    (void)state;
    assert_found_out(NOT_ATOMIC, 6, "");
}

static void leases_that_never_end_are_found_out(void **state)
{
    (void)state;
    assert_found_out(NEVER_DEAD, 4, "lost");
}

// ---- many --------------------------------------------------------------------------------------

static int campaign(int want, const char *file)
{
    char words[1024], line[256];
    int kills = 0, k;
    uint64_t seed = 100, at;
    FILE *f = fopen(file, "a+");
    if (!f) return 1;
    rewind(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "seed %lu: %d kills", &at, &k) == 2) {
            kills += k;
            seed = at + 1;
        }
    for (; kills < want; seed++) {
        one_round(seed, WHOLE, too_long, words, sizeof words);
        kills += sum_of(tally->kills);
        fprintf(f, "seed %lu: %d kills, %d stops, %d lies, %d jobs, %d committed, %d fenced; %s\n",
                seed, sum_of(tally->kills), sum_of(tally->stops), tally->lies, JOBS,
                tally->committed, tally->fenced, *words ? words : "nothing lost, nothing doubled");
        for (int i = 1; i < tally->n_points; i++)
            fprintf(f, "  %s %d %d\n", tally->point[i], tally->kills[i], tally->stops[i]);
        fflush(f);
        printf("%d of %d kills\n", kills, want);
        if (*words) return fprintf(stderr, "seed %lu: %s\n", seed, words), 1;
    }
    return fclose(f) != 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(commits_without_a_token_are_found_out),
        cmocka_unit_test(claims_that_are_not_atomic_are_found_out),
        cmocka_unit_test(leases_that_never_end_are_found_out),
    };
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) return 1;
    if (argc == 3) return campaign(atoi(argv[1]), argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
