// SPDX-License-Identifier: Apache-2.0
// Text features of clip files: rows that an encoder outside made of captions.
#include "data/clip/internal.h"
#include <string.h>

// ---- checks ------------------------------------------------------------------------------------

tk_status tk_features_check(tk_clip_features *f, const char *path)
{
    if (f->channels < 1 || f->channels > TK_CLIP_TEXT_ROWS)
        return TK_FAIL(TK_INPUT, "%s: text features of %lld numbers a row; 1 to %d are possible",
                       path, (long long)f->channels, TK_CLIP_TEXT_ROWS);
    if (f->empty < -1 || f->empty >= f->n)
        return TK_FAIL(TK_INPUT, "%s: text features %lld of %lld are said to be an empty caption's",
                       path, (long long)f->empty, (long long)f->n);
    for (int64_t k = 0; k < f->n; k++) {
        if (f->feature[k].rows < 1 || f->feature[k].rows > TK_CLIP_TEXT_ROWS)
            return TK_FAIL(TK_INPUT, "%s: text features %lld have %lld rows; 1 to %d are possible",
                           path, (long long)k, (long long)f->feature[k].rows, TK_CLIP_TEXT_ROWS);
        f->feature[k].bytes = f->feature[k].rows * f->channels * (f->half ? 2 : 4);
    }
    return TK_OK;
}

tk_status tk_clip_features_check(const tk_clip_info *c, const tk_clip_features *f, const char *path)
{
    for (int k = 0; k < c->n_shots; k++) {
        const tk_clip_shot *s = &c->shot[k];
        if (!s->feature_rows) continue;
        if (s->feature < 0 || s->feature >= f->n || f->feature[s->feature].rows != s->feature_rows)
            return TK_FAIL(TK_INPUT,
                           "%s: shot %d of clip \"%s\" has text features %lld, of %lld rows, but "
                           "the file's %lld have none such",
                           path, k + 1, c->name, (long long)s->feature, (long long)s->feature_rows,
                           (long long)f->n);
    }
    return TK_OK;
}

// ---- writing -----------------------------------------------------------------------------------

void tk_features_place(tk_clip_features *f, int64_t address)
{
    for (int64_t k = 0; k < f->n; address += f->feature[k++].bytes) f->feature[k].address = address;
}

static int64_t all_rows(const tk_clip_features *f)
{
    int64_t rows = 0;
    for (int64_t k = 0; k < f->n; k++) rows += f->feature[k].rows;
    return rows;
}

static hid_t feature_type(const tk_clip_features *f)
{
    return f->half ? tk_clip_half_type() : H5Tcopy(H5T_IEEE_F32LE);
}

tk_status tk_features_lay_out(hid_t file, tk_clip_features *f)
{
    const int64_t shape[] = {all_rows(f), f->channels};
    int64_t at = 0;
    hid_t group, type;
    TK_TRY(tk_h5_group(file, "features", &group));
    type = feature_type(f);
    const tk_status st = tk_h5_layout(group, "values", type, 2, shape, &at);
    H5Tclose(type);
    H5Gclose(group);
    tk_features_place(f, at);
    return st;
}

// Which ones each shot has.
static tk_status write_of_shots(hid_t file, int64_t n_clips, const tk_clip_info *clip,
                                const uint64_t *left_out, tk_arena *a)
{
    int64_t n = 0, shots = 0, *of;
    for (int64_t k = 0; k < n_clips; k++) shots += clip[k].n_shots;
    TK_ARENA_NEW(of, a, shots);
    for (int64_t k = 0; k < n_clips; k++)
        for (int j = 0; j < clip[k].n_shots && !left_out[k]; j++)
            of[n++] = clip[k].shot[j].feature_rows ? clip[k].shot[j].feature : -1;
    hid_t group;
    TK_TRY(tk_h5_group(file, "shots", &group));
    const tk_status st = tk_clip_put_column(group, "features", n, of);
    H5Gclose(group);
    return st;
}

static tk_status write_feature_table(hid_t at, const tk_clip_features *f, tk_arena *a)
{
    int64_t *rows;
    uint64_t *digest;
    TK_ARENA_NEW(rows, a, f->n);
    TK_ARENA_NEW(digest, a, f->n);
    for (int64_t k = 0; k < f->n; k++) {
        rows[k] = f->feature[k].rows;
        digest[k] = f->feature[k].digest;
    }
    TK_TRY(tk_h5_put_attr_i64(at, "empty", f->empty));
    TK_TRY(tk_clip_put_column(at, "rows", f->n, rows));
    return tk_h5_put(at, "digest", H5T_NATIVE_UINT64, 1, &f->n, digest);
}

tk_status tk_features_write(hid_t file, hid_t at, const tk_clip_features *f, int64_t n_clips,
                            const tk_clip_info *clip, const uint64_t *left_out, tk_arena *a)
{
    TK_TRY(write_feature_table(at, f, a));
    return write_of_shots(file, n_clips, clip, left_out, a);
}

// ---- reading -----------------------------------------------------------------------------------

static bool is_of_type(hid_t at, const char *name, hid_t type)
{
    hid_t set = H5Dopen2(at, name, H5P_DEFAULT), stored = set >= 0 ? H5Dget_type(set) : -1;
    const bool same = stored >= 0 && H5Tequal(stored, type) > 0;
    if (stored >= 0) H5Tclose(stored);
    if (set >= 0) H5Dclose(set);
    return same;
}

// The width of the rows and the type of the numbers.
static tk_status read_kind(hid_t file, tk_clip_features *f, int64_t *rows)
{
    static const char name[] = "features/values";
    int64_t shape[2];
    int ndim;
    hid_t half = tk_clip_half_type();
    f->half = is_of_type(file, name, half);
    H5Tclose(half);
    if (!f->half && !is_of_type(file, name, H5T_IEEE_F32LE))
        return TK_FAIL(TK_INPUT, "%s are not of half or single precision", name);
    TK_TRY(tk_h5_shape(file, name, 2, &ndim, shape));
    if (ndim != 2)
        return TK_FAIL(TK_INPUT, "%s has %d dimensions; 2 are right: rows, channels", name, ndim);
    *rows = shape[0];
    f->channels = shape[1];
    return TK_OK;
}

static tk_status read_feature_table(hid_t file, tk_clips *c)
{
    tk_clip_features *f = &c->features;
    int64_t stored = 0, n = -1, bytes, at, *rows;
    uint64_t *digest;
    hid_t group;
    TK_TRY(read_kind(file, f, &stored));
    TK_TRY(tk_clip_column(file, "features/rows", H5T_NATIVE_INT64, &c->arena, &n, &rows));
    TK_TRY(tk_clip_column(file, "features/digest", H5T_NATIVE_UINT64, &c->arena, &n, &digest));
    if (n < 1 || n > TK_CLIP_FEATURES)
        return TK_FAIL(TK_INPUT, "features: %lld of them; 1 to %d are possible", (long long)n,
                       TK_CLIP_FEATURES);
    TK_TRY(tk_h5_group(file, "features", &group));
    const tk_status st = tk_h5_get_attr_i64(group, "empty", &f->empty);
    H5Gclose(group);
    TK_TRY(st);
    TK_ARENA_NEW(f->feature, &c->arena, n);
    f->n = n;
    for (int64_t k = 0; k < n; k++)
        f->feature[k] = (tk_clip_feature){.rows = rows[k], .digest = digest[k]};
    TK_TRY(tk_features_check(f, c->path));
    TK_TRY(tk_h5_address(file, "features/values", &at, &bytes));
    if (all_rows(f) != stored || bytes != stored * f->channels * (f->half ? 2 : 4))
        return TK_FAIL(TK_INPUT, "features/values has %lld rows, its features have %lld",
                       (long long)stored, (long long)all_rows(f));
    tk_features_place(f, at);
    return TK_OK;
}

// Which ones each shot has: shots of a file lie side by side, clip after clip or not.
static tk_status read_of_shots(hid_t file, tk_clips *c)
{
    const tk_clip_features *f = &c->features;
    int64_t n = -1, clips = c->n, *of, *first;
    TK_TRY(tk_clip_column(file, "shots/features", H5T_NATIVE_INT64, &c->arena, &n, &of));
    TK_TRY(tk_clip_column(file, "index/first_shot", H5T_NATIVE_INT64, &c->arena, &clips, &first));
    for (int64_t k = 0; k < c->n; k++)
        for (int j = 0; j < c->clip[k].n_shots; j++) {
            const int64_t at = first[k] + j, number = at < n ? of[at] : f->n;
            if (number < -1 || number >= f->n)
                return TK_FAIL(TK_INPUT,
                               "shots/features: shot %d of clip %lld has number %lld; there are "
                               "%lld",
                               j + 1, (long long)k, (long long)number, (long long)f->n);
            if (number < 0) continue;
            c->clip[k].shot[j].feature = number;
            c->clip[k].shot[j].feature_rows = f->feature[number].rows;
        }
    return TK_OK;
}

tk_status tk_features_read_index(hid_t file, tk_clips *c)
{
    if (!tk_h5_exists(file, "features")) return TK_OK;
    TK_TRY(read_feature_table(file, c));
    return read_of_shots(file, c);
}

tk_clip_part tk_feature_part(const tk_clip_features *f, int64_t k)
{
    tk_clip_feature *x = &f->feature[k];
    return (tk_clip_part){.what = "text",
                          .address = x->address,
                          .bytes = x->bytes,
                          .digest = &x->digest,
                          .wide = !f->half};
}

tk_status tk_clips_read_feature(const tk_clips *c, int64_t k, float *x, void *raw)
{
    const tk_clip_part part = tk_feature_part(&c->features, k);
    return tk_clip_part_read(c, "a caption", &part, raw, x);
}

tk_status tk_clips_read_text(const tk_clips *c, int64_t i, float *x, void *raw)
{
    const tk_clip_info *info = &c->clip[i];
    for (int k = 0; k < info->n_shots; k++) {
        const tk_clip_shot *s = &info->shot[k];
        if (!s->feature_rows) continue;
        const tk_clip_part part = tk_feature_part(&c->features, s->feature);
        TK_TRY(tk_clip_part_read(c, info->name, &part, raw, x));
        x += s->feature_rows * c->features.channels;
    }
    return TK_OK;
}

int64_t tk_clip_text_rows(const tk_clip_info *c)
{
    int64_t rows = 0;
    for (int k = 0; k < c->n_shots; k++) rows += c->shot[k].feature_rows;
    return rows;
}

// ---- how captions become rows ------------------------------------------------------------------

static tk_status compare_features(const tk_clips *a, const tk_clips *b)
{
    const tk_clip_features *x = &a->features, *y = &b->features;
    const tk_clip_feature none = {0}, *e = x->empty < 0 ? &none : &x->feature[x->empty],
                          *g = y->empty < 0 ? &none : &y->feature[y->empty];
    if (!y->channels)
        return TK_FAIL(TK_INPUT,
                       "model.text is features, but %s holds captions only; import it with text "
                       "features beside its media, or set model.text=bytes",
                       b->path);
    if (x->channels != y->channels)
        return TK_FAIL(TK_INPUT,
                       "the text features of %s are %lld wide, those of %s %lld: they are of two "
                       "encoders",
                       a->path, (long long)x->channels, b->path, (long long)y->channels);
    if (e->rows == g->rows && (x->half != y->half || e->digest == g->digest)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s and %s have different text features of an empty caption; import both with "
                   "one import.empty_features",
                   a->path, b->path);
}

tk_status tk_clips_text_form(int64_t n, const tk_clips *c, tk_text_form *out)
{
    const tk_clip_features *f = &c->features;
    for (int64_t k = 0; k < n; k++) TK_TRY(compare_features(c, &c[k]));
    *out = (tk_text_form){.channels = f->channels,
                          .empty_rows = f->empty < 0 ? 1 : f->feature[f->empty].rows};
    return TK_OK;
}

tk_status tk_clips_read_empty(const tk_clips *c, tk_arena *a, float **out)
{
    const tk_clip_features *f = &c->features;
    void *raw;
    *out = NULL;
    if (f->empty < 0) return TK_OK;
    TK_ARENA_NEW(*out, a, f->feature[f->empty].rows * f->channels);
    raw = tk_alloc((size_t)f->feature[f->empty].bytes);
    if (!raw) return TK_FAIL(TK_MEMORY, "out of memory for text features");
    const tk_status st = tk_clips_read_feature(c, f->empty, *out, raw);
    tk_free(raw);
    return st;
}

// ---- to other ranks ----------------------------------------------------------------------------

// Into `of`, or from there: of each shot rows and number.
static void move_of_shots(tk_clips *c, bool out, int64_t *of)
{
    for (int64_t k = 0; k < c->n; k++)
        for (int j = 0; j < c->clip[k].n_shots; j++, of += 2) {
            tk_clip_shot *s = &c->clip[k].shot[j];
            if (out)
                of[0] = s->feature_rows, of[1] = s->feature;
            else
                s->feature_rows = of[0], s->feature = of[1];
        }
}

static tk_status make_feature_room(tk_clips *c, bool first, int64_t **of, int64_t *shots)
{
    for (int64_t k = 0; k < c->n; k++) *shots += c->clip[k].n_shots;
    TK_ARENA_NEW(*of, &c->arena, 2 * *shots);
    if (!first) TK_ARENA_NEW(c->features.feature, &c->arena, c->features.n);
    return TK_OK;
}

tk_status tk_features_share(tk_comm *comm, tk_clips *c)
{
    const bool first = comm->rank == 0;
    tk_clip_features f = c->features; // of the first
    int64_t *of, shots = 0;
    TK_TRY(tk_comm_broadcast(comm, &f, sizeof f, 0));
    if (!f.n) return TK_OK;
    f.feature = c->features.feature;
    c->features = f;
    TK_TRY(tk_agree(comm, make_feature_room(c, first, &of, &shots)));
    if (first) move_of_shots(c, true, of);
    TK_TRY(tk_clip_broadcast(comm, c->features.feature, f.n * (int64_t)sizeof *f.feature));
    TK_TRY(tk_clip_broadcast(comm, of, 2 * shots * (int64_t)sizeof *of));
    if (!first) move_of_shots(c, false, of);
    return TK_OK;
}
