// SPDX-License-Identifier: Apache-2.0
// What HDF5 says, in words: where it happened and why.
#include "core/store/internal.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// HDF5 closes what is open when the process exits, and crashes there over a file whose close failed
// (a full disk), taking the exit code along. Every file here is closed by hand, so it need not.
static void forego_exit_handler(void)
{
    H5dont_atexit();
}

void tk_h5_quiet(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, forego_exit_handler);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

const char *tk_h5_where(hid_t at, const char *name, char buf[512])
{
    char file[256] = "", object[160] = "";
    if (H5Fget_name(at, file, sizeof file) < 0) snprintf(file, sizeof file, "HDF5 file");
    if (H5Iget_name(at, object, sizeof object) <= 0) object[0] = 0;
    size_t n = strlen(object);
    if (n && object[n - 1] == '/') object[n - 1] = 0;
    snprintf(buf, 512, "%s: %s%s%.80s", file, object, name && *name == '/' ? "" : "/",
             name ? name : "");
    return buf;
}

static herr_t gather_cause(unsigned n, const H5E_error2_t *e, void *ctx)
{
    tk_h5_cause *c = ctx;
    const char *words = e->desc ? e->desc : "";
    const char *error = strstr(words, "errno = ");
    if (error && !c->error) c->error = atoi(error + strlen("errno = "));
    if (n == 0) snprintf(c->words, sizeof c->words, "%s", words);
    return 0;
}

tk_h5_cause tk_h5_find_cause(void)
{
    tk_h5_cause c = {"", 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, gather_cause, &c);
    return c;
}

tk_status tk_h5_fail(tk_status code, hid_t at, const char *name, const char *what)
{
    const tk_h5_cause c = tk_h5_find_cause();
    char where[512];
    H5Eclear2(H5E_DEFAULT);
    tk_h5_where(at, name, where);
    if (c.error) return TK_FAIL(TK_IO, "%s: %s: %s", where, what, tk_io_words(c.error));
    return TK_FAIL(code, "%s: %s%s%s%s", where, what, *c.words ? " (" : "", c.words,
                   *c.words ? ")" : "");
}

// The open descriptor under a file or object; -1 if none.
static int descriptor(hid_t at)
{
    void *fd = NULL; // int *
    int found = -1;
    hid_t file = H5Iget_file_id(at);
    if (file < 0) return -1;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &fd) >= 0 && fd) found = *(const int *)fd;
    H5Fclose(file);
    return found;
}

int64_t tk_h5_file_bytes(hid_t at)
{
    struct stat s;
    int fd = descriptor(at);
    return fd >= 0 && fstat(fd, &s) == 0 ? (int64_t)s.st_size : -1;
}
