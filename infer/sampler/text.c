// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/text.h"

tk_status tk_sample_text(const tk_text_form *f, int n_shots, const tk_clip_shot *shot,
                         const float *own, int d, bool dropped, tk_arena *a, tk_sample_task *t)
{
    tk_document doc = t->doc;
    TK_TRY(tk_captions_lay(f, n_shots, shot, dropped, a, &doc));
    t->text_rows[d] = doc.text_rows;
    t->caption_rows[d] = doc.caption_rows;
    if (f->channels) {
        float *rows;
        TK_ARENA_NEW(rows, a, t->text_rows[d] * f->channels);
        tk_caption_features(f, n_shots, shot, dropped, own, rows);
        t->features[d] = rows;
        return TK_OK;
    }
    int32_t *tokens;
    TK_ARENA_NEW(tokens, a, t->text_rows[d]);
    tk_caption_tokens(n_shots, shot, dropped, tokens);
    t->text[d] = tokens;
    return TK_OK;
}
