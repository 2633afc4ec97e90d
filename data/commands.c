// SPDX-License-Identifier: Apache-2.0
#include "data/commands.h"
#include "core/base/log.h"
#include "data/clip/clip.h"
#include "data/import/import.h"
#include "data/world/file.h"
#include "parallel/mpi/deal.h"
#include <stdio.h>

tk_status tk_data_world(tk_comm *world, tk_invocation *in)
{
    return tk_world_run(world, &in->config);
}

tk_status tk_data_import(tk_comm *world, tk_invocation *in)
{
    return tk_import_run(world, &in->config, in->n_files, in->files);
}

static void print_bytes(double bytes)
{
    static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    for (; bytes >= 1024 && u < 4; u++) bytes /= 1024;
    printf(u ? "%.1f %s" : "%.0f %s", bytes, unit[u]);
}

static void print_codec(const tk_codec *codec)
{
    const tk_codec_info *i = tk_codec_get_info(codec);
    printf("codec     %s and %s; %lld fps, %lld Hz, %s\n", tk_codec_name(codec, TK_CODEC_VIDEO),
           tk_codec_name(codec, TK_CODEC_AUDIO), (long long)i->fps, (long long)i->sample_rate,
           i->channels == 2 ? "stereo" : "mono");
    printf("  video   patches of %lld x %lld x %lld, %lld channels a row, %.1f dB",
           (long long)i->patch_frames, (long long)i->patch_size, (long long)i->patch_size,
           (long long)i->video_channels, i->video_psnr_db);
    if (i->video_blockiness > 0) printf(", blockiness %.2f of the clips' own", i->video_blockiness);
    printf("\n");
    printf("  audio   hop %lld, %lld channels a row, %.1f %s\n", (long long)i->audio_hop,
           (long long)i->audio_channels, i->audio_db, tk_codec_audio_figure(codec));
}

static void print_references(const tk_clips *c)
{
    int64_t clips = 0;
    double bytes = 0;
    if (!c->n_references) return;
    for (int64_t k = 0; k < c->n; k++) clips += c->clip[k].n_citations > 0;
    for (int64_t k = 0; k < c->n_references; k++)
        bytes += (double)(c->reference[k].bytes[0] + c->reference[k].bytes[1]);
    printf("references %lld, cited by %lld clips, ", (long long)c->n_references, (long long)clips);
    print_bytes(bytes);
    printf("\n");
}

static void print_citations(const tk_clips *c, const tk_clip_info *i)
{
    for (int k = 0; k < i->n_citations; k++) {
        const tk_clip_citation *x = &i->citation[k];
        const tk_clip_reference *r = &c->reference[x->reference];
        printf("    <%s>  %s%s%.80s, %lld x %lld x %lld, %lld x %lld\n", x->tag, x->word,
               *x->word ? ": " : "", r->name, (long long)r->latent_frames, (long long)r->high,
               (long long)r->wide, (long long)r->audio_rows,
               (long long)tk_codec_get_info(c->codec)->channels);
    }
}

static void print_features(const tk_clips *c)
{
    const tk_clip_features *f = &c->features;
    int64_t rows = 0, shots = 0;
    double bytes = 0;
    if (!f->n) return;
    for (int64_t k = 0; k < f->n; k++)
        rows += f->feature[k].rows, bytes += (double)f->feature[k].bytes;
    for (int64_t k = 0; k < c->n; k++)
        for (int j = 0; j < c->clip[k].n_shots; j++) shots += c->clip[k].shot[j].feature_rows > 0;
    printf("text features %lld, of %lld shots: %lld rows of %lld channels, %s, ", (long long)f->n,
           (long long)shots, (long long)rows, (long long)f->channels,
           f->half ? "float16" : "float32");
    print_bytes(bytes);
    if (f->empty >= 0)
        printf("; an empty caption has %lld rows\n", (long long)f->feature[f->empty].rows);
    else
        printf("; an empty caption has a row of zeros\n");
}

static void print_shots(const tk_clip_info *i)
{
    for (int j = 0; j < i->n_shots; j++) {
        const tk_clip_shot *s = &i->shot[j];
        printf("    %6.2f s + %.2f s  ", s->start, s->seconds);
        if (s->feature_rows) printf("(%lld rows of text features) ", (long long)s->feature_rows);
        printf("%.120s\n", s->caption);
    }
}

static void print_clips(const tk_clips *c)
{
    enum { EXAMPLES = 4 };
    int64_t shots = 0, most = 0, shown = c->n < EXAMPLES ? c->n : EXAMPLES;
    double seconds = 0, bytes = 0;
    for (int64_t k = 0; k < c->n; k++) {
        const tk_clip_info *i = &c->clip[k];
        shots += i->n_shots;
        most = i->n_shots > most ? i->n_shots : most;
        for (int j = 0; j < i->n_shots; j++) seconds += i->shot[j].seconds;
        bytes += (double)(c->bucket[i->bucket].video_bytes + c->bucket[i->bucket].audio_bytes);
    }
    printf("clips     %lld, %.1f s in all, %lld shots (at most %lld a clip), ", (long long)c->n,
           seconds, (long long)shots, (long long)most);
    print_bytes(bytes);
    printf("\n");
    print_codec(c->codec);
    printf("buckets   frames x height x width: clips, rows of video and of audio\n");
    for (int k = 0; k < c->n_buckets; k++) {
        const tk_bucket *b = &c->bucket[k];
        printf("  %lldx%lldx%lld: %lld, %lld x %lld x %lld, %lld x %lld\n", (long long)b->frames,
               (long long)b->height, (long long)b->width, (long long)b->slots,
               (long long)b->latent_frames, (long long)b->high, (long long)b->wide,
               (long long)b->audio_rows, (long long)b->audio_channels);
    }
    print_references(c);
    print_features(c);
    printf("examples\n");
    for (int64_t k = 0; k < shown; k++) {
        const tk_clip_info *i = &c->clip[k * c->n / shown];
        printf("  %s\n", i->name);
        print_shots(i);
        print_citations(c, i);
    }
}

tk_status tk_data_info(tk_comm *world, tk_invocation *in)
{
    tk_status st = TK_OK;
    for (int i = 0; st == TK_OK && world->rank == 0 && i < in->n_files; i++) {
        tk_clips c;
        st = tk_clips_open(in->files[i], in->config.codec.file, &c);
        if (st != TK_OK) break;
        printf("%s\n", in->files[i]);
        print_clips(&c);
        tk_clips_close(&c);
    }
    return tk_agree(world, st);
}

enum { CLIPS_AT_ONCE = 16 };

typedef struct room { // for one clip of a file
    float *video, *audio;
    char *raw;
} room;

static tk_status make_clip_room(const tk_clips *c, tk_arena *a, room *r)
{
    int64_t video = 0, audio = 0;
    for (int k = 0; k < c->n_buckets; k++) {
        const tk_bucket *b = &c->bucket[k];
        video = b->video_bytes > video ? b->video_bytes : video;
        audio = b->audio_bytes > audio ? b->audio_bytes : audio;
    }
    for (int64_t k = 0; k < c->n_references; k++) {
        const int64_t *bytes = c->reference[k].bytes;
        video = bytes[0] > video ? bytes[0] : video;
        audio = bytes[1] > audio ? bytes[1] : audio;
    }
    for (int64_t k = 0; k < c->features.n; k++) {
        const int64_t bytes = c->features.feature[k].bytes;
        video = bytes > video ? bytes : video;
    }
    TK_ARENA_NEW(r->video, a, video / 2);
    TK_ARENA_NEW(r->audio, a, audio / 2);
    TK_ARENA_NEW(r->raw, a, video + audio);
    return TK_OK;
}

static tk_status check_sample(const tk_clips *c, int64_t k, const room *r)
{
    if (k < c->n) return tk_clips_read(c, k, r->video, r->audio, r->raw);
    k -= c->n;
    if (k < c->n_references) return tk_clips_read_reference(c, k, r->video, r->audio, r->raw);
    return tk_clips_read_feature(c, k - c->n_references, r->video, r->raw);
}

// Reads this rank's share of the clips, as they are dealt out; a damaged one is named and counted.
static tk_status check_share(tk_comm *world, const tk_clips *c, uint64_t *bad)
{
    int64_t first, n = 1;
    tk_deal *deal;
    tk_arena a;
    room r = {0};
    const int64_t all = c->n + c->n_references + c->features.n; // clips, then the others
    TK_TRY(tk_deal_open(world, tk_comm_self(), all, "checking", "clips", all, &deal));
    tk_arena_init(&a, 0);
    tk_status st = make_clip_room(c, &a, &r);
    while (st == TK_OK && n) {
        st = tk_deal_next_few(deal, CLIPS_AT_ONCE, &first, &n);
        for (int64_t k = first; st == TK_OK && k < first + n; k++, tk_deal_step(deal)) {
            if (check_sample(c, k, &r) == TK_OK) continue;
            tk_log_warn("%s", tk_status_message());
            tk_status_clear();
            ++*bad;
        }
    }
    tk_arena_free(&a);
    return tk_deal_close(deal, st);
}

static tk_status check_file(tk_comm *world, const char *path, const char *codec_file)
{
    tk_clips c;
    uint64_t bad = 0;
    TK_TRY(tk_clips_open_shared(world, path, codec_file, &c));
    const int64_t n = c.n, references = c.n_references, features = c.features.n;
    tk_status st = tk_agree(world, check_share(world, &c, &bad));
    tk_clips_close(&c);
    TK_TRY(st);
    TK_TRY(tk_comm_sum_u64(world, &bad, 1));
    if (bad)
        return tk_agree(world,
                        TK_FAIL(TK_INPUT, "%s: %llu of %lld clips%s%s are damaged", path,
                                (unsigned long long)bad, (long long)(n + references + features),
                                references ? " and references" : "",
                                features ? " and text features" : ""));
    if (world->rank) return TK_OK;
    printf("%s: %lld clips", path, (long long)n);
    if (references) printf(" and %lld references", (long long)references);
    if (features) printf(" and %lld text features", (long long)features);
    printf(", all whole\n");
    return TK_OK;
}

tk_status tk_data_check(tk_comm *world, tk_invocation *in)
{
    for (int i = 0; i < in->n_files; i++)
        TK_TRY(check_file(world, in->files[i], in->config.codec.file));
    return TK_OK;
}
