// SPDX-License-Identifier: Apache-2.0
#include "train/gradients.h"

tk_status tk_gradients_sum(tk_mesh *mesh, tk_model *m)
{
    tk_comm *stages = &mesh->pipeline;
    TK_TRY(tk_model_reduce_grads(m));
    for (int i = 0; i < m->n_weights && stages->size > 1; i++) {
        const tk_tensor *g = &m->weight[i].grad;
        if (m->table.spec[m->weight[i].spec].where != TK_ON_ALL) continue;
        TK_TRY(stages->ops->all_reduce(stages, g->data, tk_count(g), TK_F32, TK_SUM));
    }
    return TK_OK;
}

bool tk_gradient_owner(const tk_mesh *mesh, const tk_param_spec *s)
{
    return mesh->data.rank == 0 && (s->axis >= 0 || mesh->tensor.rank == 0) &&
           (s->where != TK_ON_ALL || mesh->pipeline.rank == 0);
}
