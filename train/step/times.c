// SPDX-License-Identifier: Apache-2.0
#include "train/step/times.h"
#include <string.h>

tk_status tk_times_open(tk_times *t, tk_device *d, int64_t most, tk_arena *a)
{
    *t = (tk_times){0};
    TK_ARENA_NEW(t->event, a, most);
    TK_ARENA_NEW(t->part, a, most);
    for (; t->most < most; t->most++) TK_TRY(tk_event_open(&t->event[t->most], d));
    return TK_OK;
}

void tk_times_close(tk_times *t)
{
    for (int64_t i = 0; i < t->most; i++) tk_event_close(&t->event[i]);
    *t = (tk_times){0};
}

static tk_status record(tk_times *t, tk_part part)
{
    if (t->n == t->most)
        return TK_FAIL(TK_INTERNAL, "more than %lld marks of a step", (long long)t->most);
    t->part[t->n] = part;
    return tk_event_record(&t->event[t->n++], TK_QUEUE_COMPUTE);
}

tk_status tk_times_begin(tk_times *t)
{
    t->n = 0;
    return record(t, TK_PARTS);
}

tk_status tk_times_mark(tk_times *t, tk_part part)
{
    if (t->n == 0) return TK_FAIL(TK_INTERNAL, "a mark of a step that has not begun");
    return record(t, part);
}

tk_status tk_times_read(tk_times *t, double seconds[TK_PARTS])
{
    memset(seconds, 0, TK_PARTS * sizeof *seconds);
    for (int64_t i = 1; i < t->n; i++) {
        double s;
        TK_TRY(tk_event_seconds(&t->event[i - 1], &t->event[i], &s));
        seconds[t->part[i]] += s;
    }
    return TK_OK;
}
