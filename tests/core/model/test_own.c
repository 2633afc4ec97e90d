// SPDX-License-Identifier: Apache-2.0
// model.given=own: given rows ask given ones alone, and may be kept. (Its gradients:
// tests/core/model/test_model.c.)
#include "tests/core/model/rig.h"

enum { GIVEN_VIDEO = 3, GIVEN_AUDIO = 2, MOST = 256 };

typedef struct asked { // what is done with a document
    tk_laid laid;
    int64_t text;
    double level;
    float made; // added to its noisy rows
    const tk_kept *kept;
    tk_kept *keeps;
    float video[MOST], audio[MOST]; // velocities, of rows laid
} asked;

// Two shots: the first is given, and of the second some rows.
static tk_document some_given(const asked *a)
{
    static const tk_shot_rows shots[2] = {
        {.latent_frames = 1, .audio_rows = 2},
        {.latent_frames = 2, .audio_rows = 4, .start = 0.5, .target = true}};
    static const uint8_t video[18] = {[8] = 1, [13] = 1, [17] = 1}, audio[6] = {[2] = 1, [5] = 1};
    return (tk_document){.text_rows = a->text,
                         .n_shots = 2,
                         .shots = shots,
                         .height = 2,
                         .width = 3,
                         .fps = 8,
                         .cadence = {2},
                         .audio_units = 1,
                         .audio_channels = 1,
                         .t_video = a->level,
                         .t_audio = a->level / 2,
                         .t_clean = 1,
                         .given = {[TK_VIDEO] = video, [TK_AUDIO] = audio},
                         .laid = a->laid};
}

// Rows of a modality that are laid, out of x, which are all (NULL: the picks alone).
static int64_t gather_laid(const asked *a, int m, int64_t channels, const float *x, float *out,
                           bool *given)
{
    const tk_document d = some_given(a);
    int64_t n = 0, i = 0;
    for (int k = 0; k < d.n_shots; k++)
        for (const int64_t end = i + tk_shot_count(&d, k, m); i < end; i++) {
            const bool is = !tk_row_is_target(&d, k, m, i);
            if (a->laid == (is ? TK_LAID_OTHERS : TK_LAID_GIVEN)) continue;
            for (int64_t c = 0; c < channels; c++)
                out[n * channels + c] = x[i * channels + c] + (is ? 0 : a->made);
            given[n++] = is;
        }
    return n;
}

static void ask_model(rig *r, asked *a)
{
    const tk_model_config *c = &r->model.config;
    const tk_document d = some_given(a);
    float video[MOST], audio[MOST];
    bool given[MOST];
    tk_stream s;
    tk_batch b = {0};
    tk_tape t;
    tk_forward out;
    assert_ok(tk_stream_init(&s, &r->arena, tk_document_rows(&d, NULL), 1, 3));
    assert_ok(tk_stream_append(&s, &d));
    const int64_t rows =
        gather_laid(a, TK_VIDEO, c->video_channels, noise(r, MOST, 11), video, given) +
        gather_laid(a, TK_AUDIO, c->audio_channels, noise(r, MOST, 12), audio, given);
    assert_int_equal(s.rows, rows + (a->laid == TK_LAID_GIVEN ? 0 : a->text));
    const tk_host_rows in = {
        .video = video, .audio = audio, .tokens = r->tokens + a->text % 3, .kept = a->kept};
    tk_tape_init(&t, &r->device, TK_TAPE_RUN);
    assert_ok(tk_batch_open(&b, &r->model, &s, &in, &r->host));
    b.keeps = a->keeps;
    assert_ok(tk_model_forward(&r->model, &t, &b, NULL, false, &out));
    assert_ok(tk_device_get(&r->device, &out.video->t, a->video));
    assert_ok(tk_device_get(&r->device, &out.audio->t, a->audio));
    tk_tape_free(&t);
    tk_batch_close(&b);
}

static bool are_near(const float *x, const float *y, int64_t n, double near)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = test_larger(most, fabs((double)x[i] - y[i]));
    return most <= near;
}

// How many rows of a modality answered the same in both, of those given or of the others.
static int64_t count_same(rig *r, const asked *a, const asked *b, int m, bool of_given, double near)
{
    const int64_t n =
        m == TK_VIDEO ? r->model.config.video_channels : r->model.config.audio_channels;
    const float *x = m == TK_VIDEO ? a->video : a->audio, *y = m == TK_VIDEO ? b->video : b->audio;
    float all[MOST];
    bool given[MOST];
    int64_t same = 0;
    const int64_t rows = gather_laid(a, m, n, x, all, given);
    for (int64_t i = 0; i < rows; i++)
        same += given[i] == of_given && are_near(x + i * n, y + i * n, n, near);
    return same;
}

// What given rows answer does not change with the caption, its length, the noise level or noisy
// rows, and what others answer does.
static void test_own__given_rows_know_nothing_else(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        rig r;
        const bool own = k & 1;
        // Products of few rows have other bits on the cpu with another number of them.
        const double near = k & 2 ? k & 4 ? 0.05 : 1e-5 : 0;
        const tk_device_ops *ops = k & 2 ? &tk_device_cpu : &tk_device_ref;
        open_kind(
            &r, (kind){.ops = ops, .compute = k & 4 ? TK_BF16 : TK_F32, .threads = 1, .own = own});
        asked a = {.text = 4, .level = 0.3}, b = {.text = 7, .level = 0.6, .made = 1};
        ask_model(&r, &a);
        ask_model(&r, &b);
        assert_int_equal(count_same(&r, &a, &b, TK_VIDEO, true, near), own ? 6 + GIVEN_VIDEO : 0);
        assert_int_equal(count_same(&r, &a, &b, TK_AUDIO, true, near), own ? 2 + GIVEN_AUDIO : 0);
        assert_int_equal(count_same(&r, &a, &b, TK_VIDEO, false, near), 0);
        assert_int_equal(count_same(&r, &a, &b, TK_AUDIO, false, near), 0);
        close_rig(&r);
    }
}

static double off_by(const float *x, const float *y, const bool *given, int64_t n, int64_t rows)
{
    double off = 0, size = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < n && !given[i]; c++) {
            const double e = (double)x[i * n + c] - y[i * n + c];
            off += e * e;
            size += (double)y[i * n + c] * y[i * n + c];
        }
    return sqrt(off / size);
}

// Others answer the same beside given rows as beside what is kept of them, whatever caption and
// level they have.
static void test_own__kept_rows_are_as_if_there(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        rig r;
        tk_kept kept;
        // The first shot; sound 2 and 5, then pictures 8, 13 and 17.
        const int64_t before[8 + GIVEN_VIDEO + GIVEN_AUDIO] = {[8] = 0, 2, 4, 8, 11};
        const bool half = k & 2;
        open_kind(&r, (kind){.ops = k & 1 ? &tk_device_cpu : &tk_device_ref,
                             .compute = half ? TK_BF16 : TK_F32,
                             .threads = 1,
                             .own = true});
        asked given = {.laid = TK_LAID_GIVEN, .level = 0.9, .keeps = &kept};
        assert_ok(tk_kept_open(&kept, &r.model, 8 + GIVEN_VIDEO + GIVEN_AUDIO, &r.arena));
        kept.before = before;
        ask_model(&r, &given);
        for (int64_t text = 3; text < 9; text += 5) {
            asked whole = {.text = text, .level = 0.1 * (double)text};
            asked beside = {
                .text = text, .level = 0.1 * (double)text, .laid = TK_LAID_OTHERS, .kept = &kept};
            ask_model(&r, &whole);
            ask_model(&r, &beside);
            for (int m = 0; m < TK_MODALITIES; m++) {
                if (m == TK_TEXT) continue;
                const int64_t n =
                    m == TK_VIDEO ? r.model.config.video_channels : r.model.config.audio_channels;
                float made[MOST];
                bool is[MOST];
                whole.laid = TK_LAID_OTHERS; // what is gathered of all it answered
                const int64_t rows =
                    gather_laid(&whole, m, n, m == TK_VIDEO ? whole.video : whole.audio, made, is);
                assert_near(off_by(m == TK_VIDEO ? beside.video : beside.audio, made, is, n, rows),
                            0, half ? 2e-2 : 1e-6);
            }
        }
        tk_kept_close(&kept);
        close_rig(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own__given_rows_know_nothing_else),
        cmocka_unit_test(test_own__kept_rows_are_as_if_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
