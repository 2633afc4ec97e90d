// SPDX-License-Identifier: Apache-2.0
// What preflight looks at of the host and of the disks that it sees.
#include "core/base/files.h"
#include "train/preflight/measure.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

// ---- files -------------------------------------------------------------------------------------

typedef struct file_reading {
    tk_flight_gauge *gauge;
    const char *path;
    int fd;
    int64_t bytes, at; // of the file; where the next read begins
} file_reading;

// The next `gauge->bytes` bytes, from the file's begin again where it ends.
static tk_status read_on(void *ctx)
{
    file_reading *r = ctx;
    for (size_t left = r->gauge->bytes; left && r->bytes;) {
        const int64_t here = r->bytes - r->at;
        const size_t piece = here < (int64_t)left ? (size_t)here : left;
        TK_TRY(tk_pread_all(r->fd, r->path, r->gauge->host, piece, r->at));
        r->at = r->at + (int64_t)piece < r->bytes ? r->at + (int64_t)piece : 0;
        left -= piece;
    }
    return TK_OK;
}

// Each rank reads one of the files, so that together they read all: past the page cache, as far as
// the system lets go of it.
static tk_status time_files(tk_flight_gauge *g, tk_flight_rank *own)
{
    const tk_data_config *c = &g->config->data;
    tk_comm *w = &g->mesh->world;
    double seconds;
    if (!c->n_files) return TK_OK;
    file_reading r = {.gauge = g, .path = c->files[w->rank % c->n_files]};
    TK_TRY(tk_agree(w, tk_file_open(r.path, &r.fd, &r.bytes)));
    (void)posix_fadvise(r.fd, 0, 0, POSIX_FADV_DONTNEED);
    const tk_status st = tk_flight_time(g, read_on, &r, 0, &seconds);
    close(r.fd);
    TK_TRY(st);
    own->figure[TK_FLIGHT_FILES] = (double)g->bytes / seconds;
    return TK_OK;
}

// ---- the host ----------------------------------------------------------------------------------

// "Key : value" of a file of /proc; the first of that key.
static void proc_value(const char *path, const char *key, char *out, size_t size)
{
    char line[512];
    FILE *f = fopen(path, "r");
    *out = 0;
    while (f && !*out && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
    }
    if (f) fclose(f);
}

static void find_facts(tk_flight_gauge *g, tk_flight_rank *own)
{
    struct utsname name;
    tk_card card;
    char *device = own->fact[TK_FLIGHT_DEVICE], *kernel = own->fact[TK_FLIGHT_KERNEL];
    enum { SIZE = sizeof own->fact[0] };
    if (uname(&name) == 0) snprintf(kernel, SIZE, "%s %s", name.sysname, name.release);
    tk_device_software(g->device, own->fact[TK_FLIGHT_SOFTWARE], SIZE);
    if (tk_device_card(g->device, &card))
        snprintf(device, SIZE, "%s", card.name);
    else
        proc_value("/proc/cpuinfo", "model name", device, SIZE);
    if (!*device) snprintf(device, SIZE, "%s", g->device->ops->name);
}

// train.out, or the nearest folder on the way to it that is there.
static void nearest_folder(const char *out, char path[4096])
{
    snprintf(path, 4096, "%s", *out ? out : ".");
    while (access(path, F_OK)) {
        char *slash = strrchr(path, '/');
        if (!slash) {
            strcpy(path, ".");
            return;
        }
        slash[slash == path] = 0;
        if (slash == path) return;
    }
}

static void find_room(const char *folder, tk_flight_rank *own)
{
    struct statvfs disk;
    char text[64];
    proc_value("/proc/meminfo", "MemAvailable", text, sizeof text);
    own->memory = 1024 * atof(text);
    if (statvfs(folder, &disk) == 0) own->disk = (double)disk.f_bavail * (double)disk.f_frsize;
}

// Whether all ranks see a file that rank 0 makes in the folder.
static tk_status look_for_file(tk_flight_gauge *g, const char *folder, tk_flight_rank *own)
{
    tk_comm *w = &g->mesh->world;
    char path[4096 + 64] = "";
    tk_status st = TK_OK;
    int fd = -1;
    if (w->rank == 0) {
        snprintf(path, sizeof path, "%s/.talkie-preflight-XXXXXX", folder);
        fd = mkstemp(path);
        if (fd < 0)
            st = TK_FAIL(tk_io_code(errno), "train.out: cannot write into %s: %s", folder,
                         tk_io_words(errno));
    }
    TK_TRY(tk_agree(w, st));
    st = tk_comm_broadcast(w, path, sizeof path, 0);
    own->lost = access(path, F_OK) != 0;
    if (st == TK_OK) st = tk_comm_barrier(w);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return st;
}

// Seconds that this clock is ahead of the middle of all. Leaving a barrier late makes it seem more:
// the least of some rounds counts.
static tk_status compare_clocks(tk_flight_gauge *g, tk_flight_rank *own)
{
    enum { ROUNDS = 5 };
    tk_comm *w = &g->mesh->world;
    double *all;
    TK_NEW(all, w->size);
    tk_status st = TK_OK;
    for (int k = 0; k < ROUNDS && st == TK_OK; k++) {
        struct timespec t;
        st = tk_comm_barrier(w);
        clock_gettime(CLOCK_REALTIME, &t);
        const double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
        if (st == TK_OK) st = tk_comm_all_gather(w, &now, all, sizeof now);
        qsort(all, (size_t)w->size, sizeof *all, tk_flight_shorter);
        const double ahead = now - all[w->size / 2];
        if (!k || (ahead < 0 ? -ahead : ahead) < (own->ahead < 0 ? -own->ahead : own->ahead))
            own->ahead = ahead;
    }
    tk_free(all);
    return st;
}

tk_status tk_flight_host(tk_flight_gauge *g, tk_flight_rank *own)
{
    char folder[4096];
    nearest_folder(g->config->train.out, folder);
    find_facts(g, own);
    find_room(folder, own);
    TK_TRY(look_for_file(g, folder, own));
    TK_TRY(compare_clocks(g, own));
    return time_files(g, own);
}
