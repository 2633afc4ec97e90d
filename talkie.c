// SPDX-License-Identifier: Apache-2.0
// The front door: the command table, nothing else.
#include "core/config/command.h"
#include "core/store/probe.h"
#include "data/commands.h"
#include "data/import/import.h"
#include "data/world/file.h"
#include "infer/bench.h"
#include "infer/cameo.h"
#include "infer/command.h"
#include "infer/eval/eval.h"
#include "infer/gallery/gallery.h"
#include "infer/judges/sight/letters.h"
#include "infer/listing.h"
#include "infer/plan.h"
#include "infer/serve.h"
#include "infer/verify.h"
#include "parallel/mpi/start.h"
#include "train/convert.h"
#include "train/parity/parity.h"
#include "train/preflight/preflight.h"
#include "train/run/asked.h"
#include "train/run/diff.h"
#include "train/run/run.h"
#include <limits.h>

const tk_command tk_commands[] = {
    {.name = "data world",
     .was = "data stage",
     .arguments = "[CONFIG.yaml] -o FILE.h5",
     .help = "make clips of the procedural world",
     .options = TK_CMD_DATA,
     .config = TK_CONFIG_OPTIONAL,
     .ask = tk_world_ask,
     .run = tk_data_world},
    {.name = "data import",
     .arguments = "[CONFIG.yaml] MEDIA... -o FILE.h5",
     .help = "make clips of own videos; captions from clip.txt beside clip.mp4",
     .wants = "a media file",
     .least = 1,
     .most = INT_MAX,
     .options = TK_CMD_DATA,
     .config = TK_CONFIG_OPTIONAL,
     .ask = tk_import_ask,
     .run = tk_data_import},
    {.name = "data info",
     .arguments = "FILE.h5...",
     .help = "what is in clip files",
     .wants = "a clip file",
     .least = 1,
     .most = INT_MAX,
     .reads = true,
     .options = TK_CMD_LOOK,
     .config = TK_CONFIG_OPTIONAL,
     .run = tk_data_info},
    {.name = "data check",
     .arguments = "FILE.h5...",
     .help = "read and verify every clip",
     .wants = "a clip file",
     .least = 1,
     .most = INT_MAX,
     .reads = true,
     .options = TK_CMD_LOOK,
     .config = TK_CONFIG_OPTIONAL,
     .run = tk_data_check},
    {.name = "train",
     .arguments = "CONFIG.yaml",
     .help = "train, or go on training",
     .wants = "a config file",
     .options = TK_CMD_TRAIN,
     .config = TK_CONFIG_FILE,
     .ask = tk_run_ask,
     .run = tk_train_command},
    {.name = "sample",
     .arguments = "STORYBOARD.yaml|JOBS.yaml [-o FILE]",
     .help = "make clips of storyboards",
     .wants = "a storyboard or job file",
     .least = 1,
     .most = 1,
     .options = TK_CMD_SAMPLE,
     .config = TK_CONFIG_LAYERED,
     .run = tk_sample_command},
    {.name = "serve",
     .arguments = "SPOOL",
     .help = "make clips of the jobs in a spool, a folder that many workers share",
     .wants = "a spool's folder",
     .least = 1,
     .most = 1,
     .options = TK_CMD_SERVE | TK_CMD_SAMPLE,
     .config = TK_CONFIG_LAYERED,
     .run = tk_serve_command},
    {.name = "jobs",
     .arguments = "SPOOL",
     .help = "what is in a spool, as a table that is drawn anew until q on a terminal, or as JSON; "
             "cancels jobs",
     .wants = "a spool's folder",
     .least = 1,
     .most = 1,
     .reads = true,
     .options = TK_CMD_JOBS,
     .config = TK_CONFIG_OPTIONAL,
     .run = tk_jobs_command},
    {.name = "verify",
     .arguments = "FILE.mp4 [-o FILE.json]",
     .help = "whether a clip's signed manifest holds, who signed it, what it was made from, and "
             "whether it is marked; exit code 1 if not",
     .wants = "an MP4 file",
     .least = 1,
     .most = 1,
     .reads = true,
     .options = TK_CMD_VERIFY,
     .config = TK_CONFIG_OPTIONAL,
     .ask = tk_verify_ask,
     .run = tk_verify_command},
    {.name = "cameo",
     .arguments =
         "list|log|challenge|enroll|grant|revoke|key|wish|take [@HANDLE] [FILM|FACE VOICE|PUBLIC]",
     .help = "people who lend faces and voices to clips: who consents to what, what was done with "
             "it",
     .wants = "list, log, challenge, enroll, grant, revoke, key, wish or take",
     .least = 1,
     .most = 4,
     .options = TK_CMD_CAMEO,
     .config = TK_CONFIG_OPTIONAL,
     .run = tk_cameo_command},
    {.name = "gallery",
     .arguments = "CLIPS -o SITE",
     .help = "a page of a folder's signed clips, to be looked at in a browser without a network",
     .wants = "a folder of clips",
     .least = 1,
     .most = 1,
     .reads = true,
     .options = TK_CMD_GALLERY,
     .config = TK_CONFIG_OPTIONAL,
     .ask = tk_gallery_ask,
     .run = tk_gallery_command},
    {.name = "plan",
     .arguments = "CONFIG.yaml|STORYBOARD.yaml|JOBS.yaml",
     .help = "memory, arithmetic and layout of a run, or of making clips, before anything is done",
     .wants = "a config file or a storyboard",
     .least = 1,
     .most = 1,
     .options = TK_CMD_PLAN | TK_CMD_SAMPLE,
     .config = TK_CONFIG_LAYERED,
     .run = tk_plan_any_command},
    {.name = "preflight",
     .arguments = "[CONFIG.yaml] [-o FILE.json]",
     .help = "name slow, wrong and different ranks and links before a long run; exit code 1 if any",
     .options = TK_CMD_PREFLIGHT | TK_CMD_TRAIN, // one command line for both
     .config = TK_CONFIG_OPTIONAL,
     .ask = tk_preflight_ask,
     .run = tk_preflight_command},
    {.name = "diff",
     .arguments = "RUN RUN",
     .help =
         "options that differ between two runs (directories or checkpoints); exit code 1 if any do",
     .wants = "a run directory or checkpoint",
     .least = 2,
     .most = 2,
     .reads = true,
     .options = TK_CMD_LOOK,
     .config = TK_CONFIG_LAYERED,
     .run = tk_diff_command},
    {.name = "eval",
     .arguments = "CHECKPOINT|CONFIG.yaml|FOLDER|FILM.mp4 [-o FILE.json]",
     .help = "measure what a model has learned of the world, or any films",
     .wants = "a checkpoint, a config file or films",
     .least = 1,
     .most = 1,
     .reads = true,
     .options = TK_CMD_EVAL,
     .config = TK_CONFIG_LAYERED,
     .ask = tk_eval_ask,
     .run = tk_eval_command},
    {.name = "parity",
     .arguments = "GOLDEN.h5",
     .help = "reproduce the reference implementation's numbers",
     .wants = "a golden file",
     .least = 1,
     .most = 1,
     .reads = true,
     .options = TK_CMD_PARITY,
     .config = TK_CONFIG_LAYERED,
     .run = tk_parity_command},
    {.name = "convert",
     .arguments = "CHECKPOINT|FILE.safetensors -o FILE.safetensors",
     .help = "weights to safetensors from a checkpoint, a run, safetensors or a folder of "
             "diffusers'; -o FOLDER: in the layout of diffusers",
     .wants = "a checkpoint, run, safetensors file or folder",
     .least = 1,
     .most = 1,
     .reads = true,
     .options = TK_CMD_CONVERT,
     .config = TK_CONFIG_LAYERED,
     .ask = tk_convert_ask,
     .run = tk_convert_command},
    {.name = "bench",
     .arguments = "CONFIG.yaml",
     .help = "speed as fractions of this machine's measured ceilings",
     .wants = "a config file",
     .options = TK_CMD_BENCH,
     .config = TK_CONFIG_FILE,
     .ask = tk_bench_ask,
     .run = tk_bench_command},
    {.name = NULL},
};

// Weak: a program of the tests brings its own and runs the same table.
__attribute__((weak)) int main(int argc, char **argv)
{
    if (tk_h5_probing(argc, argv)) return tk_h5_probe_main();
    if (tk_letters_asked(argc, argv)) return tk_letters_main();
    tk_h5_probe_by("/proc/self/exe");
    tk_letters_by("/proc/self/exe");
    tk_comm world = {0};
    tk_status st = tk_parallel_start(&argc, &argv, &world);
    if (st == TK_OK) st = tk_command_run(tk_commands, &world, argc, argv);
    return tk_parallel_end(&world, st);
}
