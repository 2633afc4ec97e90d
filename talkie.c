// SPDX-License-Identifier: Apache-2.0
// The front door: the command table, nothing else.
#include "core/config.h"
#include "core/log.h"
#include "core/version.h"
#include "data/commands.h"
#include "infer/bench.h"
#include "infer/command.h"
#include "infer/eval.h"
#include "parallel/mesh.h"
#include "train/command.h"
#include "train/parity.h"
#include "train/plan.h"
#include <stdio.h>
#include <string.h>

typedef struct command {
    const char *name, *arguments, *help;
    tk_status (*run)(tk_comm *world, int argc, char **argv);
} command;

static const command commands[] = {
    {"data", "{stage,import,info,check} ...", "make clip files, look into them", tk_data_command},
    {"train", "CONFIG", "train, or go on training", tk_train_command},
    {"sample", "STORYBOARD|JOBS", "make clips of storyboards", tk_sample_command},
    {"plan", "CONFIG", "memory, arithmetic and layout of a run, before running it",
     tk_plan_command},
    {"eval", "CHECKPOINT", "measure what a model has learned of the stage", tk_eval_command},
    {"parity", "GOLDEN", "reproduce the reference implementation's numbers", tk_parity_command},
    {"bench", "CONFIG", "speed as fractions of this machine's measured ceilings", tk_bench_command},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(void)
{
    printf(
        "talkie COMMAND ... [key=value ...]   video and sound from text, sharded over ranks\n\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-8s%-32s%s\n", commands[i].name, commands[i].arguments, commands[i].help);
    printf("\n  talkie COMMAND --help   options of a command\n"
           "  talkie --options        every option, as a Markdown page\n"
           "  talkie --version\n\n"
           "Runs the same alone, under mpirun and under srun. "
           "Overrides win over the file: train.lr=1e-3\n");
}

// Answers that need no command: true if argv was one of them.
static bool answered(int argc, char **argv, int rank)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    const bool help = !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
    const bool version = !strcmp(word, "--version"), options = !strcmp(word, "--options");
    if (rank == 0 && help) usage();
    if (rank == 0 && version) printf("talkie %s\n", tk_revision());
    if (rank == 0 && options) tk_config_reference();
    return help || version || options;
}

static tk_status run(tk_comm *world, int argc, char **argv)
{
    if (answered(argc, argv, world->rank)) return TK_OK;
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name)) return commands[i].run(world, argc - 2, argv + 2);
    return tk_agree(world,
                    TK_FAIL(TK_INPUT, "there is no command '%s'; see talkie --help", argv[1]));
}

int main(int argc, char **argv)
{
    tk_comm world = {0};
    tk_status s = tk_parallel_start(&argc, &argv, &world);
    if (s == TK_OK) {
        tk_log_open(world.rank, 1);
        s = run(&world, argc, argv);
    }
    const int code = tk_status_exit_code(s);
    if (s == TK_OK) {
        tk_parallel_stop();
        return 0;
    }
    // A failure all ranks share is said once. One that only this rank knows takes the others down.
    const bool alone = world.size > 1 && !tk_status_shared();
    fflush(stdout);
    if (alone) fprintf(stderr, "talkie: rank %d: %s\n", world.rank, tk_status_message());
    if (!alone && world.rank == 0) fprintf(stderr, "talkie: %s\n", tk_status_message());
    if (s == TK_INTERNAL) fprintf(stderr, "%s", tk_status_trace());
    if (alone) tk_parallel_abort(code);
    tk_parallel_stop();
    return code;
}
