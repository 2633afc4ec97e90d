// SPDX-License-Identifier: Apache-2.0
// Products of rows that lie on several ranks, with the exchange of the rows cut into pieces that
// move beside the products: on any device, from its products, its copies and its communicator.
//
// A piece is a part of the rows that one rank holds. In exchange k a rank gives what is for the
// rank k places on (of a sum), or back (of a gather), and takes from the rank as far the other way;
// each is a group of two messages. Rows to be multiplied come in that order, own ones first; rows
// to be summed are made in that order, own ones last, and their parts added up in the order of
// ranks: the bits of a reduce-scatter. All of it is sent that the collectives send, and no more.
//
// Without pieces these operators are what their parts give, one after the other.
#include "core/base/mem.h"
#include "core/device/ops/impl.h"

enum { WEIGHTS = 3, ALIGN = 16 }; // of a gather's products; elements that parts begin at

typedef struct rows {
    tk_device *d;
    const tk_call *c;
    int64_t pieces; // of each rank's rows
    bool beside;    // messages move beside products; else they are waited for at once
    int64_t total, own_begin, own; // rows of all ranks, before this one's, of this one
    tk_request *req;               // (exchanges, pieces, 2)
} rows;

typedef struct piece {
    int64_t begin, count; // rows of the whole
    int64_t at;           // of them, before this piece in the rank's share
} piece;

static int64_t rows_before(const tk_call *c, int rank)
{
    int64_t n = 0;
    for (int r = 0; r < rank; r++) n += c->counts[r];
    return n;
}

static rows rows_of_call(tk_device *d, const tk_call *c)
{
    const int rank = c->comm->rank;
    return (rows){.d = d,
                  .c = c,
                  .pieces = c->comm->size > 1 ? c->i[0] : 0,
                  .beside = c->i[1],
                  .total = rows_before(c, c->comm->size),
                  .own_begin = rows_before(c, rank),
                  .own = c->counts[rank]};
}

static piece piece_of(const rows *r, int rank, int64_t j)
{
    const int64_t n = r->c->counts[rank], at = tk_split_begin(n, r->pieces, j);
    return (piece){rows_before(r->c, rank) + at, tk_split_count(n, r->pieces, j), at};
}

static int rank_on(const rows *r, int64_t by)
{
    const int64_t n = r->c->comm->size;
    return (int)((r->c->comm->rank + by + n) % n);
}

static tk_tensor slice(const tk_tensor *t, const piece *p)
{
    return tk_tensor_rows(*t, p->begin, p->count);
}

static piece own_piece(const rows *r)
{
    return (piece){r->own_begin, r->own, 0};
}

// ---- exchanges ---------------------------------------------------------------------------------

static tk_request *requests_of(const rows *r, int64_t k, int64_t j)
{
    return &r->req[((k - 1) * r->pieces + j) * 2];
}

// What is taken in an exchange is there for what is asked for after this.
static tk_status wait_for_taken(const rows *r, int64_t k, int64_t j)
{
    return tk_wait(r->c->comm, &requests_of(r, k, j)[1]);
}

static tk_status wait_for_all(const rows *r)
{
    const int64_t n = (r->c->comm->size - 1) * r->pieces * 2;
    for (int64_t i = 0; i < n; i++) TK_TRY(tk_wait(r->c->comm, &r->req[i]));
    return TK_OK;
}

static tk_status exchange(const rows *r, int64_t k, int64_t j, const tk_tensor *out, int to,
                          const tk_tensor *in, int from)
{
    tk_request *q = requests_of(r, k, j);
    tk_device_comm *comm = r->c->comm;
    TK_TRY(tk_group_begin(comm));
    TK_TRY(tk_isend(comm, out->data, tk_count(out), out->dtype, to, &q[0]));
    TK_TRY(tk_irecv(comm, in->data, tk_count(in), in->dtype, from, &q[1]));
    TK_TRY(tk_group_end(comm));
    if (r->beside) return TK_OK;
    for (int i = 0; i < 2; i++) TK_TRY(tk_wait(comm, &q[i]));
    return TK_OK;
}

// ---- products ----------------------------------------------------------------------------------

// What is done with rows of the whole, of one piece or of all.
typedef tk_status (*rows_fn)(const rows *r, const piece *p, const tk_tensor *whole);

// y = x @ w^T of each weight; whole: x.
static tk_status multiply_gathered(const rows *r, const piece *p, const tk_tensor *whole)
{
    for (int k = 0; k < WEIGHTS && p->count; k++) {
        if (!tk_present(&r->c->in[1 + k])) continue;
        const tk_call y = {.op = TK_OP_LINEAR,
                           .in = {slice(whole, p), r->c->in[1 + k]},
                           .out = {slice(&r->c->out[k], p)}};
        TK_TRY(tk_op_run(r->d, &y, false));
    }
    return TK_OK;
}

// whole := x @ w^T
static tk_status multiply_part(const rows *r, const piece *p, const tk_tensor *whole)
{
    const tk_call y = {
        .op = TK_OP_LINEAR, .in = {slice(&r->c->in[0], p), r->c->in[1]}, .out = {slice(whole, p)}};
    return p->count ? tk_op_run(r->d, &y, false) : TK_OK;
}

// whole := the gradient of gathered rows, of all products; the last first.
static tk_status back_multiply(const rows *r, const piece *p, const tk_tensor *whole)
{
    bool add = false;
    for (int k = WEIGHTS - 1; k >= 0 && p->count; k--) {
        if (!tk_present(&r->c->dout[k])) continue;
        const tk_call dx = {.op = TK_OP_LINEAR,
                            .in = {{0}, r->c->in[1 + k]},
                            .dout = {slice(&r->c->dout[k], p)},
                            .din = {slice(whole, p)},
                            .add = {add}};
        TK_TRY(tk_op_run(r->d, &dx, true));
        add = true;
    }
    return TK_OK;
}

// The gradient of x from that of the products; whole: that of all rows' products.
static tk_status back_multiply_part(const rows *r, const piece *p, const tk_tensor *whole)
{
    if (!r->c->din[0].data || !p->count) return TK_OK;
    const tk_call dx = {.op = TK_OP_LINEAR,
                        .in = {{0}, r->c->in[1]},
                        .dout = {slice(whole, p)},
                        .din = {slice(&r->c->din[0], p)},
                        .add = {r->c->add[0]}};
    return tk_op_run(r->d, &dx, true);
}

// The gradient of weight k, where it is wanted, from all rows x and dy.
static tk_status back_weight(const rows *r, int k, const tk_tensor *x, const tk_tensor *dy)
{
    const tk_tensor *to = &r->c->din[k];
    if (!to->data || (!tk_present(dy) && r->c->add[k])) return TK_OK;
    if (!tk_present(dy)) return tk_device_zero(r->d, to->data, tk_bytes(to));
    const tk_call dw = {.op = TK_OP_LINEAR,
                        .in = {*x, r->c->in[k]},
                        .dout = {*dy},
                        .din = {{0}, *to},
                        .add = {false, r->c->add[k]}};
    return tk_op_run(r->d, &dw, true);
}

static tk_status back_weights(const rows *r)
{
    for (int k = WEIGHTS - 1; k >= 0; k--)
        TK_TRY(back_weight(r, 1 + k, &r->c->out[WEIGHTS], &r->c->dout[k]));
    return TK_OK;
}

// ---- gathers -----------------------------------------------------------------------------------

static tk_status post_gather(const rows *r, const tk_tensor *x, const tk_tensor *whole)
{
    for (int64_t k = 1; k < r->c->comm->size; k++)
        for (int64_t j = 0; j < r->pieces; j++) {
            const piece mine = piece_of(r, r->c->comm->rank, j);
            const piece theirs = piece_of(r, rank_on(r, k), j);
            const tk_tensor out = tk_tensor_rows(*x, mine.at, mine.count);
            const tk_tensor in = slice(whole, &theirs);
            TK_TRY(exchange(r, k, j, &out, rank_on(r, -k), &in, rank_on(r, k)));
        }
    return TK_OK;
}

// whole := x of all ranks, and `use` on all of its rows.
static tk_status gather_pieces(const rows *r, const tk_tensor *x, const tk_tensor *whole,
                               rows_fn use)
{
    const piece own = own_piece(r);
    const tk_tensor place = slice(whole, &own);
    TK_TRY(post_gather(r, x, whole));
    TK_TRY(tk_device_copy(r->d, place.data, x->data, tk_bytes(x)));
    TK_TRY(use(r, &own, whole));
    for (int64_t k = 1; k < r->c->comm->size; k++)
        for (int64_t j = 0; j < r->pieces; j++) {
            const piece p = piece_of(r, rank_on(r, k), j);
            TK_TRY(wait_for_taken(r, k, j));
            TK_TRY(use(r, &p, whole));
        }
    return wait_for_all(r);
}

static tk_status gather_whole(const rows *r, const tk_tensor *x, const tk_tensor *whole,
                              rows_fn use)
{
    const piece all = {0, r->total, 0};
    TK_TRY(tk_all_gather(r->c->comm, x->data, whole->data, r->c->counts, tk_cols(x), x->dtype));
    return use(r, &all, whole);
}

// ---- sums --------------------------------------------------------------------------------------

static tk_status post_sums(const rows *r, const tk_tensor *whole, const tk_tensor *parts,
                           rows_fn make)
{
    const int64_t width = tk_cols(whole), size = (int64_t)tk_dtype_size(whole->dtype);
    for (int64_t k = 1; k < r->c->comm->size; k++)
        for (int64_t j = 0; j < r->pieces; j++) {
            const int from = rank_on(r, -k), rank = r->c->comm->rank;
            const piece theirs = piece_of(r, rank_on(r, k), j), mine = piece_of(r, rank, j);
            const int64_t at = (from < rank ? from : from - 1) * tk_cols(parts) + mine.at * width;
            const tk_tensor out = slice(whole, &theirs);
            const tk_tensor in =
                tk_tensor_2d((char *)parts->data + at * size, whole->dtype, mine.count, width);
            TK_TRY(make(r, &theirs, whole));
            TK_TRY(exchange(r, k, j, &out, rank_on(r, k), &in, from));
        }
    return TK_OK;
}

// sum := this rank's share of the sum over ranks of `whole`, which `make` makes, with `also` done
// while parts move.
static tk_status sum_pieces(const rows *r, const tk_tensor *whole, rows_fn make,
                            tk_status (*also)(const rows *r), const tk_tensor *sum)
{
    const piece own = own_piece(r);
    const int64_t n = tk_count(sum), stride = tk_blocks(n, ALIGN) * ALIGN;
    const tk_tensor mine = slice(whole, &own);
    tk_tensor parts;
    TK_TRY(tk_device_new_for(r->d, TK_FOR_MESSAGES, whole->dtype, r->c->comm->size - 1, stride,
                             &parts));
    tk_status st = post_sums(r, whole, &parts, make);
    if (st == TK_OK) st = make(r, &own, whole);
    if (st == TK_OK && also) st = also(r);
    if (st == TK_OK) st = wait_for_all(r);
    if (st == TK_OK)
        st = tk_add_parts(r->c->comm, &(tk_parts){.out = sum->data,
                                                  .own = mine.data,
                                                  .others = parts.data,
                                                  .n = n,
                                                  .stride = stride,
                                                  .type = sum->dtype});
    tk_device_free(r->d, &parts);
    TK_TRY(st);
    return TK_OK;
}

static tk_status sum_whole(const rows *r, const tk_tensor *whole, rows_fn make,
                           tk_status (*also)(const rows *r), const tk_tensor *sum)
{
    const piece all = {0, r->total, 0};
    TK_TRY(make(r, &all, whole));
    if (also) TK_TRY(also(r));
    return tk_reduce_scatter(r->c->comm, whole->data, sum->data, r->c->counts, tk_cols(sum),
                             sum->dtype);
}

// ---- the operators -----------------------------------------------------------------------------

static tk_status gather_rows(const rows *r, const tk_tensor *x, const tk_tensor *whole, rows_fn use)
{
    return r->pieces ? gather_pieces(r, x, whole, use) : gather_whole(r, x, whole, use);
}

static tk_status sum_rows(const rows *r, int64_t cols, tk_dtype type, rows_fn make,
                          tk_status (*also)(const rows *r), const tk_tensor *sum)
{
    tk_tensor whole;
    TK_TRY(tk_device_new_for(r->d, TK_FOR_MESSAGES, type, r->total, cols, &whole));
    const tk_status st = (r->pieces ? sum_pieces : sum_whole)(r, &whole, make, also, sum);
    tk_device_free(r->d, &whole);
    TK_TRY(st);
    return TK_OK;
}

static tk_status back_gather_linear(const rows *r)
{
    const tk_call *c = r->c;
    const tk_tensor *dx = &c->din[0];
    tk_tensor sum = *dx;
    if (!tk_present(dx)) return back_weights(r);
    if (c->add[0])
        TK_TRY(tk_device_new_for(r->d, TK_FOR_MESSAGES, dx->dtype, r->own, tk_cols(dx), &sum));
    tk_status st = sum_rows(r, tk_cols(dx), dx->dtype, back_multiply, back_weights, &sum);
    if (!c->add[0]) return st;
    const tk_call add = {.op = TK_OP_ADD, .in = {*dx, sum}, .out = {*dx}};
    if (st == TK_OK) st = tk_op_run(r->d, &add, false);
    tk_device_free(r->d, &sum);
    return st;
}

static tk_status back_linear_scatter(const rows *r)
{
    const tk_call *c = r->c;
    const bool given = tk_present(&c->dout[1]);
    tk_tensor whole = c->dout[1];
    if (!given)
        TK_TRY(tk_device_new_for(r->d, TK_FOR_MESSAGES, c->dout[0].dtype, r->total,
                                 tk_cols(&c->dout[0]), &whole));
    tk_status st = gather_rows(r, &c->dout[0], &whole, back_multiply_part);
    if (st == TK_OK) st = back_weight(r, 1, &c->in[0], &whole);
    if (!given) tk_device_free(r->d, &whole);
    return st;
}

static tk_status run(const rows *r, bool back)
{
    const tk_call *c = r->c;
    if (c->op == TK_OP_GATHER_LINEAR && !back)
        return gather_rows(r, &c->in[0], &c->out[WEIGHTS], multiply_gathered);
    if (c->op == TK_OP_GATHER_LINEAR) return back_gather_linear(r);
    if (back) return back_linear_scatter(r);
    return sum_rows(r, tk_cols(&c->out[0]), c->out[0].dtype, multiply_part, NULL, &c->out[0]);
}

bool tk_op_is_of_rows(tk_op op)
{
    return op == TK_OP_GATHER_LINEAR || op == TK_OP_LINEAR_SCATTER;
}

tk_status tk_op_of_rows(tk_device *d, const tk_call *c, bool back)
{
    rows r = rows_of_call(d, c);
    if (r.pieces) TK_NEW(r.req, (c->comm->size - 1) * r.pieces * 2);
    const tk_status st = run(&r, back);
    tk_free(r.req);
    TK_TRY(st);
    return TK_OK;
}
