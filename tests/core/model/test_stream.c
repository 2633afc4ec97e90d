// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 20 */
// Positions: documents laid out by our code stand where the released model's own pipeline puts them
// (released_positions.txt, by scripts/make_positions.py): keyframes, stereo, latent frames of 1, 4,
// 4, 4, 4 pixel frames, memory at earlier times, references of other sizes.
#include "core/model/stream.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 512, SHOTS = 4 };
static const char numbers[] = "tests/core/model/released_positions.txt";

// The released family: 24 frames and 40 sound latents a second, stereo.
typedef struct layout {
    int64_t text, height, width;
    int n_shots;
    tk_shot_rows shot[SHOTS];
} layout;

// Seconds that pixel frames, or sound latents, last.
#define FRAMES(n) ((n) / 24.0)
#define LATENTS(n) ((n) / 40.0)
#define PICTURE(n) .latent_frames = (n)
#define SOUND(n) .audio_rows = (n)
#define OF(h, w) .height = (h), .width = (w)

// In the order of scripts/make_positions.py. A last keyframe lies one pixel frame before the end;
// targets begin where references end: an image lasts one unit, a film as long as the longer of its
// picture and its sound.
static const layout layouts[] = {
    {3, 2, 2, 1, {{PICTURE(1), SOUND(2), .target = true}}},
    {5, 2, 3, 1, {{PICTURE(6), SOUND(9), .target = true}}},
    {1, 3, 1, 1, {{PICTURE(5), SOUND(4), .target = true}}},
    {7, 1, 2, 1, {{PICTURE(11), SOUND(12), .target = true}}},
    {4, 2, 2, 2, {{PICTURE(1)}, {PICTURE(7), SOUND(10), .target = true}}},
    {4,
     2,
     2,
     3,
     {{PICTURE(1)},
      {PICTURE(1), .start = FRAMES(17 + 1 + 4 - 1)},
      {PICTURE(7), SOUND(10), .target = true}}},
    {2,
     1,
     1,
     2,
     {{PICTURE(1), .start = FRAMES(3 * 17 + 1 - 1)}, {PICTURE(16), SOUND(20), .target = true}}},
    {6, 2, 2, 2, {{PICTURE(1)}, {PICTURE(2), SOUND(3), .start = LATENTS(1), .target = true}}},
    {6,
     2,
     2,
     3,
     {{PICTURE(1), OF(3, 2)},
      {PICTURE(1), OF(1, 2), .start = LATENTS(1)},
      {PICTURE(2), SOUND(3), .start = LATENTS(2), .target = true}}},
    {3, 2, 3, 2, {{SOUND(5)}, {PICTURE(3), SOUND(4), .start = LATENTS(5), .target = true}}},
    {3,
     2,
     2,
     2,
     {{PICTURE(6), SOUND(20), OF(1, 2)},
      {PICTURE(2), SOUND(3), .start = FRAMES(18), .target = true}}},
    {8,
     2,
     3,
     4,
     {{PICTURE(7), OF(2, 1)},
      {SOUND(2), .start = FRAMES(22)},
      {PICTURE(1), OF(2, 2), .start = FRAMES(22) + LATENTS(2)},
      {PICTURE(5), SOUND(8), .start = FRAMES(22) + LATENTS(3), .target = true}}},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

typedef struct row {
    int document, modality;
    double at[3];
} row;

static int by_place(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->modality != y->modality) return x->modality - y->modality;
    for (int i = 0; i < 3; i++) // sums in another order differ in their last bits
        if (fabs(x->at[i] - y->at[i]) > 1e-9) return x->at[i] < y->at[i] ? -1 : 1;
    return 0;
}

static tk_document document_of(const layout *l)
{
    return (tk_document){.text_rows = l->text,
                         .n_shots = l->n_shots,
                         .shots = l->shot,
                         .height = l->height,
                         .width = l->width,
                         .fps = 24,
                         .cadence = {1, 4, 4, 4, 4},
                         .audio_units = 1,
                         .audio_channels = 2,
                         .t_clean = 0.999};
}

static int lay_out(const layout *l, int number, row out[ROWS])
{
    tk_arena a;
    tk_stream s;
    const tk_document d = document_of(l);
    tk_arena_init(&a, 0);
    assert_ok(tk_stream_init(&s, &a, ROWS, 1, 3));
    assert_ok(tk_stream_append(&s, &d));
    for (int64_t i = 0; i < s.rows; i++)
        out[i] =
            (row){number, s.modality[i], {s.position[i][0], s.position[i][1], s.position[i][2]}};
    const int n = (int)s.rows;
    tk_arena_free(&a);
    return n;
}

static void positions_are_the_released_models(void **state)
{
    static row got[ROWS], want[ROWS];
    row next;
    FILE *f = fopen(numbers, "r");
    (void)state;
    assert_non_null(f);
    bool more = fscanf(f, "%d %d %lf %lf %lf", &next.document, &next.modality, &next.at[0],
                       &next.at[1], &next.at[2]) == 5;
    for (int k = 0; k < LAYOUTS; k++) {
        int n = 0;
        for (; more && next.document == k; n++) {
            assert_true(n < ROWS);
            want[n] = next;
            more = fscanf(f, "%d %d %lf %lf %lf", &next.document, &next.modality, &next.at[0],
                          &next.at[1], &next.at[2]) == 5;
        }
        assert_int_equal(lay_out(&layouts[k], k, got), n);
        qsort(got, (size_t)n, sizeof *got, by_place);
        qsort(want, (size_t)n, sizeof *want, by_place);
        for (int i = 0; i < n; i++)
            if (by_place(&got[i], &want[i]))
                fail_msg("document %d: modality %d at (%.12g, %.12g, %.12g), wanted %d at (%.12g, "
                         "%.12g, %.12g)",
                         k, got[i].modality, got[i].at[0], got[i].at[1], got[i].at[2],
                         want[i].modality, want[i].at[0], want[i].at[1], want[i].at[2]);
    }
    assert_false(more);
    fclose(f);
}

// talkie's own convention: memory of earlier shots lies before the media time of the targets, on
// the same clock, and a latent frame lies where its first pixel frame does.
static void memory_lies_at_earlier_times(void **state)
{
    static row got[ROWS];
    const layout l = {2, 1, 1, 2, {{PICTURE(2), .start = -FRAMES(24)}, {PICTURE(1), SOUND(1)}}};
    (void)state;
    assert_int_equal(lay_out(&l, 0, got), 2 + 2 + 2 + 1);
    assert_true(got[2].at[0] == 2 - 40.0);
    assert_true(fabs(got[3].at[0] - (2 - 40.0 + 40 / 24.0)) < 1e-12);
    assert_true(got[6].at[0] == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_the_released_models),
        cmocka_unit_test(memory_lies_at_earlier_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
