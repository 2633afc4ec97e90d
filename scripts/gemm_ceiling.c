// SPDX-License-Identifier: Apache-2.0
// gemm_ceiling THREADS [TIMES M N K]...: FLOP/s that oneDNN's sgemm reaches at best on products of
// C (M,N) = A (M,K) B (K,N), each made TIMES times, on so many threads.
//
// The ceiling that `talkie bench` holds its figures against. It is a program of its own and shares
// no code with talkie, so that a mistake there does not move the ceiling too. For each product the
// best counts of all ways the library has: operands as they lie or transposed, one product by all
// threads or one product a thread.
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>

static const double ROUND = 0.01; // seconds at least
enum { ROUNDS = 3 };

typedef struct product {
    long m, n, k;
    float *a, *b, *c; // of every thread: (M,K), (K,N), (M,N)
} product;

static int multiply(const product *p, int way, int t)
{
    const char ta = way & 1 ? 'T' : 'N', tb = way & 2 ? 'T' : 'N';
    return dnnl_sgemm(ta, tb, p->m, p->n, p->k, 1, p->a + t * p->m * p->k, ta == 'N' ? p->k : p->m,
                      p->b + t * p->k * p->n, tb == 'N' ? p->n : p->k, 0, p->c + t * p->m * p->n,
                      p->n) != dnnl_success;
}

// Seconds a product, `each` at a time by a thread each or one by all.
static double seconds_of(const product *p, int way, int each, int threads, int *bad)
{
    long times = 0;
    const double begin = omp_get_wtime();
    double now;
    do {
        if (each) {
            int failed = 0;
#pragma omp parallel num_threads(threads) reduction(+ : failed)
            failed += multiply(p, way, omp_get_thread_num());
            *bad += failed;
        } else {
            *bad += multiply(p, way, 0);
        }
        times += each ? threads : 1;
        now = omp_get_wtime();
    } while (now - begin < ROUND);
    return (now - begin) / (double)times;
}

static double best_seconds(const product *p, int threads, int *bad)
{
    double best = 1e30;
    for (int way = 0; way < 4; way++)
        for (int each = 0; each < 2; each++)
            for (int round = 0; round <= ROUNDS; round++) { // the first warms up
                const double now = seconds_of(p, way, each, threads, bad);
                if (round && now < best) best = now;
            }
    return best;
}

static float *ones(size_t n)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = 1;
    return x;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 0;
    double flops = 0, seconds = 0;
    int bad = 0;
    if (threads < 1 || argc < 6 || (argc - 2) % 4) {
        fprintf(stderr, "usage: gemm_ceiling THREADS [TIMES M N K]...\n");
        return 2;
    }
    omp_set_num_threads(threads);
    for (int i = 2; i < argc; i += 4) {
        const double times = atof(argv[i]);
        product p = {atol(argv[i + 1]), atol(argv[i + 2]), atol(argv[i + 3]), NULL, NULL, NULL};
        if (p.m < 1 || p.n < 1 || p.k < 1) return 2;
        p.a = ones((size_t)(threads * p.m * p.k));
        p.b = ones((size_t)(threads * p.k * p.n));
        p.c = ones((size_t)(threads * p.m * p.n));
        if (!p.a || !p.b || !p.c) return 3;
        seconds += times * best_seconds(&p, threads, &bad);
        flops += times * 2 * (double)p.m * (double)p.n * (double)p.k;
        free(p.a), free(p.b), free(p.c);
    }
    if (bad) return 1;
    printf("%.6e\n", flops / seconds);
    return 0;
}
