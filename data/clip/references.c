// SPDX-License-Identifier: Apache-2.0
// References of clip files: rows that belong to the file, and the clips' citations of them.
#include "data/clip/internal.h"
#include <string.h>

enum { VIDEO, AUDIO };
static const char *const modality[] = {"video", "audio"};

// ---- checks ------------------------------------------------------------------------------------

tk_status tk_reference_check(tk_clip_reference *r, const tk_codec_info *i, const char *path)
{
    const int64_t large = 1 << 20;
    const bool pictures = r->latent_frames > 0;
    const bool sane = r->latent_frames >= 0 && r->latent_frames <= large && r->high >= 0 &&
                      r->high <= large && r->wide >= 0 && r->wide <= large && r->audio_rows >= 0 &&
                      r->audio_rows <= large && pictures == (r->high > 0) &&
                      pictures == (r->wide > 0) && (pictures || r->audio_rows > 0);
    int64_t rows = 0;
    if (!sane || tk_mul_size(r->latent_frames * r->high, r->wide, &rows) != TK_OK || rows > large)
        return TK_FAIL(TK_INPUT,
                       "%s: reference \"%s\" of (%lld, %lld, %lld) rows of video and %lld of audio "
                       "is not possible",
                       path, r->name, (long long)r->latent_frames, (long long)r->high,
                       (long long)r->wide, (long long)r->audio_rows);
    r->bytes[VIDEO] = 2 * rows * i->video_channels;
    r->bytes[AUDIO] = 2 * r->audio_rows * i->channels * i->audio_channels;
    return TK_OK;
}

bool tk_citation_is_named(const tk_clip_citation *c)
{
    return *c->tag && strlen(c->tag) <= TK_CLIP_TAG && !strpbrk(c->tag, "<>\n") &&
           strlen(c->word) <= TK_CLIP_TAG;
}

tk_status tk_citations_check(const tk_clip_info *c, int64_t n_references, const char *path)
{
    if (c->n_citations < 0 || c->n_citations > TK_CLIP_CITATIONS)
        return TK_FAIL(TK_INPUT, "%s: clip \"%s\" cites %d references; 0 to %d are possible", path,
                       c->name, c->n_citations, TK_CLIP_CITATIONS);
    for (int k = 0; k < c->n_citations; k++) {
        const tk_clip_citation *x = &c->citation[k];
        if (x->reference < 0 || x->reference >= n_references)
            return TK_FAIL(TK_INPUT, "%s: clip \"%s\" cites reference %d of %lld", path, c->name,
                           x->reference, (long long)n_references);
        if (!tk_citation_is_named(x))
            return TK_FAIL(TK_INPUT,
                           "%s: clip \"%s\" cites a reference as \"%.80s\" for \"%.80s\"; a tag is "
                           "a few words, as \"face 1\"",
                           path, c->name, x->tag, x->word);
        for (int i = 0; i < k; i++)
            if (!strcmp(c->citation[i].tag, x->tag))
                return TK_FAIL(TK_INPUT, "%s: clip \"%s\" has two references <%s>", path, c->name,
                               x->tag);
    }
    return TK_OK;
}

// ---- writing -----------------------------------------------------------------------------------

int64_t tk_references_place(int64_t n, tk_clip_reference *r, int m, int64_t address)
{
    int64_t at = address;
    for (int64_t k = 0; k < n; k++) {
        r[k].address[m] = at;
        at += r[k].bytes[m];
    }
    return at - address;
}

tk_status tk_references_lay_out(hid_t file, int64_t n, tk_clip_reference *r)
{
    hid_t group, half = tk_clip_half_type();
    tk_status st = tk_h5_group(file, "references", &group);
    for (int m = 0; m < 2 && st == TK_OK; m++) {
        const int64_t all = tk_references_place(n, r, m, 0) / 2;
        int64_t at;
        st = tk_h5_layout(group, modality[m], half, 1, &all, &at);
        if (st == TK_OK) tk_references_place(n, r, m, at);
        if (m == AUDIO || st != TK_OK) H5Gclose(group);
    }
    H5Tclose(half);
    return st;
}

static tk_status write_reference_table(hid_t at, int64_t n, const tk_clip_reference *r, tk_arena *a)
{
    static const char *const column[] = {"latent_frames", "high", "wide", "audio_rows"};
    int64_t *x[4];
    uint64_t *digest;
    char **name;
    const int64_t shape[] = {n, 2};
    TK_ARENA_NEW(name, a, n);
    TK_ARENA_NEW(digest, a, 2 * n);
    for (int c = 0; c < 4; c++) TK_ARENA_NEW(x[c], a, n);
    for (int64_t k = 0; k < n; k++) {
        x[0][k] = r[k].latent_frames, x[1][k] = r[k].high, x[2][k] = r[k].wide;
        x[3][k] = r[k].audio_rows;
        name[k] = r[k].name;
        memcpy(digest + 2 * k, r[k].digest, sizeof r[k].digest);
    }
    for (int c = 0; c < 4; c++) TK_TRY(tk_clip_put_column(at, column[c], n, x[c]));
    TK_TRY(tk_h5_put(at, "digest", H5T_NATIVE_UINT64, 2, shape, digest));
    return tk_h5_put_strings(at, "name", n, name);
}

static tk_status write_citations(hid_t at, hid_t index, int64_t n_clips, const tk_clip_info *clip,
                                 const uint64_t *left_out, tk_arena *a)
{
    int64_t all = 0, n = 0, clips = 0, *first, *count, *reference;
    char **tag, **word;
    for (int64_t k = 0; k < n_clips; k++) all += left_out[k] ? 0 : clip[k].n_citations;
    TK_ARENA_NEW(first, a, n_clips);
    TK_ARENA_NEW(count, a, n_clips);
    TK_ARENA_NEW(reference, a, all + 1);
    TK_ARENA_NEW(tag, a, all + 1);
    TK_ARENA_NEW(word, a, all + 1);
    for (int64_t k = 0; k < n_clips; k++) {
        if (left_out[k]) continue;
        first[clips] = n;
        count[clips++] = clip[k].n_citations;
        for (int i = 0; i < clip[k].n_citations; i++, n++) {
            const tk_clip_citation *c = &clip[k].citation[i];
            reference[n] = c->reference, tag[n] = c->tag, word[n] = c->word;
        }
    }
    TK_TRY(tk_clip_put_column(index, "first_citation", clips, first));
    TK_TRY(tk_clip_put_column(index, "citations", clips, count));
    TK_TRY(tk_clip_put_column(at, "reference", n, reference));
    TK_TRY(tk_h5_put_strings(at, "tag", n, tag));
    return tk_h5_put_strings(at, "word", n, word);
}

tk_status tk_references_write(hid_t file, hid_t at, int64_t n, const tk_clip_reference *r,
                              int64_t n_clips, const tk_clip_info *clip, const uint64_t *left_out,
                              tk_arena *a)
{
    hid_t citations, index;
    TK_TRY(write_reference_table(at, n, r, a));
    TK_TRY(tk_h5_group(file, "citations", &citations));
    tk_status st = tk_h5_group(file, "index", &index);
    if (st == TK_OK) {
        st = write_citations(citations, index, n_clips, clip, left_out, a);
        H5Gclose(index);
    }
    H5Gclose(citations);
    return st;
}

// ---- reading -----------------------------------------------------------------------------------

static tk_status read_reference_table(hid_t file, tk_clips *c)
{
    tk_arena *a = &c->arena;
    int64_t n = -1, names, shape[] = {-1, 2}, *frames, *high, *wide, *rows;
    void *digest;
    char **name;
    TK_TRY(tk_clip_column(file, "references/latent_frames", H5T_NATIVE_INT64, a, &n, &frames));
    TK_TRY(tk_clip_column(file, "references/high", H5T_NATIVE_INT64, a, &n, &high));
    TK_TRY(tk_clip_column(file, "references/wide", H5T_NATIVE_INT64, a, &n, &wide));
    TK_TRY(tk_clip_column(file, "references/audio_rows", H5T_NATIVE_INT64, a, &n, &rows));
    TK_TRY(tk_h5_get_strings(file, "references/name", a, &names, &name));
    shape[0] = n;
    TK_TRY(tk_h5_get(file, "references/digest", H5T_NATIVE_UINT64, 2, shape, a, &digest));
    if (n < 1 || n > TK_CLIP_REFERENCES || names != n)
        return TK_FAIL(TK_INPUT, "references: %lld of them with %lld names", (long long)n,
                       (long long)names);
    TK_ARENA_NEW(c->reference, a, n);
    c->n_references = n;
    for (int64_t k = 0; k < n; k++) {
        tk_clip_reference *r = &c->reference[k];
        *r = (tk_clip_reference){.name = name[k],
                                 .latent_frames = frames[k],
                                 .high = high[k],
                                 .wide = wide[k],
                                 .audio_rows = rows[k]};
        memcpy(r->digest, (uint64_t *)digest + 2 * k, sizeof r->digest);
        TK_TRY(tk_reference_check(r, tk_codec_get_info(c->codec), c->path));
    }
    return TK_OK;
}

static tk_status locate_rows(hid_t file, tk_clips *c)
{
    hid_t half = tk_clip_half_type();
    tk_status st = TK_OK;
    for (int m = 0; m < 2 && st == TK_OK; m++) {
        int64_t bytes = 0, at = 0;
        char name[32];
        snprintf(name, sizeof name, "references/%s", modality[m]);
        const int64_t all = tk_references_place(c->n_references, c->reference, m, 0);
        hid_t d = H5Dopen2(file, name, H5P_DEFAULT), stored = d >= 0 ? H5Dget_type(d) : -1;
        const bool same = stored >= 0 && H5Tequal(stored, half) > 0;
        if (stored >= 0) H5Tclose(stored);
        if (d >= 0) H5Dclose(d);
        if (!same) st = TK_FAIL(TK_INPUT, "%s is not of half precision numbers", name);
        if (st == TK_OK && all) st = tk_h5_address(file, name, &at, &bytes);
        if (st == TK_OK && bytes != all)
            st = TK_FAIL(TK_INPUT, "%s has %lld bytes, its references have %lld", name,
                         (long long)bytes, (long long)all);
        tk_references_place(c->n_references, c->reference, m, at);
    }
    H5Tclose(half);
    return st;
}

static tk_status read_citations(hid_t file, tk_clips *c)
{
    tk_arena *a = &c->arena;
    int64_t clips = c->n, n = -1, tags, words, *first, *count, *reference;
    char **tag, **word;
    tk_clip_citation *all;
    TK_TRY(tk_clip_column(file, "index/first_citation", H5T_NATIVE_INT64, a, &clips, &first));
    TK_TRY(tk_clip_column(file, "index/citations", H5T_NATIVE_INT64, a, &clips, &count));
    TK_TRY(tk_clip_column(file, "citations/reference", H5T_NATIVE_INT64, a, &n, &reference));
    TK_TRY(tk_h5_get_strings(file, "citations/tag", a, &tags, &tag));
    TK_TRY(tk_h5_get_strings(file, "citations/word", a, &words, &word));
    if (tags != n || words != n)
        return TK_FAIL(TK_INPUT, "citations: %lld with %lld tags and %lld words", (long long)n,
                       (long long)tags, (long long)words);
    TK_ARENA_NEW(all, a, n + 1);
    for (int64_t k = 0; k < n; k++) {
        const bool inside = reference[k] >= 0 && reference[k] < c->n_references;
        all[k] = (tk_clip_citation){inside ? (int)reference[k] : -1, tag[k], word[k]};
    }
    for (int64_t k = 0; k < c->n; k++) {
        if (count[k] < 0 || count[k] > TK_CLIP_CITATIONS || first[k] < 0 || first[k] > n - count[k])
            return TK_FAIL(TK_INPUT,
                           "index: citations %lld from %lld on of clip %lld point outside",
                           (long long)count[k], (long long)first[k], (long long)k);
        c->clip[k].n_citations = (int)count[k];
        c->clip[k].citation = all + first[k];
        TK_TRY(tk_citations_check(&c->clip[k], c->n_references, c->path));
    }
    return TK_OK;
}

tk_status tk_references_read_index(hid_t file, tk_clips *c)
{
    if (!tk_h5_exists(file, "references")) return TK_OK;
    TK_TRY(read_reference_table(file, c));
    TK_TRY(locate_rows(file, c));
    return read_citations(file, c);
}

tk_status tk_clips_read_reference(const tk_clips *c, int64_t i, float *video, float *audio,
                                  void *raw)
{
    tk_clip_reference *r = &c->reference[i];
    float *const to[] = {video, audio};
    for (int m = 0; m < 2; m++) {
        const tk_clip_part part = {modality[m], r->address[m], r->bytes[m], &r->digest[m], false};
        if (to[m] && part.bytes) TK_TRY(tk_clip_part_read(c, r->name, &part, raw, to[m]));
    }
    return TK_OK;
}

// ---- to other ranks ----------------------------------------------------------------------------

typedef struct cited_share { // heads the block of bytes that is sent
    int64_t references, citations, words, bytes;
} cited_share;

typedef struct packed {
    tk_clip_reference *reference; // name: offset among the words
    int64_t *count;               // (clips)
    int64_t *citation;            // (citations, 3): reference, tag and word
    char *words;
    int64_t used; // of the words
} packed;

static packed view(char *block, const cited_share *n, int64_t clips)
{
    packed p = {.reference = (tk_clip_reference *)block};
    p.count = (int64_t *)(p.reference + n->references);
    p.citation = p.count + clips;
    p.words = (char *)(p.citation + 3 * n->citations);
    return p;
}

static cited_share measure_cited(const tk_clips *c)
{
    cited_share n = {.references = c->n_references};
    for (int64_t k = 0; k < n.references; k++) n.words += (int64_t)strlen(c->reference[k].name) + 1;
    for (int64_t k = 0; k < c->n; k++) {
        n.citations += c->clip[k].n_citations;
        for (int i = 0; i < c->clip[k].n_citations; i++)
            n.words += (int64_t)(strlen(c->clip[k].citation[i].tag) +
                                 strlen(c->clip[k].citation[i].word) + 2);
    }
    n.bytes =
        n.references * (int64_t)sizeof(tk_clip_reference) + (c->n + 3 * n.citations) * 8 + n.words;
    return n;
}

static int64_t add_word_cited(packed *p, const char *word)
{
    const int64_t at = p->used;
    strcpy(p->words + at, word);
    p->used += (int64_t)strlen(word) + 1;
    return at;
}

static void pack_cited(const tk_clips *c, const cited_share *n, char *block)
{
    packed p = view(block, n, c->n);
    int64_t at = 0;
    for (int64_t k = 0; k < n->references; k++) {
        p.reference[k] = c->reference[k];
        p.reference[k].name = NULL;
        add_word_cited(&p, c->reference[k].name);
    }
    for (int64_t k = 0; k < c->n; k++) {
        p.count[k] = c->clip[k].n_citations;
        for (int i = 0; i < c->clip[k].n_citations; i++, at += 3) {
            const tk_clip_citation *x = &c->clip[k].citation[i];
            p.citation[at] = x->reference;
            p.citation[at + 1] = add_word_cited(&p, x->tag);
            p.citation[at + 2] = add_word_cited(&p, x->word);
        }
    }
}

static tk_status unpack_cited(char *block, const cited_share *n, tk_clips *c)
{
    packed p = view(block, n, c->n);
    tk_clip_citation *all;
    char *name = p.words;
    TK_ARENA_NEW(all, &c->arena, n->citations + 1);
    c->reference = p.reference;
    c->n_references = n->references;
    for (int64_t k = 0; k < n->references; k++, name += strlen(name) + 1)
        c->reference[k].name = name;
    for (int64_t k = 0; k < n->citations; k++)
        all[k] = (tk_clip_citation){(int)p.citation[3 * k], p.words + p.citation[3 * k + 1],
                                    p.words + p.citation[3 * k + 2]};
    for (int64_t k = 0; k < c->n; k++) {
        c->clip[k].n_citations = (int)p.count[k];
        c->clip[k].citation = all;
        all += p.count[k];
    }
    return TK_OK;
}

tk_status tk_references_share(tk_comm *comm, tk_clips *c)
{
    const bool first = comm->rank == 0;
    cited_share n = {0};
    if (first) n = measure_cited(c);
    TK_TRY(tk_comm_broadcast(comm, &n, sizeof n, 0));
    if (!n.references) return TK_OK;
    char *block = tk_arena_alloc(&c->arena, (size_t)n.bytes);
    TK_TRY(tk_agree(comm, block ? TK_OK
                                : TK_FAIL(TK_MEMORY, "out of memory for %lld references",
                                          (long long)n.references)));
    if (first) pack_cited(c, &n, block);
    TK_TRY(tk_clip_broadcast(comm, block, n.bytes));
    return tk_agree(comm, first ? TK_OK : unpack_cited(block, &n, c));
}
