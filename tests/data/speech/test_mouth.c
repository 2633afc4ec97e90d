// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Mouths of spoken lines: closed where lips close and in silence, open in vowels, round where
// vowels are, and never in a jerk.
#include "data/speech/mouth.h"
#include "tests/support/test.h"
#include <math.h>

typedef struct spoken_lines {
    tk_speech *speech;
    tk_arena arena;
    tk_line line[3];
} spoken_lines;

static int speak_lines(void **state)
{
    spoken_lines *s = calloc(1, sizeof *s);
    tk_arena_init(&s->arena, 0);
    assert_ok(tk_speech_open(16000, &s->speech));
    assert_ok(tk_speak(s->speech, 6, "purple table somebody", &s->arena, &s->line[0]));
    assert_ok(tk_speak(s->speech, 7, "water music blue yellow", &s->arena, &s->line[1]));
    assert_ok(tk_speak(s->speech, 6, "goodbye tonight captain stop", &s->arena, &s->line[2]));
    *state = s;
    return 0;
}

static int forget_lines(void **state)
{
    spoken_lines *s = *state;
    tk_speech_close(s->speech);
    tk_arena_free(&s->arena);
    free(s);
    return 0;
}

static bool one_of(const tk_phone *p, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(p->name, *names) == 0) return true;
    return false;
}

static void shapes_are_those_of_phones(void **state)
{
    const spoken_lines *s = *state;
    static const char *const shut[] = {"m", "b", "p", NULL}, *const open[] = {"ey", "ae", "aa",
                                                                              "eh", "ay", "ao",
                                                                              "ah", NULL},
                             *const round[] = {"uw", "w", NULL}, *const wide[] = {"iy", NULL};
    int seen[4] = {0};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < s->line[k].phones; i++) {
            const tk_phone *p = &s->line[k].phone[i];
            const tk_mouth m = tk_mouth_at(&s->line[k], (p->begin + p->end) / 2);
            if (one_of(p, shut)) {
                assert_near(m.opening, 0, 0);
                seen[0]++;
            }
            if (one_of(p, open)) {
                assert_true(m.opening > 0.35F);
                seen[1]++;
            }
            if (one_of(p, round)) {
                assert_true(m.width < 0.15F);
                seen[2]++;
            }
            if (one_of(p, wide)) {
                assert_true(m.width > 0.85F);
                seen[3]++;
            }
        }
    for (int k = 0; k < 4; k++) assert_true(seen[k] >= 1);
}

static void silence_is_closed(void **state)
{
    const spoken_lines *s = *state;
    for (int k = 0; k < 3; k++) {
        const tk_line *l = &s->line[k];
        assert_near(tk_mouth_at(l, -TK_MOUTH_REST).opening, 0, 0);
        assert_near(tk_mouth_at(l, -100).opening, 0, 0);
        for (int w = 0; w < l->words; w++) {
            assert_near(tk_mouth_at(l, l->word[w].end + TK_MOUTH_REST + 1e-6).opening, 0, 0);
            assert_near(tk_mouth_at(l, l->word[w].end + 0.08).opening, 0, 0);
        }
        assert_near(tk_mouth_at(l, 1e9).opening, 0, 0);
    }
}

static void nothing_jumps(void **state)
{
    const spoken_lines *s = *state;
    for (int k = 0; k < 3; k++) {
        const tk_line *l = &s->line[k];
        tk_mouth last = tk_mouth_at(l, -0.2);
        const double end = l->word[l->words - 1].end + 0.2;
        float most = 0, widest = 0;
        for (double t = -0.2; t < end; t += 0.0005) {
            const tk_mouth m = tk_mouth_at(l, t);
            const float got[] = {m.opening, m.width, m.teeth, m.tongue},
                        had[] = {last.opening, last.width, last.teeth, last.tongue};
            for (int i = 0; i < 4; i++) {
                assert_true(got[i] >= 0 && got[i] <= 1);
                most = (float)test_larger(most, fabsf(got[i] - had[i]));
            }
            widest = fmaxf(widest, m.opening);
            last = m;
        }
        assert_true(most < 0.06F); // in half a millisecond
        assert_true(widest > 0.5F);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes_are_those_of_phones),
                                       cmocka_unit_test(silence_is_closed),
                                       cmocka_unit_test(nothing_jumps)};
    return cmocka_run_group_tests(tests, speak_lines, forget_lines);
}
