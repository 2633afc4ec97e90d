// SPDX-License-Identifier: Apache-2.0
// In the place of the files that need ICU (make FILTERS=0): where there is a policy nothing is
// made.
#include "infer/filter/fold.h"
#include "infer/filter/pattern.h"

static tk_status no_filters(void)
{
    return TK_FAIL(TK_INPUT, "this talkie was built without filters (make FILTERS=0): it holds "
                             "nothing against a policy, and makes nothing where there is one");
}

uint64_t tk_letter_bit(char c)
{
    (void)c;
    return 0;
}

uint32_t tk_letter_same(char c)
{
    return (uint32_t)c;
}

tk_status tk_fold_open(tk_fold **out)
{
    *out = NULL;
    return no_filters();
}

void tk_fold_close(tk_fold *f)
{
    (void)f; // there is none
}

tk_status tk_fold_text(tk_fold *f, const char *text, size_t bytes, tk_arena *a, int *n,
                       tk_letter **out)
{
    (void)f, (void)text, (void)bytes, (void)a;
    *n = 0;
    *out = NULL;
    return no_filters();
}

tk_status tk_fold_plain(size_t bytes, int n, const tk_letter *letter, tk_arena *a, char **plain,
                        int **at)
{
    (void)bytes, (void)n, (void)letter, (void)a;
    *plain = NULL;
    *at = NULL;
    return no_filters();
}

tk_status tk_pattern_open(const char *text, tk_pattern **out)
{
    (void)text;
    *out = NULL;
    return no_filters();
}

void tk_pattern_close(tk_pattern *p)
{
    (void)p; // there is none
}

tk_pattern_end tk_pattern_find(tk_pattern *p, const char *text, int bytes, int from, int *begin,
                               int *end)
{
    (void)p, (void)text, (void)bytes, (void)from;
    *begin = *end = 0;
    return TK_PATTERN_TOO_LONG;
}
