// SPDX-License-Identifier: Apache-2.0
// Films with damage inside: where it begins and ends is the same each time, and on any number of
// threads.
/*TEST timeout: 120 */
#include "data/media/track.h"
#include "tests/data/media/media_files.h"
#include <omp.h>

// Ten pictures a second, 20 from one key frame to the next.
#define FILM \
    "-threads 1 -f lavfi -i testsrc2=s=160x120:r=10:d=8,noise=c0s=9:allf=t -threads 1 -g 20 "
#define X264 "-c:v libx264 -pix_fmt yuv420p -keyint_min 20 -sc_threshold 0 "

// The k-th slice of a packet of H.264 in MP4, each behind four bytes of its length; 0: the packet.
static unsigned char *slice_of(unsigned char *packet, int k, double *size)
{
    if (k == 0) return packet;
    for (;; packet += 4 + (int)*size) {
        *size = packet[2] * 256 + packet[3];
        if (--k == 0) return packet + 4;
    }
}

// The film with the n-th packet of its pictures hurt: `from` to `to` of that slice's bytes are
// noise.
static const char *hurt(const char *name, const char *film, int n, int slice, double from,
                        double to)
{
    tk_track t;
    size_t bytes;
    uint32_t x = 1;
    unsigned char *all = media_get(film, &bytes);
    assert_ok(tk_track_open(film, AVMEDIA_TYPE_VIDEO, 0, &t));
    for (int i = 0; i <= n; i++) {
        av_packet_unref(t.packet);
        assert_true(av_read_frame(t.format, t.packet) >= 0);
    }
    double size = t.packet->size;
    unsigned char *at = slice_of(all + t.packet->pos, slice, &size);
    for (int i = (int)(from * size); i < (int)(to * size); i++)
        at[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    tk_track_close(&t);
    const char *path = media_put(name, all, bytes);
    free(all);
    return path;
}

// Where damage is on that many threads: one stretch at the most.
static tk_stretch damage_of(const char *path, int threads)
{
    tk_track t;
    bool end = false;
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    assert_ok(tk_track_open(path, AVMEDIA_TYPE_VIDEO, 0, &t));
    omp_set_num_threads(before);
    while (!end) assert_ok(tk_track_next(&t, &end));
    assert_true(t.damage.n <= 1);
    const tk_stretch s = t.damage.n ? *t.damage.stretch : (tk_stretch){0};
    tk_track_close(&t);
    return s;
}

// Twenty times on each number of threads.
static void damaged(const char *path, double from, double to)
{
    const int threads[] = {1, 2, 4};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 20; k++) {
            const tk_stretch s = damage_of(path, threads[i]);
            if (!(fabs(s.from - from) < 0.002 && fabs(s.to - to) < 0.002))
                fail_msg("%s on %d threads, time %d: damage from %g to %g, not from %g to %g", path,
                         threads[i], k + 1, s.from, s.to, from, to);
        }
}

// What a decoder conceals it notes in the picture, which others at work beside it may have handed
// out before.
static void what_is_concealed_is_always_seen(void **state)
{
    (void)state;
    const char *film = media_make("whole.mp4", FILM X264 "-bf 2");
    damaged(hurt("p.mp4", film, 26, 0, 0.33, 0.67), 2.8, 4);
    film = media_make("slices.mp4", FILM X264 "-bf 2 -slices 4");
    damaged(hurt("slice.mp4", film, 26, 3, 0, 0.01), 2.8, 4);
    film = media_make("mpeg4.mp4", FILM "-c:v mpeg4 -bf 2"); // key frames at 2.1 and 3.9
    damaged(hurt("hurt-mpeg4.mp4", film, 28, 0, 0.4, 0.5), 3, 3.9);
}

// The next key frame ends it, also one that the decoder was given before the damage was seen.
static void next_key_ends_it(void **state)
{
    (void)state;
    const char *film = media_make("late.mp4", FILM X264 "-bf 2");
    damaged(hurt("late-p.mp4", film, 38, 0, 0.33, 0.67), 3.9, 4);
    film = media_make("vp9.mp4", FILM "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 "
                                      "-keyint_min 20 -pix_fmt yuv420p");
    damaged(hurt("last.mp4", film, 38, 0, 0, 0.2), 3.8, 4);
    damaged(hurt("key.mp4", film, 40, 0, 0, 0.2), 4, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_concealed_is_always_seen),
        cmocka_unit_test(next_key_ends_it),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
