// SPDX-License-Identifier: Apache-2.0
// Which blocks a pipeline stage holds, in one run or several.
#include "core/model/model.h"

int64_t tk_stage_begin(const tk_model_config *m, int stage, int n_stages)
{
    // Costs in blocks. The first stage also refines the text (few rows), the last projects out.
    const double first = 0.2 * (double)m->refiner_layers, last = 0.1;
    const double total = (double)m->layers + first + last;
    if (stage <= 0) return 0;
    if (stage >= n_stages) return m->layers;
    const int64_t begin = (int64_t)(total * stage / n_stages - first + 0.5);
    return begin < 0 ? 0 : begin > m->layers ? m->layers : begin;
}

tk_model tk_model_chunk(const tk_model *m, int chunk)
{
    tk_model run = *m;
    run.stage = chunk * m->n_stages + m->stage;
    run.n_stages = m->chunks * m->n_stages;
    run.chunks = 1;
    run.block_begin = tk_stage_begin(&m->config, run.stage, run.n_stages);
    run.block_end = tk_stage_begin(&m->config, run.stage + 1, run.n_stages);
    return run;
}

bool tk_model_holds(const tk_model *m, int64_t block)
{
    for (int c = 0; c < m->chunks; c++) {
        const tk_model run = tk_model_chunk(m, c);
        if (block >= run.block_begin && block < run.block_end) return true;
    }
    return false;
}
