// SPDX-License-Identifier: Apache-2.0
#include "train/run/metrics.h"
#include "core/base/files.h"
#include "data/draw/sheet.h"
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

int64_t tk_resident_bytes(int64_t *peak)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long long now = 0, most = 0;
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "VmRSS: %lld", &now);
        sscanf(line, "VmHWM: %lld", &most);
    }
    if (f) fclose(f);
    if (peak) *peak = most * 1024;
    return now * 1024;
}

static tk_status remember_losses(tk_metrics *m, double video, double audio)
{
    if (m->n == m->cap) {
        const int64_t cap = m->cap ? 2 * m->cap : 1024;
        for (int k = 0; k < 2; k++) {
            double *grown =
                tk_realloc(m->loss[k], (size_t)m->cap * sizeof *grown, (size_t)cap * sizeof *grown);
            if (!grown) return TK_FAIL(TK_MEMORY, "out of memory for the loss curve");
            m->loss[k] = grown;
        }
        m->cap = cap;
    }
    m->loss[0][m->n] = video;
    m->loss[1][m->n++] = audio;
    return TK_OK;
}

// A line of an earlier run: its losses and step; -1 if it is not one of ours.
static int64_t read_metrics_line(const char *line, double loss[2])
{
    json_t *o = json_loads(line, 0, NULL);
    const json_t *step = json_object_get(o, "step");
    const int64_t at = json_is_integer(step) ? json_integer_value(step) : -1;
    loss[0] = json_number_value(json_object_get(o, "loss_video"));
    loss[1] = json_number_value(json_object_get(o, "loss_audio"));
    json_decref(o);
    return at;
}

// Takes over the lines up to `step`. A line that is too long, torn or not ours ends what is kept.
static tk_status take_over(tk_metrics *m, FILE *from, int64_t step)
{
    enum { ROOM = 16384 };
    char line[ROOM];
    double loss[2];
    int64_t before = 0;
    while (fgets(line, ROOM, from)) {
        const size_t n = strlen(line);
        if (!n || line[n - 1] != '\n') break;
        const int64_t at = read_metrics_line(line, loss);
        if (at <= before || at > step) break;
        before = at;
        if (fputs(line, m->file) < 0)
            return TK_FAIL(TK_IO, "cannot write %s: %s", m->path, strerror(errno));
        TK_TRY(remember_losses(m, loss[0], loss[1]));
    }
    if (fflush(m->file)) return TK_FAIL(TK_IO, "cannot write %s: %s", m->path, strerror(errno));
    return TK_OK;
}

tk_status tk_metrics_open(tk_metrics *m, const tk_owner *o, int64_t step)
{
    int fd;
    *m = (tk_metrics){.owner = o};
    tk_arena_init(&m->arena, 0);
    m->path = tk_arena_printf(&m->arena, "%s/metrics.jsonl", o->dir);
    const char *own = tk_arena_printf(&m->arena, "%s/metrics.jsonl", o->staging);
    if (!m->path || !own) return TK_FAIL(TK_MEMORY, "out of memory");
    m->file = fopen(own, "w");
    if (!m->file)
        return tk_owner_blame(o, TK_FAIL(TK_IO, "cannot write %s: %s", own, strerror(errno)));
    if (access(m->path, F_OK) == 0) {
        TK_TRY(tk_file_open(m->path, &fd, NULL));
        FILE *from = fdopen(fd, "r");
        const tk_status st = from ? take_over(m, from, step) : TK_FAIL(TK_MEMORY, "out of memory");
        from ? (void)fclose(from) : (void)close(fd);
        TK_TRY(st);
    }
    return tk_owner_commit(o, "metrics.jsonl");
}

tk_status tk_metrics_sync(tk_metrics *m)
{
    if (fsync(fileno(m->file)))
        return TK_FAIL(TK_IO, "cannot write %s: %s", m->path, strerror(errno));
    return TK_OK;
}

void tk_metrics_close(tk_metrics *m)
{
    if (m->file) fclose(m->file);
    for (int k = 0; k < 2; k++) tk_free(m->loss[k]);
    tk_arena_free(&m->arena);
    *m = (tk_metrics){0};
}

// A number, or null with *finite cleared.
static json_t *number(double x, bool *finite)
{
    if (isfinite(x)) return json_real(x);
    *finite = false;
    return json_null();
}

// What the step's clips were trained for: clips of each task, rows to be made, and clips that could
// not do theirs.
static json_t *make_tasks(const tk_task_counts *c)
{
    json_t *o = json_object();
    for (int t = 0; t < TK_TASKS; t++)
        if (c->documents[t])
            json_object_set_new(o, tk_task_name[t],
                                json_pack("{s:I, s:I}", "clips", (json_int_t)c->documents[t],
                                          "rows", (json_int_t)c->targets[t]));
    return o;
}

static json_t *make_object(const tk_metrics *m, const tk_step_result *r, double checkpoint_seconds)
{
    bool finite = true;
    int64_t peak;
    const double total = r->seconds.total > 0 ? r->seconds.total : NAN;
    json_t *o = json_object(), *s = json_object();
    json_object_set_new(o, "step", json_integer(r->step + 1));
    json_object_set_new(o, "loss", number(r->loss, &finite));
    json_object_set_new(o, "loss_video", number(r->loss_of[TK_VIDEO], &finite));
    json_object_set_new(o, "loss_audio", number(r->loss_of[TK_AUDIO], &finite));
    json_object_set_new(o, "grad_norm", number(r->grad_norm, &finite));
    json_object_set_new(o, "lr", number(r->lr, &finite));
    json_object_set_new(o, "rows", json_integer(r->rows));
    json_object_set_new(o, "rows_per_s", number((double)r->rows / total, &finite));
    json_object_set_new(o, "flops_per_s", number(r->flops / total, &finite));
    if (m->gemm > 0)
        json_object_set_new(o, "gemm_fraction", number(r->flops / total / m->gemm, &finite));
    json_object_set_new(s, "data", number(r->seconds.data, &finite));
    json_object_set_new(s, "compute", number(r->seconds.compute, &finite));
    json_object_set_new(s, "reduce", number(r->seconds.reduce, &finite));
    json_object_set_new(s, "optimizer", number(r->seconds.optimizer, &finite));
    json_object_set_new(s, "checkpoint", number(checkpoint_seconds, &finite));
    json_object_set_new(s, "total", number(r->seconds.total, &finite));
    json_object_set_new(o, "seconds", s);
    if (r->way != TK_STEP_ASKED)
        json_object_set_new(o, "graph",
                            json_string(r->way == TK_STEP_REPLAYED ? "replayed" : "recorded"));
    json_object_set_new(o, "tasks", make_tasks(&r->tasks));
    json_object_set_new(o, "unfit", json_integer(r->tasks.unfit));
    json_object_set_new(o, "skipped", json_integer(r->skipped));
    tk_resident_bytes(&peak);
    json_object_set_new(o, "peak_bytes", json_integer(peak));
    if (!finite) json_object_set_new(o, "finite", json_false());
    return o;
}

tk_status tk_metrics_write(tk_metrics *m, const tk_step_result *r, double checkpoint_seconds)
{
    json_t *o = make_object(m, r, checkpoint_seconds);
    errno = 0;
    bool ok = json_dumpf(o, m->file, JSON_COMPACT | JSON_REAL_PRECISION(17)) == 0;
    json_decref(o);
    ok = ok && fputc('\n', m->file) >= 0 && fflush(m->file) == 0;
    if (!ok) return TK_FAIL(TK_IO, "cannot write %s: %s", m->path, strerror(errno));
    return remember_losses(m, r->loss_of[TK_VIDEO], r->loss_of[TK_AUDIO]);
}

tk_status tk_metrics_plot(const tk_metrics *m)
{
    const tk_curve curves[2] = {{"video", m->loss[0], m->n}, {"audio", m->loss[1], m->n}};
    char path[PATH_MAX];
    if (m->n < 2) return TK_OK;
    snprintf(path, sizeof path, "%s/loss.png", m->owner->staging);
    TK_TRY(tk_owner_blame(m->owner, tk_draw_plot(path, "Velocity loss", "step", 2, curves, true)));
    return tk_owner_commit(m->owner, "loss.png");
}
