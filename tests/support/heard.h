// SPDX-License-Identifier: Apache-2.0
// Results of training steps, in the order in which they were told:
// tk_trainer_listen(&trainer, listen, &heard).
#pragma once
#include "tests/support/test.h"
#include "train/step/trainer.h"

enum { HEARD = 64 };
typedef struct heard {
    tk_step_result r[HEARD];
    int64_t n;
} heard;

static void listen(void *ctx, const tk_step_result *r)
{
    heard *h = ctx;
    assert_true(h->n < HEARD);
    h->r[h->n++] = *r;
}
