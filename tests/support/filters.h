// SPDX-License-Identifier: Apache-2.0
// For tests of filters: a build without ICU (make FILTERS=0) has none to test.
#pragma once
#include "core/base/status.h"
#include "infer/filter/fold.h"
#include <stdio.h>
#include <stdlib.h>

static inline void skip_without_filters(void)
{
    tk_fold *fold;
    if (tk_fold_open(&fold) != TK_OK) {
        printf("skipped: %s\n", tk_status_message());
        exit(77);
    }
    tk_fold_close(fold);
}
