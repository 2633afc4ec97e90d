// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// The mark, in memory: what it says survives noise, pictures and sound that were changed still bear
// it, others do not, and it is the same whatever pieces are asked for.
#include "core/numbers/rng.h"
#include "infer/mark/listen.h"
#include "infer/mark/look.h"
#include "infer/mark/marked.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDE = 256, HIGH = 144, PICTURES = 40, RATE = 16000 };
static const tk_mark_key ours = {3, 4}, theirs = {5, 6}, nobodys = {7, 8};
static const tk_mark_message says = {0x0123456789abcdef, false}, little = {0xbeef, true};

static double noise(uint64_t stream, uint64_t i)
{
    return tk_rng_normal(tk_rng_key(stream, TK_RNG_TEST, 0), i);
}

static void words_come_back_through_noise(void **state)
{
    (void)state;
    const tk_mark_message all[] = {says, little, {0, false}, {0xffff, true}};
    for (int k = 0; k < 4; k++) {
        int8_t sign[TK_MARK_SIGNS];
        float soft[TK_MARK_SIGNS];
        tk_mark_message m = {0};
        tk_mark_encode(all[k], sign);
        // 1.2 deviations a sign are 3.4 dB a bit: enough for what the code promises.
        for (int i = 0; i < TK_MARK_SIGNS; i++)
            soft[i] = 1.2f * sign[i] + (float)noise((uint64_t)k, (uint64_t)i);
        assert_true(tk_mark_decode(soft, &m));
        assert_true(m.payload == all[k].payload && m.small == all[k].small);
        for (int i = 0; i < TK_MARK_SIGNS; i++) soft[i] = (float)noise(9, (uint64_t)i);
        assert_false(tk_mark_decode(soft, &m));
    }
}

// ---- pictures ----------------------------------------------------------------------------------

// Slopes, an edge that moves and grain that stays, of deviation `grains`.
static void draw(int64_t frame, double grains, uint8_t *luma)
{
    for (int y = 0; y < HIGH; y++)
        for (int x = 0; x < WIDE; x++) {
            const double grain = grains * noise(7, (uint64_t)(y * WIDE + x));
            const double v = 60 + 0.3 * x + 0.2 * y + (x > 40 + 2 * frame ? 40 : 0) + grain;
            luma[y * WIDE + x] = (uint8_t)lrint(fmin(fmax(v, 16), 235));
        }
}

// The picture that shows [x0, x0 + w) x [y0, y0 + h) at the size that is looked at, lightened.
static void show(const uint8_t *luma, double x0, double y0, double w, double h, double light,
                 int64_t wide, int64_t high, uint8_t *rgb)
{
    for (int64_t y = 0; y < high; y++)
        for (int64_t x = 0; x < wide; x++) {
            const double sx =
                fmin(fmax(x0 + ((double)x + 0.5) * w / (double)wide - 0.5, 0), WIDE - 2);
            const double sy =
                fmin(fmax(y0 + ((double)y + 0.5) * h / (double)high - 0.5, 0), HIGH - 2);
            const uint8_t *p = luma + (int)sy * WIDE + (int)sx;
            const double px = sx - floor(sx), py = sy - floor(sy);
            const double up = p[0] + px * (p[1] - p[0]);
            const double down = p[WIDE] + px * (p[WIDE + 1] - p[WIDE]);
            memset(rgb + 3 * (y * wide + x), (int)fmin(light * (up + py * (down - up)), 255), 3);
        }
}

// What a frugal encoder makes of it: of still pictures it writes one block of 8 x 8 in 100 anew and
// leaves the others as they were.
static void skip_blocks(int64_t frame, const uint8_t *luma, uint8_t *shown)
{
    const tk_key chance = tk_rng_key(11, TK_RNG_TEST, (uint64_t)frame);
    for (int y = 0; y < HIGH; y++)
        for (int x = 0; x < WIDE; x++) {
            const uint64_t block = (uint64_t)(y / 8 * WIDE + x / 8);
            if (frame == 0 || tk_rng_uniform(chance, block) < 0.01)
                shown[y * WIDE + x] = luma[y * WIDE + x];
        }
}

typedef struct window { // of the pictures that is left
    double x, y, w, h, light;
    bool frugal;   // blocks are skipped
    bool mirrored; // left and right change places,
    int turned;    // and then it is turned clockwise by so many degrees
    bool blind;    // another key and the same one are asked first
} window;

// Of what is shown (high, wide, 3), as it is handed over: left and right have changed places, then
// it is turned by 90 degrees as often as asked.
static void turn(const uint8_t *rgb, int64_t wide, int64_t high, const window *w, uint8_t *out)
{
    for (int64_t y = 0; y < high; y++)
        for (int64_t x = 0; x < wide; x++) {
            int64_t to_x = w->mirrored ? wide - 1 - x : x, to_y = y, is_wide = wide, is_high = high;
            for (int i = 0; i < w->turned; i += 90) {
                const int64_t was_x = to_x, was_wide = is_wide;
                to_x = is_high - 1 - to_y;
                to_y = was_x;
                is_wide = is_high;
                is_high = was_wide;
            }
            memcpy(out + 3 * (to_y * is_wide + to_x), rgb + 3 * (y * wide + x), 3);
        }
}

// What `by` finds in pictures that were marked, or not, and changed.
static tk_mark_found look_in(const tk_mark_message *message, tk_mark_key by, window w)
{
    static uint8_t luma[HIGH * WIDE], skipped[HIGH * WIDE], rgb[4 * HIGH * HIGH * 3],
        handed[4 * HIGH * HIGH * 3];
    const bool lies = w.turned % 180;
    tk_mark_picture picture;
    tk_mark_look *look;
    int64_t wide, high;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_mark_look_size((int64_t)w.w, (int64_t)w.h, &wide, &high);
    assert_ok(tk_mark_look_open(&a, by, lies ? high : wide, lies ? wide : high, &look));
    if (message)
        assert_ok(
            tk_mark_picture_open(&picture, &a, ours, *message, WIDE, HIGH, TK_MARK_LOOK_FPS, 1));
    for (int64_t i = 0; i < (w.mirrored || w.turned ? PICTURES / 2 : PICTURES); i++) {
        draw(w.frugal ? 0 : i, w.frugal ? 20 : 3, luma);
        if (message) tk_mark_picture_put(&picture, luma, WIDE, i);
        skip_blocks(i, luma, skipped);
        show(w.frugal ? skipped : luma, w.x, w.y, w.w, w.h, w.light, wide, high, rgb);
        turn(rgb, wide, high, &w, handed);
        tk_mark_look_at(look, handed);
    }
    const tk_mark_found other = w.blind ? tk_mark_look_under(look, nobodys) : (tk_mark_found){0},
                        again = w.blind ? tk_mark_look_under(look, by) : other,
                        f = tk_mark_look_end(look);
    if (w.blind) {
        assert_true(other.looked && !tk_mark_is_present(&other));
        assert_true(again.z == f.z && again.log10p == f.log10p);
    }
    tk_arena_free(&a);
    return f;
}

static void pictures_bear_it(void **state)
{
    (void)state;
    const window all[] = {{.w = WIDE, .h = HIGH, .light = 1, .blind = true},
                          {.x = 60, .y = 30, .w = 0.6 * WIDE, .h = 0.6 * HIGH, .light = 1.3},
                          {.x = -40, .y = -20, .w = 1.3 * WIDE, .h = 1.3 * HIGH, .light = 0.7}};
    for (int i = 0; i < 3; i++) {
        const tk_mark_found f = look_in(i ? &little : &says, ours, all[i]);
        const tk_mark_message *m = i ? &little : &says;
        assert_true(tk_mark_is_present(&f));
        assert_true(f.said && f.message.payload == m->payload && f.message.small == m->small);
        assert_near(f.scale, WIDE / all[i].w, 0.03);
        assert_true(!f.mirrored && f.turned == 0);
    }
}

// Whichever way they lie, they are found so and say what they say; bare ones are not.
static void turned_pictures_bear_it(void **state)
{
    (void)state;
    for (int i = 1; i < 8; i++) {
        const window w = {
            .w = WIDE, .h = HIGH, .light = 1, .mirrored = i / 4, .turned = i % 4 * 90};
        const tk_mark_found f = look_in(&says, ours, w);
        assert_true(tk_mark_is_present(&f));
        assert_true(f.mirrored == w.mirrored && f.turned == w.turned);
        assert_true(f.said && f.message.payload == says.payload);
    }
    const tk_mark_found bare = look_in(
        NULL, ours, (window){.w = WIDE, .h = HIGH, .light = 1, .mirrored = true, .turned = 90});
    assert_false(tk_mark_is_present(&bare));
}

// Blocks that were skipped show the mark of another time: looked at as they are, they drown it.
static void skipped_blocks_do_not_hide_it(void **state)
{
    (void)state;
    const window frugal = {.w = WIDE, .h = HIGH, .light = 1, .frugal = true};
    const tk_mark_found f = look_in(&says, ours, frugal), bare = look_in(NULL, ours, frugal);
    assert_true(tk_mark_is_present(&f));
    assert_true(f.said && f.message.payload == says.payload);
    assert_false(tk_mark_is_present(&bare));
}

static void others_do_not(void **state)
{
    (void)state;
    const window whole = {.w = WIDE, .h = HIGH, .light = 1};
    const tk_mark_found bare = look_in(NULL, ours, whole), other = look_in(&says, theirs, whole);
    assert_true(bare.looked && other.looked);
    assert_false(tk_mark_is_present(&bare));
    assert_false(tk_mark_is_present(&other));
}

static void pictures_are_changed_by_little(void **state)
{
    (void)state;
    static uint8_t bare[HIGH * WIDE], luma[HIGH * WIDE], again[HIGH * WIDE];
    tk_mark_picture m;
    tk_arena a;
    double square = 0;
    tk_arena_init(&a, 0);
    assert_ok(tk_mark_picture_open(&m, &a, ours, says, WIDE, HIGH, 24, 1));
    for (int64_t i = 20; i >= 0; i -= 20) { // in any order
        draw(i, 3, bare);
        memcpy(luma, bare, sizeof luma);
        tk_mark_picture_put(&m, luma, WIDE, i);
        for (int k = 0; k < HIGH * WIDE; k++) {
            assert_in_range(luma[k], 16, 235);
            square += (luma[k] - bare[k]) * (luma[k] - bare[k]);
        }
        if (i == 20) memcpy(again, luma, sizeof luma);
    }
    // Video range: 219 steps are the 255 of the picture that is shown.
    const double psnr = 10 * log10(219. * 219 * 2 * HIGH * WIDE / square);
    assert_true(psnr >= 42 && psnr < 43.5);
    tk_mark_picture_put(&m, bare, WIDE, 0);
    draw(20, 3, bare);
    tk_mark_picture_put(&m, bare, WIDE, 20);
    assert_memory_equal(bare, again, sizeof again);
    tk_arena_free(&a);
}

// ---- sound -------------------------------------------------------------------------------------

// Noise under a tone that comes and goes.
static float *sing(int64_t n, int64_t channels)
{
    float *x = malloc((size_t)(n * channels) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n * channels; i++) {
        const double t = (double)(i / channels) / RATE;
        x[i] = (float)(0.05 * noise(8, (uint64_t)i) + 0.2 * sin(t * 5) * sin(2 * M_PI * 700 * t));
    }
    return x;
}

static tk_mark_found listen_to(const float *x, int64_t n, tk_mark_key by)
{
    tk_mark_listen *l;
    tk_arena a;
    tk_arena_init(&a, 0);
    assert_ok(tk_mark_listen_open(&a, by, &l));
    for (int64_t i = 0; i + TK_MARK_LISTEN_HOP <= n; i += TK_MARK_LISTEN_HOP)
        tk_mark_listen_to(l, x + i);
    const tk_mark_found other = tk_mark_listen_under(l, nobodys),
                        again = tk_mark_listen_under(l, by), f = tk_mark_listen_end(l);
    assert_true(other.looked && !tk_mark_is_present(&other));
    assert_true(again.z == f.z && again.log10p == f.log10p);
    tk_arena_free(&a);
    return f;
}

static void mark_all(tk_media_source *of, int64_t piece, float *out)
{
    tk_mark_sound m;
    tk_arena a;
    tk_arena_init(&a, 0);
    assert_ok(tk_mark_sound_open(&m, &a, ours, says, 1, of));
    for (int64_t i = 0; i < of->shape.samples; i += piece) {
        const int64_t left = of->shape.samples - i;
        assert_ok(
            tk_mark_sound_get(&m, i, left < piece ? left : piece, out + i * of->shape.channels));
    }
    tk_arena_free(&a);
}

static void sound_bears_it(void **state)
{
    (void)state;
    const int seconds[] = {3, 30};
    for (int k = 0; k < 2; k++) {
        const int64_t n = (int64_t)seconds[k] * RATE;
        const tk_media m = {.samples = n, .channels = 1, .sample_rate = RATE, .pcm = sing(n, 1)};
        tk_media_whole whole = tk_media_whole_of(&m);
        float *x = malloc((size_t)n * sizeof *x);
        mark_all(&whole.source, RATE, x);
        tk_mark_found f = listen_to(x + 333, n - 333, ours);
        assert_true(tk_mark_is_present(&f));
        if (k) assert_true(f.said && f.message.payload == says.payload);
        f = listen_to(x, n, theirs);
        assert_false(tk_mark_is_present(&f));
        f = listen_to(m.pcm, n, ours);
        assert_false(tk_mark_is_present(&f));
        free(x);
        free(m.pcm);
    }
}

static void pieces_do_not_matter(void **state)
{
    (void)state;
    enum { N = 9999 };
    const tk_media m = {.samples = N, .channels = 2, .sample_rate = RATE, .pcm = sing(N, 2)};
    tk_media_whole whole = tk_media_whole_of(&m);
    static float a[2 * N], b[2 * N], c[2 * 700];
    mark_all(&whole.source, N, a);
    mark_all(&whole.source, 77, b);
    assert_memory_equal(a, b, sizeof a);
    tk_mark_sound s;
    tk_arena arena;
    tk_arena_init(&arena, 0);
    assert_ok(tk_mark_sound_open(&s, &arena, ours, says, 1, &whole.source));
    for (int64_t from = 8000; from >= 0; from -= 4000) { // backwards
        assert_ok(tk_mark_sound_get(&s, from, 700, c));
        assert_memory_equal(c, a + 2 * from, sizeof c);
    }
    tk_arena_free(&arena);
    double off = 0, all = 0;
    for (int i = 0; i < 2 * N; i++) {
        off += (double)((a[i] - m.pcm[i]) * (a[i] - m.pcm[i]));
        all += (double)(m.pcm[i] * m.pcm[i]);
    }
    assert_true(off > 1e-4 * all && off < 0.2 * all); // 3.5 dB of part of it
    free(m.pcm);
}

// ---- keys --------------------------------------------------------------------------------------

static void put_key(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void keys_are_looked_at(void **state)
{
    (void)state;
    static const char good[] = "0123456789abcdef", other[] = "0123456789abcdeF";
    static char large[4097];
    char path[] = "/tmp/talkie-key-XXXXXX";
    tk_mark_key a, b;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    put_key(path, good, 16);
    assert_ok(tk_mark_key_read(path, &a));
    assert_ok(tk_mark_key_read(path, &b));
    assert_true(a.picture == b.picture && a.sound == b.sound);
    put_key(path, other, 16);
    assert_ok(tk_mark_key_read(path, &b));
    assert_true(a.picture != b.picture && a.sound != b.sound);
    const size_t sizes[] = {0, 15, 4097};
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 4097; k++) large[k] = (char)k;
        put_key(path, large, sizes[i]);
        assert_status(tk_mark_key_read(path, &a), TK_INPUT);
        assert_says("is no key for marks");
    }
    put_key(path, "aaaaaaaaaaaaaaaabbbb", 20);
    assert_status(tk_mark_key_read(path, &a), TK_INPUT);
    assert_says("nearly all the same");
    unlink(path);
    assert_status(tk_mark_key_read(path, &a), TK_INPUT);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_status(tk_mark_key_read(path, &a), TK_INPUT);
    unlink(path);
    assert_status(tk_mark_key_read("/tmp", &a), TK_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_back_through_noise),
        cmocka_unit_test(pictures_bear_it),
        cmocka_unit_test(turned_pictures_bear_it),
        cmocka_unit_test(skipped_blocks_do_not_hide_it),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(pictures_are_changed_by_little),
        cmocka_unit_test(sound_bears_it),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(keys_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
