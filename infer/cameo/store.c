// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/store.h"
#include "core/base/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char server_key[] = "server.key", server_open[] = "server.pub";

static const tk_cameo_store no_store = {
    .people = {-1, -1, ""}, .keys = {-1, -1, ""}, .wishes = {-1, -1, ""}};

const char *const tk_use_name[TK_USES] = {"face", "voice", "remix"};

const char *tk_uses_say(unsigned uses, char words[TK_USE_WORDS])
{
    *words = 0;
    for (int k = 0; k < TK_USES; k++)
        if (uses & (1u << k))
            snprintf(words + strlen(words), TK_USE_WORDS - strlen(words), "%s%s",
                     *words ? ", " : "", tk_use_name[k]);
    return words;
}

// ---- keys of the server ------------------------------------------------------------------------

static tk_status make_server(tk_cameo_store *s, const tk_folder *store)
{
    unsigned char seed[TK_SEAL_KEY];
    char hex[TK_SEAL_HEX];
    tk_seal_random(seed, sizeof seed);
    tk_seal_pair_of(seed, s->server);
    tk_seal_hex(s->server->open, sizeof s->server->open, hex);
    tk_status st = tk_folder_write(&s->keys, server_key, 0600, seed, sizeof seed);
    tk_seal_forget(seed, sizeof seed);
    hex[2 * TK_SEAL_PUBLIC] = '\n';
    if (st == TK_OK) st = tk_folder_write(store, server_open, 0644, hex, 2 * TK_SEAL_PUBLIC + 1);
    s->signs = st == TK_OK;
    return st;
}

static tk_status read_server(tk_cameo_store *s, const tk_folder *store, tk_arena *a)
{
    char *text;
    size_t bytes;
    bool there;
    TK_TRY(tk_folder_read(store, server_open, 256, a, &text, &bytes, &there));
    if (!there)
        return TK_FAIL(TK_INPUT, "consent.store: %s holds no cameos: %s is missing", store->path,
                       server_open);
    if (tk_seal_unhex(text, strcspn(text, "\n"), s->server->open, sizeof s->server->open))
        return TK_OK;
    return TK_FAIL(TK_INPUT, "%s/%s: is no public key in hexadecimal digits", store->path,
                   server_open);
}

static tk_status read_server_key(tk_cameo_store *s)
{
    tk_secret seed;
    tk_seal_pair pair;
    TK_TRY(tk_folder_read_secret(&s->keys, server_key, 256, &seed));
    const size_t bytes = seed.bytes;
    if (bytes == TK_SEAL_KEY) tk_seal_pair_of((const unsigned char *)seed.x, &pair);
    tk_secret_forget(&seed);
    if (bytes != TK_SEAL_KEY)
        return TK_FAIL(TK_INPUT, "%s/%s: is no key: it has %zu bytes, not %d", s->keys.path,
                       server_key, bytes, TK_SEAL_KEY);
    const bool same = !memcmp(pair.open, s->server->open, sizeof pair.open);
    memcpy(s->server, &pair, sizeof pair);
    tk_seal_forget(&pair, sizeof pair);
    s->signs = same;
    return same ? TK_OK
                : TK_FAIL(TK_INPUT, "%s/%s: is not the key of the store's %s", s->keys.path,
                          server_key, server_open);
}

static tk_status read_registrar(tk_cameo_store *s, const char *path, tk_arena *a)
{
    char *pem;
    size_t bytes;
    if (!*path) return TK_OK;
    TK_TRY(tk_file_read(path, TK_PAPER_BYTES, a, &pem, &bytes));
    if (!tk_seal_read_public(pem, s->registrar))
        return TK_FAIL(TK_INPUT,
                       "consent.registrar: %s is no public key of Ed25519 in PEM (openssl pkey "
                       "-pubout writes one)",
                       path);
    if (!memcmp(s->registrar, s->server->open, sizeof s->registrar))
        return TK_FAIL(TK_INPUT,
                       "consent.registrar: %s is the server's own key: the registrar is "
                       "somebody else",
                       path);
    s->has_registrar = true;
    return TK_OK;
}

// ---- opening -----------------------------------------------------------------------------------

static tk_status open_keys(tk_cameo_store *s, const tk_consent_config *c, tk_store_for what,
                           const tk_folder *store, tk_arena *a)
{
    const bool make = what == TK_STORE_TO_MAKE;
    char *path = *c->keys ? c->keys : tk_arena_printf(a, "%s/keys", c->store);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (what != TK_STORE_TO_LOOK) TK_TRY(tk_folder_open(path, make, 0700, &s->keys));
    struct stat at;
    const bool has =
        s->keys.fd >= 0 && fstatat(s->keys.fd, server_key, &at, AT_SYMLINK_NOFOLLOW) == 0;
    const bool known = fstatat(store->fd, server_open, &at, AT_SYMLINK_NOFOLLOW) == 0;
    if (make && !has && !known) return make_server(s, store);
    TK_TRY(read_server(s, store, a));
    return what == TK_STORE_TO_LOOK ? TK_OK : read_server_key(s);
}

// Whoever can write there drops a wish; only the server reads what lies there, and takes it away.
static tk_status open_wishes(tk_cameo_store *s, tk_store_for what, const tk_folder *store)
{
    static const char name[] = "wishes";
    bool there;
    if (what == TK_STORE_TO_LOOK) return TK_OK;
    if (what == TK_STORE_TO_MAKE) return tk_folder_make(store, name, 01733, &s->wishes);
    return tk_folder_enter(store, name, &s->wishes, &there);
}

static tk_status open_store(tk_cameo_store *s, const tk_consent_config *c, tk_store_for what,
                            tk_folder *store, tk_arena *a)
{
    struct stat at;
    const bool make = what == TK_STORE_TO_MAKE;
    TK_TRY(tk_folder_open(c->store, make, 0755, store));
    if (make) TK_TRY(tk_folder_lock(store, true)); // one server's key
    TK_TRY(open_keys(s, c, what, store, a));
    TK_TRY(make ? tk_folder_make(store, "people", 0711, &s->people)
                : tk_folder_enter(store, "people", &s->people, NULL));
    TK_TRY(open_wishes(s, what, store));
    if (fstat(s->people.fd, &at)) return TK_FAIL(TK_IO, "cannot look at %s", s->people.path);
    s->uid = at.st_uid;
    snprintf(s->hook, sizeof s->hook, "%s", c->hook);
    if (*c->hook && access(c->hook, X_OK))
        return TK_FAIL(TK_INPUT, "consent.hook: %s is no program that can be run: %s", c->hook,
                       strerror(errno));
    return read_registrar(s, c->registrar, a);
}

tk_status tk_cameo_store_open(const tk_consent_config *c, tk_store_for what, tk_cameo_store *out)
{
    tk_arena a;
    tk_folder store = {-1, -1, ""};
    *out = no_store;
    TK_TRY(tk_seal_ready());
    if (!*c->store)
        return TK_FAIL(TK_INPUT,
                       "consent.store: missing: name the folder in which cameos are kept");
    TK_TRY(tk_secret_new(sizeof *out->server, &out->server_memory));
    out->server = (tk_seal_pair *)out->server_memory.x;
    tk_arena_init(&a, 0);
    const tk_status st = open_store(out, c, what, &store, &a);
    tk_arena_free(&a);
    tk_folder_close(&store);
    if (st != TK_OK) tk_cameo_store_close(out);
    return st;
}

void tk_cameo_store_close(tk_cameo_store *s)
{
    const bool opened = s->people.path[0] || s->keys.path[0];
    if (opened) {
        tk_folder_close(&s->people);
        tk_folder_close(&s->keys);
        tk_folder_close(&s->wishes);
    }
    tk_secret_forget(&s->server_memory);
    *s = no_store;
}

// ---- who there is ------------------------------------------------------------------------------

static int by_handle(const void *x, const void *y)
{
    return strcmp(((const tk_handle *)x)->name, ((const tk_handle *)y)->name);
}

tk_status tk_cameo_list(const tk_cameo_store *s, tk_arena *a, tk_handle **out, int *n)
{
    enum { MOST = 100000 };
    const int fd = openat(s->people.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    *n = 0;
    if (!d) {
        const int error = errno;
        if (fd >= 0) close(fd);
        return TK_FAIL(tk_io_code(error), "cannot read %s: %s", s->people.path, tk_io_words(error));
    }
    int room = 0;
    *out = NULL;
    for (struct dirent *e; (e = readdir(d)) && *n < MOST;) {
        tk_handle h;
        if (e->d_name[0] == '.' || e->d_name[0] == '@') continue;
        if (tk_handle_read(e->d_name, &h) != TK_OK) {
            tk_status_clear();
            continue;
        }
        if (*n == room) {
            tk_handle *more = tk_arena_alloc(a, sizeof *more * (size_t)(2 * room + 64));
            if (!more) {
                closedir(d);
                return TK_FAIL(TK_MEMORY, "out of memory for the handles");
            }
            if (*n) memcpy(more, *out, sizeof *more * (size_t)*n);
            *out = more, room = 2 * room + 64;
        }
        (*out)[(*n)++] = h;
    }
    closedir(d);
    if (*n) qsort(*out, (size_t)*n, sizeof **out, by_handle);
    return TK_OK;
}
