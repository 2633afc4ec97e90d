// SPDX-License-Identifier: Apache-2.0
// eval.tasks: tasks asked of a model with right and with wrong rows given
// (infer/eval/tasks/given.h), their figures beside the truth's and chance's.
#pragma once
#include "infer/eval/clips.h"
#include "infer/eval/tasks/given.h"

typedef enum tk_asked_column {
    TK_ASKED_RIGHT,
    TK_ASKED_WRONG,
    TK_ASKED_TRUTH,
    TK_ASKED_CHANCE,
    TK_ASKED_COLUMNS
} tk_asked_column;

typedef struct tk_asked_figures { // of the tasks of tk_asked_tasks
    bool asked[TK_ASKED_TASKS];
    tk_figures column[TK_ASKED_TASKS][TK_ASKED_COLUMNS];
} tk_asked_figures;

// Which of them the option names: "all" all. TK_INPUT for names of none.
tk_status tk_asked_read(const tk_eval_config *c, tk_asked_figures *out);
// Collective over the world, if any is asked for.
tk_status tk_asked_fill(tk_eval *e, tk_asked_figures *out);
void tk_asked_print(const tk_asked_figures *f);
// {task: {what, captions, figures}, ...}; NULL: none is asked for, or out of memory.
json_t *tk_asked_report(const tk_asked_figures *f);
