// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // pipe2
#include "tests/support/browser.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READ_PIECE = 1 << 16, SECONDS = 20 };

struct browser {
    pid_t pid;
    int to, from; // pipes
    char profile[64];
    char *said; // (room) what came and is no whole message yet
    size_t n, room;
    json_int_t calls;
    char session[128];
    bool loaded;
    char text[4096], complaints[4096];
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- messages ----------------------------------------------------------------------------------

static void complain(browser *b, const char *what, const char *words)
{
    const size_t n = strlen(b->complaints);
    snprintf(b->complaints + n, sizeof b->complaints - n, "%s: %s\n", what, words ? words : "?");
}

static bool is_local(const char *url)
{
    static const char *const own[] = {"file:", "data:", "blob:", "about:"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strncmp(url, own[i], strlen(own[i]))) return true;
    return false;
}

static void hear_event(browser *b, const char *method, json_t *params)
{
    const char *text = NULL, *url = NULL, *level = NULL;
    if (!strcmp(method, "Page.loadEventFired")) b->loaded = true;
    if (!strcmp(method, "Runtime.exceptionThrown")) {
        json_unpack(params, "{s:{s:s, s?{s?s}}}", "exceptionDetails", "text", &text, "exception",
                    "description", &url);
        complain(b, "exception", url ? url : text);
    }
    if (!strcmp(method, "Log.entryAdded") &&
        !json_unpack(params, "{s:{s:s, s:s}}", "entry", "level", &level, "text", &text) &&
        !strcmp(level, "error"))
        complain(b, "log", text);
    if (!strcmp(method, "Network.requestWillBeSent") &&
        !json_unpack(params, "{s:{s:s}}", "request", "url", &url) && !is_local(url))
        complain(b, "network", url);
}

// The next message, or NULL where none comes until then.
static json_t *next_message(browser *b, double until)
{
    for (;;) {
        char *end = b->n ? memchr(b->said, 0, b->n) : NULL;
        if (end) {
            json_t *m = json_loads(b->said, 0, NULL);
            const size_t used = (size_t)(end - b->said) + 1;
            memmove(b->said, b->said + used, b->n -= used);
            assert_non_null(m);
            return m;
        }
        struct pollfd p = {.fd = b->from, .events = POLLIN};
        const int left = (int)(1e3 * (until - seconds_now()));
        if (left <= 0 || poll(&p, 1, left) <= 0) return NULL;
        if (b->room - b->n < READ_PIECE) b->said = realloc(b->said, b->room += 4 * READ_PIECE);
        assert_non_null(b->said);
        const ssize_t got = read(b->from, b->said + b->n, READ_PIECE);
        if (got <= 0) return NULL;
        b->n += (size_t)got;
    }
}

static void send_message(browser *b, const char *method, json_t *params)
{
    json_t *m = json_pack("{s:I, s:s, s:o}", "id", ++b->calls, "method", method, "params",
                          params ? params : json_object());
    if (*b->session) json_object_set_new(m, "sessionId", json_string(b->session));
    char *text = json_dumps(m, JSON_COMPACT);
    assert_non_null(text);
    const size_t n = strlen(text) + 1;
    for (size_t at = 0; at < n;) {
        const ssize_t put = write(b->to, text + at, n - at);
        if (put <= 0) fail_msg("chromium has gone before %s", method);
        at += (size_t)put;
    }
    free(text);
    json_decref(m);
}

json_t *browser_call(browser *b, const char *method, json_t *params)
{
    const double until = seconds_now() + SECONDS;
    send_message(b, method, params);
    for (json_t *m; (m = next_message(b, until));) {
        const char *event = json_string_value(json_object_get(m, "method"));
        if (event) hear_event(b, event, json_object_get(m, "params"));
        const bool answer = json_integer_value(json_object_get(m, "id")) == b->calls;
        json_t *result = answer ? json_incref(json_object_get(m, "result")) : NULL;
        char *error = answer && !result ? json_dumps(json_object_get(m, "error"), 0) : NULL;
        json_decref(m);
        if (error) fail_msg("%s: %s", method, error);
        if (answer) return result;
    }
    fail_msg("chromium does not answer %s; %s", method, b->complaints);
    return NULL;
}

static void tell(browser *b, const char *method, json_t *params)
{
    json_decref(browser_call(b, method, params));
}

// ---- starting and ending -----------------------------------------------------------------------

static void become_chromium(const browser *b, int in, int out)
{
    char profile[96];
    snprintf(profile, sizeof profile, "--user-data-dir=%s", b->profile);
    const int a = fcntl(in, F_DUPFD, 10), c = fcntl(out, F_DUPFD, 10);
    dup2(a, 3);
    dup2(c, 4);
    close(a);
    close(c);
    const int nothing = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(nothing, i);
    setpgid(0, 0); // killed whole; of the test's session all the same
    execlp("chromium", "chromium", "--headless=new", "--no-sandbox", "--remote-debugging-pipe",
           profile, "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-extensions", "--disable-features=Translate", "about:blank", (char *)NULL);
    _exit(127);
}

static void enter_page(browser *b)
{
    static const char *const heard[] = {"Page.enable", "Runtime.enable", "Log.enable",
                                        "Network.enable"};
    const char *id;
    json_t *made = browser_call(b, "Target.createTarget", json_pack("{s:s}", "url", "about:blank"));
    assert_int_equal(json_unpack(made, "{s:s}", "targetId", &id), 0);
    json_t *joined = browser_call(b, "Target.attachToTarget",
                                  json_pack("{s:s, s:b}", "targetId", id, "flatten", 1));
    assert_int_equal(json_unpack(joined, "{s:s}", "sessionId", &id), 0);
    snprintf(b->session, sizeof b->session, "%s", id);
    json_decref(joined);
    json_decref(made);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) tell(b, heard[i], NULL);
}

browser *browser_open(void)
{
    int in[2], out[2];
    if (system("command -v chromium >/dev/null 2>&1") != 0) return NULL;
    browser *b = calloc(1, sizeof *b);
    assert_non_null(b);
    snprintf(b->profile, sizeof b->profile, "/tmp/talkie-browser-XXXXXX");
    assert_non_null(mkdtemp(b->profile));
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    signal(SIGPIPE, SIG_IGN);
    b->pid = fork();
    assert_true(b->pid >= 0);
    if (b->pid == 0) become_chromium(b, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    b->to = in[1];
    b->from = out[0];
    enter_page(b);
    return b;
}

void browser_close(browser *b)
{
    char command[96];
    if (!b) return;
    kill(-b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
    close(b->to);
    close(b->from);
    snprintf(command, sizeof command, "rm -rf '%s'", b->profile);
    if (system(command) != 0) fprintf(stderr, "%s stays\n", b->profile);
    free(b->said);
    free(b);
}

// ---- asking ------------------------------------------------------------------------------------

json_t *browser_value(browser *b, const char *expression)
{
    json_t *r = browser_call(b, "Runtime.evaluate",
                             json_pack("{s:s, s:b, s:b, s:b}", "expression", expression,
                                       "returnByValue", 1, "awaitPromise", 1, "userGesture", 0));
    const char *wrong = NULL;
    json_unpack(r, "{s:{s:{s:s}}}", "exceptionDetails", "exception", "description", &wrong);
    if (wrong) fail_msg("%s: %s", expression, wrong);
    json_t *value = json_incref(json_object_get(json_object_get(r, "result"), "value"));
    json_decref(r);
    return value;
}

double browser_number(browser *b, const char *expression)
{
    json_t *v = browser_value(b, expression);
    if (!json_is_number(v)) fail_msg("%s is no number", expression);
    const double x = json_number_value(v);
    json_decref(v);
    return x;
}

const char *browser_text(browser *b, const char *expression)
{
    json_t *v = browser_value(b, expression);
    snprintf(b->text, sizeof b->text, "%s", json_is_string(v) ? json_string_value(v) : "");
    json_decref(v);
    return b->text;
}

bool browser_true(browser *b, const char *expression)
{
    char text[2048];
    assert_true(snprintf(text, sizeof text, "!!(%s)", expression) < (int)sizeof text);
    json_t *v = browser_value(b, text);
    const bool yes = json_is_true(v);
    json_decref(v);
    return yes;
}

void browser_wait(browser *b, const char *expression)
{
    const double until = seconds_now() + SECONDS;
    while (!browser_true(b, expression)) {
        if (seconds_now() > until) fail_msg("not within %d s: %s", SECONDS, expression);
        usleep(30000);
    }
}

// ---- doing -------------------------------------------------------------------------------------

void browser_show(browser *b, const char *url)
{
    const double until = seconds_now() + SECONDS;
    b->loaded = false;
    tell(b, "Page.navigate", json_pack("{s:s}", "url", url));
    while (!b->loaded) {
        json_t *m = next_message(b, until);
        if (!m) fail_msg("%s is not loaded; %s", url, b->complaints);
        const char *event = json_string_value(json_object_get(m, "method"));
        if (event) hear_event(b, event, json_object_get(m, "params"));
        json_decref(m);
    }
}

void browser_size(browser *b, int width, int height, bool phone)
{
    tell(b, "Emulation.setDeviceMetricsOverride",
         json_pack("{s:i, s:i, s:i, s:b}", "width", width, "height", height, "deviceScaleFactor", 1,
                   "mobile", (int)phone));
    tell(b, "Emulation.setTouchEmulationEnabled", json_pack("{s:b}", "enabled", (int)phone));
}

static int code_of(const char *key)
{
    static const struct {
        const char *key;
        int code;
    } codes[] = {{"ArrowDown", 40}, {"ArrowUp", 38}, {"ArrowLeft", 37}, {"ArrowRight", 39},
                 {"Home", 36},      {"End", 35},     {"Enter", 13},     {"Escape", 27},
                 {"Tab", 9},        {" ", 32}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (!strcmp(key, codes[i].key)) return codes[i].code;
    return key[0] >= 'a' && key[0] <= 'z' ? key[0] - 'a' + 'A' : 0;
}

void browser_key(browser *b, const char *key)
{
    json_t *down = json_pack("{s:s, s:s, s:i}", "type", "keyDown", "key", key,
                             "windowsVirtualKeyCode", code_of(key));
    if (!key[1]) json_object_set_new(down, "text", json_string(key));
    if (!strcmp(key, "Enter")) json_object_set_new(down, "text", json_string("\r"));
    tell(b, "Input.dispatchKeyEvent", down);
    tell(b, "Input.dispatchKeyEvent",
         json_pack("{s:s, s:s, s:i}", "type", "keyUp", "key", key, "windowsVirtualKeyCode",
                   code_of(key)));
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

void browser_shot(browser *b, const char *path)
{
    json_t *r = browser_call(b, "Page.captureScreenshot", json_pack("{s:s}", "format", "png"));
    const char *text = json_string_value(json_object_get(r, "data"));
    FILE *f = fopen(path, "wb");
    assert_non_null(text);
    assert_non_null(f);
    unsigned bits = 0;
    int n = 0;
    for (; *text && digit_of(*text) >= 0; text++) {
        bits = bits << 6 | (unsigned)digit_of(*text);
        n += 6;
        if (n < 8) continue;
        n -= 8;
        putc((int)(bits >> n & 255), f);
    }
    assert_int_equal(fclose(f), 0);
    json_decref(r);
}

const char *browser_complaints(browser *b)
{
    return b->complaints;
}

void browser_forgive(browser *b)
{
    *b->complaints = 0;
}
