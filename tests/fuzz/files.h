// SPDX-License-Identifier: Apache-2.0
// Targets by what their files are of; internal to tests/fuzz. Pairs of a reader and a seed as
// fuzz_target has them.
//   targets.c   configs, clip files, checkpoints, manifests, and the table
//   product.c   what clips, jobs and galleries have beside them
//   cameos.c    papers and logs of who lends a face and a voice
//   foreign.c   what other programs and people write
#pragma once
#include "core/base/mem.h"

enum { FUZZ_PATH = 600 };

// Whole, ended by a NUL that *bytes does not count.
char *fuzz_read_all(const char *path, tk_arena *a, size_t *bytes);
// A file of a folder that goes with `path`, which is made where it is missing; until the next call.
const char *fuzz_in_folder(const char *path, const char *name);
void fuzz_put_file(const char *to, const void *x, size_t bytes);
void fuzz_remove_folder(const char *path, int n, const char *const *names);

void fuzz_read_told(const char *path); // OUTPUT.json beside a clip, as all who read it do
tk_status fuzz_seed_told(const char *path);
void fuzz_read_latents(const char *path); // OUTPUT.latents
tk_status fuzz_seed_latents(const char *path);
void fuzz_read_record(const char *path); // a job's job.json
tk_status fuzz_seed_record(const char *path);
void fuzz_read_takedown(const char *path); // of a gallery's keeper
tk_status fuzz_seed_takedown(const char *path);
void fuzz_read_wish(const char *path); // of a cameo's owner
tk_status fuzz_seed_wish(const char *path);
void fuzz_read_history(const char *path); // a cameo's log, under an end that the server signed
tk_status fuzz_seed_history(const char *path);
void fuzz_read_consent(const char *path); // of a registrar, under a log that says it is in force
tk_status fuzz_seed_consent(const char *path);
void fuzz_read_keys(const char *path); // of marks, of whom to trust, of who signs
void fuzz_read_safetensors(const char *path);
tk_status fuzz_seed_safetensors(const char *path);
void fuzz_read_npy(const char *path);
void fuzz_read_machine(const char *path);   // of plan.machine
void fuzz_read_diffusers(const char *path); // config.json of a folder
tk_status fuzz_seed_diffusers(const char *path);
