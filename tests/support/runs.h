// SPDX-License-Identifier: Apache-2.0
// Whole runs of the program for tests: a directory of its own, a tiny data set, a tiny model,
// metrics and checkpoints read back.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { RUNS_STEPS = 64 };

// Makes a temporary directory with clips.h5 (staged, 12 clips) and tiny.yaml; removed by
// runs_close.
void runs_open(void);
void runs_close(void);
// Instead with small.h5 and small.yaml: as small as runs go, for an emulated GPU, which takes a
// thread at a time; its section `train` as given, in one line of YAML.
void runs_open_small(const char *train);
// The same as set-up and tear-down of a group of tests.
int runs_set_up(void **state);
int runs_tear_down(void **state);
const char *runs_dir(void);

// Runs `talkie <arguments>` on `ranks` ranks inside the directory, its output into "out"; returns
// the exit code, or 128 + the signal. printf style.
int runs_talkie(int ranks, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
pid_t runs_start(int ranks, const char *fmt, ...) __attribute__((format(printf, 2, 3))); // no wait
// As runs_start, but any command line of bash, in any directory.
pid_t runs_shell(const char *command);
void runs_do(const char *command);                     // of the shell, in the directory; succeeds
void runs_write(const char *name, const char *text);   // a file of the directory
int runs_wait(pid_t pid);                              // exit code as above
bool runs_said(const char *text);                      // the last command's output holds `text`
const char *runs_output(void);                         // all of it, until it is asked for again
void runs_print(void);                                 // that output, for messages of failed tests
void runs_expect(int got, int want, const char *text); // code and words of the last command

// One step of <run>/metrics.jsonl.
typedef struct runs_step {
    int64_t step, skipped, peak_bytes;
    double loss, loss_video, loss_audio, grad_norm, seconds;
} runs_step;
int runs_metrics(const char *run, runs_step steps[RUNS_STEPS]); // steps read

// Largest relative distance (norm of difference / norm) over the tensors of a group ("model",
// "adam/m", ...) of two checkpoints of the directory; 0 only when all are equal to the bit.
double runs_distance(const char *a, const char *b, const char *group);
int64_t runs_newest(const char *run);         // step of the newest checkpoint, -1: none
void runs_flip(const char *file, int64_t at); // flips a bit of byte `at`; < 0: of the middle one
// Flips a bit of each of the first n clips of a clip file.
void runs_damage(const char *file, int n);
