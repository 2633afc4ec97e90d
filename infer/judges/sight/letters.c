// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sight/letters.h"
#include "core/base/aside.h"
#include "core/base/library.h"
#include "core/base/log.h"
#include "infer/judges/sight/legible.h"
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <tesseract/capi.h>
#include <unistd.h>

#define LIBRARY "libtesseract.so.5"
#define DATA TK_TESSERACT_DATA // the folder of eng.traineddata

static const char READ[] = "--read-letters";
static const char *program;

enum {
    CPU_SECONDS = 60,    // of work on a picture: what takes more has no end
    WALL_SECONDS = 300,  // of waiting for it on a busy machine
    TEXT_MOST = 1 << 16, // bytes of what is read in a picture
    LETTERS_LEAST = 3    // of a block of text
};

void tk_letters_by(const char *path)
{
    program = path;
}

bool tk_letters_asked(int argc, char **argv)
{
    return tk_aside_is(argc, argv, READ);
}

// ---- messages ----------------------------------------------------------------------------------

typedef struct picture_head {
    int32_t height, width; // then (height, width, 3) bytes
} picture_head;

typedef struct text_head {
    int32_t fault; // 1: the text says why nothing is read
    int32_t bytes; // then the text
} text_head;

static bool receive_all(int from, void *to, size_t n)
{
    for (size_t had = 0; had < n;) {
        const ssize_t got = recv(from, (char *)to + had, n - had, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        had += (size_t)got;
    }
    return true;
}

static bool send_all(int to, const void *from, size_t n)
{
    for (size_t had = 0; had < n;) {
        const ssize_t sent = send(to, (const char *)from + had, n - had, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        had += (size_t)sent;
    }
    return true;
}

// ---- the reader --------------------------------------------------------------------------------

#define CALLS(X)                      \
    X(TessBaseAPICreate)              \
    X(TessBaseAPIInit2)               \
    X(TessBaseAPISetVariable)         \
    X(TessBaseAPISetImage)            \
    X(TessBaseAPIGetUTF8Text)         \
    X(TessBaseAPIClear)               \
    X(TessBaseAPISetPageSegMode)      \
    X(TessBaseAPISetSourceResolution) \
    X(TessDeleteText)

static struct {
#define ROW(name) __typeof__(name) *name;
    CALLS(ROW)
#undef ROW
} tess;

static TessBaseAPI *start_tesseract(char *fault, size_t room)
{
    static const tk_library_call call[] = {
#define ROW(name) {#name, &tess.name},
        CALLS(ROW)
#undef ROW
    };
    tk_library_load(LIBRARY, sizeof call / sizeof *call, call, fault, room);
    if (*fault) return NULL;
    TessBaseAPI *t = tess.TessBaseAPICreate();
    if (!t || tess.TessBaseAPIInit2(t, DATA, "eng", OEM_LSTM_ONLY)) {
        snprintf(fault, room, "it does not read its data in " DATA);
        return NULL;
    }
    // Words anywhere, in no order. No letters are learned from one picture to the next: that is for
    // the older recognizer alone, which is not asked.
    tess.TessBaseAPISetPageSegMode(t, PSM_SPARSE_TEXT);
    return t;
}

// A block of text goes behind the others, if it is not there yet. One of fewer than three letters
// is mostly none, and words would be spelled over many of these.
static void add_text_block(const char *block, size_t bytes, char *to, size_t room)
{
    char one[1024];
    const size_t used = strlen(to);
    int letters = 0;
    for (size_t i = 0; i < bytes; i++) letters += isalnum((unsigned char)block[i]) != 0;
    if (letters < LETTERS_LEAST) return;
    snprintf(one, sizeof one, "%.*s\n\n", (int)(bytes < 1000 ? bytes : 1000), block);
    if (!strstr(to, one)) snprintf(to + used, room - used, "%s", one);
}

static void add_blocks(const char *text, char *to, size_t room)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        const size_t bytes = end ? (size_t)(end - text) : strlen(text);
        add_text_block(text, bytes, to, room);
        text += bytes;
        while (*text == '\n') text++;
    }
}

// What one way of showing the picture gives, behind what others gave.
static tk_status read_way(TessBaseAPI *t, const uint8_t *rgb, picture_head h, int way, tk_arena *a,
                          char *to, size_t room)
{
    tk_legible shown;
    tk_arena_reset(a);
    TK_TRY(tk_legible_make(rgb, h.height, h.width, way, a, &shown));
    if (!shown.grey) return TK_OK;
    tess.TessBaseAPISetImage(t, shown.grey, (int)shown.width, (int)shown.height, 1,
                             (int)shown.width);
    tess.TessBaseAPISetSourceResolution(t, 70); // of a screen; else it is guessed
    char *text = tess.TessBaseAPIGetUTF8Text(t);
    if (text) add_blocks(text, to, room);
    if (text) tess.TessDeleteText(text);
    tess.TessBaseAPIClear(t);
    return TK_OK;
}

// Whoever does not end by itself is ended by the kernel.
static void limit_picture(bool on)
{
    const struct itimerval cpu = {.it_value.tv_sec = on ? CPU_SECONDS : 0};
    setitimer(ITIMER_PROF, &cpu, NULL);
    alarm(on ? WALL_SECONDS : 0);
}

static bool answer(bool fault, const char *text)
{
    const text_head head = {fault, (int32_t)strlen(text)};
    return send_all(STDIN_FILENO, &head, sizeof head) &&
           send_all(STDIN_FILENO, text, (size_t)head.bytes);
}

static bool answer_pictures(TessBaseAPI *t, tk_arena *picture, tk_arena *one)
{
    picture_head h;
    static char text[TEXT_MOST];
    while (receive_all(STDIN_FILENO, &h, sizeof h)) {
        const size_t n = (size_t)h.height * (size_t)h.width * 3;
        tk_arena_reset(picture);
        uint8_t *rgb = tk_arena_alloc(picture, n);
        if (!rgb || !receive_all(STDIN_FILENO, rgb, n)) return false;
        limit_picture(true);
        *text = 0;
        tk_status st = TK_OK;
        for (int way = 0; way < TK_LEGIBLE_WAYS && st == TK_OK; way++)
            st = read_way(t, rgb, h, way, one, text, sizeof text);
        limit_picture(false);
        if (!answer(st != TK_OK, st == TK_OK ? text : tk_status_message())) return false;
    }
    return true;
}

int tk_letters_main(void)
{
    const struct rlimit none = {0, 0};
    char fault[512];
    setrlimit(RLIMIT_CORE, &none);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    const struct rlimit memory = {(rlim_t)4 << 30, (rlim_t)4 << 30};
    setrlimit(RLIMIT_AS, &memory);
#endif
    TessBaseAPI *t = start_tesseract(fault, sizeof fault);
    if (!answer(!t, t ? "" : fault) || !t) return 1;
    tk_arena picture, one;
    tk_arena_init(&picture, 1 << 20);
    tk_arena_init(&one, 1 << 20);
    const bool fine = answer_pictures(t, &picture, &one);
    tk_arena_free(&picture);
    tk_arena_free(&one);
    return !fine;
}

// ---- asking it ---------------------------------------------------------------------------------

struct tk_letters {
    tk_aside reader;
};

// Until something comes, or nothing did for far longer than the reader lives.
static bool wait_for_reader(const tk_letters *l)
{
    struct pollfd p = {.fd = l->reader.socket, .events = POLLIN};
    for (int second = 0; second < WALL_SECONDS + 60; second++) {
        tk_alive();
        const int n = poll(&p, 1, 1000);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
    }
    return false;
}

static bool take_answer(tk_letters *l, tk_arena *a, text_head *head, char **text)
{
    if (!wait_for_reader(l) || !receive_all(l->reader.socket, head, sizeof *head)) return false;
    if (head->bytes < 0 || head->bytes >= TEXT_MOST) return false;
    *text = tk_arena_alloc(a, (size_t)head->bytes + 1);
    if (!*text || !receive_all(l->reader.socket, *text, (size_t)head->bytes)) return false;
    (*text)[head->bytes] = 0;
    return true;
}

static tk_status start_reader(tk_letters *l, tk_arena *a)
{
    static const char *const variables[] = {"OMP_THREAD_LIMIT=1", "OMP_NUM_THREADS=1", "LC_ALL=C",
                                            "ASAN_OPTIONS=detect_leaks=0", NULL};
    const tk_aside_start s = {program, READ, SOCK_STREAM, variables, "read pictures"};
    text_head head;
    char *fault;
    if (l->reader.owner) return TK_OK;
    if (!program) return TK_FAIL(TK_INTERNAL, "no program reads pictures");
    TK_TRY(tk_aside_begin(&s, &l->reader));
    if (!take_answer(l, a, &head, &fault)) {
        tk_aside_end(&l->reader);
        return TK_FAIL(TK_IO, "the process that reads pictures does not start");
    }
    if (!head.fault) return TK_OK;
    tk_aside_end(&l->reader);
    return TK_FAIL(TK_INPUT, "no text can be read in pictures: " LIBRARY " cannot be used (%s)",
                   fault);
}

// How it ended says why.
static tk_status lost_reader(tk_letters *l)
{
    int ended = tk_aside_end(&l->reader);
    const int by = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
    if (by == SIGPROF || by == SIGALRM || by == SIGKILL)
        return TK_FAIL(TK_INPUT, "the picture cannot be read: that takes more than %d seconds",
                       by == SIGPROF ? CPU_SECONDS : WALL_SECONDS);
    return TK_FAIL(TK_INPUT, "the picture cannot be read: tesseract fails on it (%s)",
                   by ? strsignal(by) : "it gave up");
}

tk_status tk_letters_open(tk_letters **out)
{
    tk_letters *l;
    tk_arena a;
    *out = NULL;
    if (access(DATA "/eng.traineddata", R_OK) != 0)
        return TK_FAIL(TK_INPUT,
                       "no text can be read in pictures: " DATA
                       "/eng.traineddata is missing (Debian's package tesseract-ocr-eng)");
    TK_NEW(l, 1);
    tk_arena_init(&a, 0);
    const tk_status st = start_reader(l, &a);
    tk_arena_free(&a);
    if (st == TK_OK)
        *out = l;
    else
        tk_letters_close(l);
    return st;
}

tk_status tk_letters_read(tk_letters *l, const uint8_t *rgb, int64_t height, int64_t width,
                          tk_arena *a, char **text)
{
    text_head got;
    const picture_head head = {(int32_t)height, (int32_t)width};
    if (height < 1 || width < 1 || height > TK_LETTERS_SIDE || width > TK_LETTERS_SIDE)
        return TK_FAIL(TK_INPUT,
                       "a picture of %lld x %lld pixels cannot be read: 1 to %d either way",
                       (long long)width, (long long)height, TK_LETTERS_SIDE);
    TK_TRY(start_reader(l, a));
    if (!send_all(l->reader.socket, &head, sizeof head) ||
        !send_all(l->reader.socket, rgb, (size_t)(height * width * 3)) ||
        !take_answer(l, a, &got, text))
        return lost_reader(l);
    if (got.fault) return TK_FAIL(TK_INPUT, "the picture cannot be read: %s", *text);
    return TK_OK;
}

void tk_letters_close(tk_letters *l)
{
    if (!l) return;
    tk_aside_end(&l->reader);
    tk_free(l);
}
