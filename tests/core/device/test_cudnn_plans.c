// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 300 */
// cuDNN's own plans for attention, forward and backward, of the shipped configurations, made for an
// H100 that is described to it: no GPU is needed, nothing is run. They are there, and take no more
// workspace than is planned where no cuDNN can be asked.
//
// cuDNN wants to load the driver, which machines without a GPU lack: tests/cuda/standin/driver.c
// stands in for it, found by LD_LIBRARY_PATH, with which the test starts itself again.
#include "core/config/config.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef TK_CUDNN
#include "core/device/cuda/cudnn/plan.h"

static const char H100[] =
    "{\"deviceName\":\"NVIDIA H100 80GB HBM3\",\"deviceVer\":900,\"cudaDeviceId\":0,"
    "\"driverVer\":13000,\"multiProcessorCount\":132,\"smClockRateKHz\":1980000,"
    "\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"totalGlobalMem\":85000000000,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxGridSize\":[2147483647,65535,65535],"
    "\"maxBlockSize\":[1024,1024,64],\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,"
    "\"maxCtasPerSM\":32,\"regsPerBlock\":65536,\"maxRegistersPerSM\":65536,\"warpSize\":32,"
    "\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1}";

static int64_t made(const tk_cudnn_shape *s)
{
    const tk_cudnn_target on = {.description = H100};
    tk_cudnn_plan p;
    tk_cudnn_plan_make(&on, s, &p);
    if (!p.plan) fail_msg("cuDNN has no plan: %s", p.why);
    const int64_t bytes = p.workspace;
    tk_cudnn_plan_end(&p);
    return bytes;
}

static tk_cudnn_shape shape_of(const char *file, tk_cudnn_way way, int64_t documents, int64_t rows)
{
    tk_config c;
    tk_config_init(&c);
    assert_ok(tk_config_load(&c, 0, file, 0, NULL));
    const tk_model_config *m = &c.model;
    const tk_cudnn_shape s = {way, documents, m->heads, m->head_dim, m->heads, rows, rows};
    tk_config_free(&c);
    return s;
}

// A plan takes no more than is planned, and not much less.
static void expect_workspace(const tk_cudnn_shape *s)
{
    const int64_t planned = tk_cudnn_workspace(s), taken = made(s);
    printf("    way %lld, %lld documents of %lld rows, %lld of %lld heads of %lld channels: "
           "%lld bytes of workspace\n",
           (long long)s->way, (long long)s->documents, (long long)s->ask, (long long)s->heads,
           (long long)s->all_heads, (long long)s->channels, (long long)taken);
    if (taken > planned || planned - taken > 1024 + 512 * s->documents)
        fail_msg("planned %lld bytes, taken %lld", (long long)planned, (long long)taken);
}

static void plans_of_shipped_configurations(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int64_t documents, rows;
    } of[] = {{"configs/2b.yaml", 4, 8192},
              {"configs/h3-33b.yaml", 1, 40960},
              {"configs/demo.yaml", 16, 256}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        for (int way = TK_CUDNN_FORE; way <= TK_CUDNN_BACK_ANY_ORDER; way++) {
            tk_cudnn_shape s = shape_of(of[i].file, (tk_cudnn_way)way, of[i].documents, of[i].rows);
            if (way == TK_CUDNN_BACK_ANY_ORDER && i) continue;         // they take seconds each
            if (way == TK_CUDNN_BACK && of[i].rows > 256) s.heads = 1; // as calls are cut
            expect_workspace(&s);
        }
}

// Rows that ask and that are asked of different numbers, which are no multiples of tiles.
static void workspace_of_odd_shapes(void **state)
{
    (void)state;
    expect_workspace(&(tk_cudnn_shape){TK_CUDNN_BACK, 2, 3, 64, 8, 1000, 130});
}

static void channels_that_are_not_known(void **state)
{
    (void)state;
    static const tk_cudnn_shape of[] = {{TK_CUDNN_FORE, 2, 4, 20, 4, 256, 256},
                                        {TK_CUDNN_BACK, 2, 4, 20, 4, 256, 256},
                                        {TK_CUDNN_BACK, 2, 4, 264, 4, 256, 256}};
    const tk_cudnn_target on = {.description = H100};
    for (int i = 0; i < 3; i++) {
        tk_cudnn_plan p;
        assert_false(tk_cudnn_knows_channels(of[i].channels));
        tk_cudnn_plan_make(&on, &of[i], &p);
        if (p.plan) fail_msg("there is a plan for %lld channels", (long long)of[i].channels);
        assert_true(strlen(p.why) > 0);
        tk_cudnn_plan_end(&p);
    }
}

static void start_again(char **argv)
{
    char folders[4096];
    const char *build = getenv("BUILD"), *before = getenv("LD_LIBRARY_PATH");
    snprintf(folders, sizeof folders,
             "%s/emulated/driver:%s:/usr/local/cuda/lib64:/usr/local/cuda/lib",
             build ? build : "build", before ? before : "");
    setenv("LD_LIBRARY_PATH", folders, 1);
    setenv("TK_CUDNN_PLANS", "1", 1);
    execv(argv[0], argv);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plans_of_shipped_configurations),
                                       cmocka_unit_test(workspace_of_odd_shapes),
                                       cmocka_unit_test(channels_that_are_not_known)};
    (void)argc;
    if (!getenv("TK_CUDNN_PLANS")) start_again(argv);
    if (tk_cudnn_load() != TK_OK) {
        printf("%s\n", tk_status_message());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    printf("built without cuDNN\n");
    return 77;
}
#endif
