// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 30 */
// A film's shots as EDL and as subtitles, of prompts as people write them and of hostile ones.
#include "infer/cut/lists.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/talkie-lists-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    char path[96];
    snprintf(path, sizeof path, "%s/list", folder);
    unlink(path);
    return rmdir(folder);
}

// What `write` makes of a cut of n shots with these prompts, each `frames` long, until the next
// call.
typedef tk_status (*writer_of)(const tk_file *f, const tk_cut *c);
static const char *name;

static tk_status edl(const tk_file *f, const tk_cut *c)
{
    return tk_cut_write_edl(f, c, name);
}

static const char *listed(writer_of write, int n, const char *const *prompt, int64_t frames,
                          int64_t fps)
{
    static char text[1 << 20];
    char path[96];
    tk_file f;
    tk_cut_shot *shot = calloc((size_t)n, sizeof *shot);
    assert_non_null(shot);
    for (int i = 0; i < n; i++)
        shot[i] = (tk_cut_shot){
            .from = i * frames, .frames = frames, .at = i * frames, .prompt = prompt[i]};
    const tk_cut cut = {.n = n, .shot = shot, .frames = n * frames, .fps = fps, .channels = 1};
    snprintf(path, sizeof path, "%s/list", folder);
    assert_ok(tk_file_begin(&f, path));
    assert_ok(write(&f, &cut));
    assert_ok(tk_file_commit(&f));
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    free(shot);
    return text;
}

static void shots_are_events(void **state)
{
    (void)state;
    const char *const prompt[] = {"wide: a ball", "close:\nit \x1b lies"};
    name = "my-ball of 2026";
    assert_string_equal(
        listed(edl, 2, prompt, 30, 24),
        "TITLE: my-ball of 2026\n"
        "FCM: NON-DROP FRAME\n\n"
        "001  MY_BALL_ B     C        00:00:00:00 00:00:01:06 00:00:00:00 00:00:01:06\n"
        "* FROM CLIP NAME: my-ball of 2026.mp4\n"
        "* COMMENT: SHOT 0: wide: a ball\n"
        "002  MY_BALL_ B     C        00:00:01:06 00:00:02:12 00:00:01:06 00:00:02:12\n"
        "* FROM CLIP NAME: my-ball of 2026.mp4\n"
        "* COMMENT: SHOT 1: close: it   lies\n");
    const char *long_ones[1200];
    for (int i = 0; i < 1200; i++) long_ones[i] = "x";
    const char *text = listed(edl, 1200, long_ones, 24 * 10, 24); // three hours and more
    assert_non_null(strstr(text, "\n1200  MY_BALL_ B     C        03:19:50:00 03:20:00:00"));
}

static void what_is_said_has_its_shots_time(void **state)
{
    (void)state;
    const char *const prompt[] = {"Ada says \"hello\"", "nobody says anything",
                                  "Bo says \xe2\x80\x9cthree\xe2\x80\x9d, Ada says \"seven\"",
                                  "a sign, a 12\" pipe"};
    assert_string_equal(listed(tk_cut_write_srt, 4, prompt, 36, 24),
                        "1\n00:00:00,000 --> 00:00:01,500\nhello\n\n"
                        "2\n00:00:03,000 --> 00:00:03,750\nthree\n\n"
                        "3\n00:00:03,750 --> 00:00:04,500\nseven\n\n");
    const char *const far[] = {"\"a\""};
    assert_non_null(
        strstr(listed(tk_cut_write_srt, 1, far, 100 * 3723, 100), "--> 01:02:03,000\n"));
    assert_string_equal(listed(tk_cut_write_srt, 1, (const char *const[]){"silence"}, 36, 24), "");
}

static void lines_are_broken_between_words(void **state)
{
    (void)state;
    const char *const prompt[] = {
        "\"one two three four five six seven eight nine ten eleven twelve\"",
        "\"  \xc3\xa4 \r\n\r\n7\n00:00:00,000 --> 09:00:00,000\n no cue of its own \" \"\" \"\n\""};
    const char *text = listed(tk_cut_write_srt, 2, prompt, 24, 24);
    assert_non_null(
        strstr(text, "\none two three four five six seven eight\nnine ten eleven twelve\n\n"));
    int cues = 0;
    for (const char *at = text; (at = strstr(at, "\n00:00:")); at++) cues++;
    assert_int_equal(cues, 2); // what is empty is not said
    for (const char *at = text; (at = strstr(at, "\n\n")); at += 2)
        if (at[2]) assert_int_equal(at[2], '2');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shots_are_events),
        cmocka_unit_test(what_is_said_has_its_shots_time),
        cmocka_unit_test(lines_are_broken_between_words),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
