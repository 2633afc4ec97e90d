// SPDX-License-Identifier: Apache-2.0
// Targets for files that other programs and people write: arrays, weights, keys, machines.
#include "core/base/files.h"
#include "core/store/npy.h"
#include "core/store/safetensors.h"
#include "infer/mark/key.h"
#include "infer/provenance/cose.h"
#include "infer/provenance/signer.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/targets.h"
#include "train/checkpoint/internal.h"
#include "train/plan/machine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- safetensors -------------------------------------------------------------------------------

void fuzz_read_safetensors(const char *path)
{
    tk_arena a;
    tk_safetensors s;
    int fd;
    tk_arena_init(&a, 0);
    const tk_status st = tk_safe_open(path, &a, &s);
    fuzz_judge(st, path);
    for (int i = 0; st == TK_OK && i < s.n; i++) {
        const tk_safe_tensor *t = &s.tensor[i];
        float *x = tk_arena_alloc(&a, (size_t)t->count * sizeof *x);
        fuzz_must(x ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"), "numbers of a tensor");
        fuzz_must(tk_file_open(path, &fd, NULL), path);
        fuzz_judge(tk_safe_get(fd, path, t, 0, t->count, x), path);
        close(fd);
    }
    tk_arena_free(&a);
}

tk_status fuzz_seed_safetensors(const char *path)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    static const tk_safe_note note = {"format", "pt"};
    tk_safe_tensor t[2] = {{.name = "a", .type = TK_SAFE_BF16, .ndim = 2, .dim = {2, 3}},
                           {.name = "b", .type = TK_SAFE_F32, .ndim = 1, .dim = {6}}};
    tk_arena a;
    tk_file f;
    char *head;
    int64_t bytes, total;
    tk_arena_init(&a, 0);
    tk_status st = tk_safe_head(1, &note, 2, t, &a, &head, &bytes, &total);
    if (st == TK_OK) st = tk_file_begin(&f, path);
    if (st == TK_OK) {
        st = tk_pwrite_all(f.fd, path, head, (size_t)bytes, 0);
        for (int i = 0; i < 2 && st == TK_OK; i++) st = tk_safe_put(f.fd, path, &t[i], 0, 6, x);
        if (st == TK_OK) st = tk_file_commit(&f);
        tk_file_abort(&f);
    }
    tk_arena_free(&a);
    return st;
}

// ---- config.json of diffusers ------------------------------------------------------------------

tk_status fuzz_seed_diffusers(const char *path)
{
    tk_config c;
    char *text;
    tk_config_init(&c);
    const tk_status st = tk_ck_diffusers_text(&c.model, &c.arena, &text);
    if (st == TK_OK) fuzz_put_file(path, text, strlen(text));
    tk_config_free(&c);
    return st;
}

// What it says is a model section that is read, or refused in words.
void fuzz_read_diffusers(const char *path)
{
    tk_arena a;
    tk_config c;
    size_t bytes;
    char *text, *yaml, folder[600];
    tk_arena_init(&a, 0);
    fuzz_must(tk_file_read(path, 1 << 20, &a, &text, &bytes), path);
    fuzz_put_file(fuzz_in_folder(path, TK_DIFFUSERS_CONFIG), text, bytes);
    snprintf(folder, sizeof folder, "%s.d", path);
    const tk_status st = tk_ck_diffusers_read(folder, &a, &yaml);
    fuzz_judge(st, TK_DIFFUSERS_CONFIG);
    tk_config_init(&c);
    if (st == TK_OK)
        fuzz_judge(tk_config_parse(&c, TK_CMD_PLAN, "its.yaml", yaml, strlen(yaml), 0, NULL),
                   "its.yaml");
    tk_config_free(&c);
    fuzz_remove_folder(path, 1, (const char *const[]){TK_DIFFUSERS_CONFIG});
    tk_arena_free(&a);
}

// ---- arrays of numpy ---------------------------------------------------------------------------

void fuzz_read_npy(const char *path)
{
    tk_npy n;
    const tk_status st = tk_npy_look(path, &n);
    fuzz_judge(st, path);
    if (st != TK_OK) return;
    float *x = malloc((size_t)(n.rows * n.cols) * sizeof *x);
    const tk_status check = tk_npy_check(&n);
    fuzz_judge(check, path);
    const tk_status read = tk_npy_read(&n, x);
    fuzz_judge(read, path);
    fuzz_must(check == read ? TK_OK : TK_FAIL(TK_INTERNAL, "checked otherwise than read"), path);
    free(x);
}

// ---- machines ----------------------------------------------------------------------------------

void fuzz_read_machine(const char *path)
{
    tk_machine m;
    const tk_status st = tk_machine_load(&m, path);
    fuzz_judge(st, path);
    if (st == TK_OK) tk_machine_free(&m);
}

// ---- keys --------------------------------------------------------------------------------------

void fuzz_read_keys(const char *path)
{
    tk_mark_key key;
    tk_anchors *anchors = NULL;
    tk_signer *signer = NULL;
    char *name = (char *)path;
    chmod(path, 0600);
    fuzz_judge(tk_mark_key_read(path, &key), path);
    fuzz_judge(tk_anchors_open(path, &anchors), path);
    tk_anchors_close(anchors);
    const tk_provenance_config c = {.key = name, .chain = name};
    fuzz_judge(tk_signer_open(&c, &signer), path);
    tk_signer_close(signer);
}
