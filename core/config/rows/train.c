// SPDX-License-Identifier: Apache-2.0
// Options of training: plan, train, tasks, convert, preflight.
#include "core/config/rows/rows.h"

#define TASK(n, task, def, words) \
    FLT("tasks." n, tasks.weight[TK_TASK_##task], def, 0, 1e6, BINDS, "weight of the task " words)

#define OF tk_config
static const tk_option train_rows[] = {
    INT("plan.frames", plan.frames, 0, 0, 1000000, TK_CMD_PLAN,
        "frames of a clip that media and codec describe, in the place of data.files; 0 = the clips "
        "of data.files"),
    INT("plan.latents", plan.latents, 0, 0, 1000000, TK_CMD_PLAN,
        "latent frames of such a clip, where another codec makes them; 0 = plan.frames over "
        "codec.patch_frames"),
    INT("plan.caption", plan.caption, 200, 0, 1048576, TK_CMD_PLAN,
        "bytes of such a clip's caption, or rows of its text features"),
    PATH("plan.machine", plan.machine, "", TK_CMD_PLAN,
         "file of the machine to plan times for (configs/machines/); a relative path begins at the "
         "config; empty = none"),
    INT("plan.search", plan.search, 0, 0, 65536, TK_CMD_PLAN,
        "rank the layouts of so many GPUs by the planned time of a step; 0 = plan the layout that "
        "is given"),

    STR("train.out", train.out, "runs/train", TRAINS,
        "run directory: checkpoints, metrics.jsonl, config.yaml"),
    INT("train.seed", train.seed, 1, 0, SEED_MAX, BINDS,
        "seed of weights, noise, timesteps, dropout and sample order"),
    INT("train.steps", train.steps, 1000, 1, 1000000000, TRAINS, "optimizer steps"),
    INT("train.batch", train.batch, 16, 1, 1048576, BINDS, "clips of a step, over all ranks"),
    INT("train.microbatch", train.microbatch, 4, 1, 65536, TRAINS,
        "clips that a rank computes on at once"),
    INT("train.bucket", train.bucket, 40000000, 1, INT64_MAX, TRAINS,
        "weights of whole blocks that are summed and gathered over data ranks as one, about"),
    FLT("train.lr", train.lr, 2e-3, 0, 10, BINDS, "learning rate after the warm-up"),
    FLT("train.beta1", train.beta1, 0.9, 0, 0.999999, BINDS, "AdamW: decay of the mean"),
    FLT("train.beta2", train.beta2, 0.95, 0, 0.999999, BINDS, "AdamW: decay of the square"),
    FLT("train.eps", train.eps, 1e-8, 1e-20, 1, BINDS, "AdamW: epsilon"),
    FLT("train.weight_decay", train.weight_decay, 0.01, 0, 10, BINDS,
        "AdamW: weight decay, of matrices only"),
    FLT("train.clip", train.clip, 1, 0, 1e9, BINDS,
        "largest global gradient norm; longer ones are scaled down; 0 = off"),
    INT("train.warmup", train.warmup, 40, 0, 1000000000, BINDS,
        "steps of linear rise to the full rate"),
    FLT("train.constant", train.constant, 0.6, 0, 1, BINDS,
        "fraction of the steps at the full rate, after which it falls linearly"),
    FLT("train.lr_floor", train.lr_floor, 0.02, 0, 1, BINDS,
        "the rate at the last step over the full rate"),
    FLT("train.ema", train.ema, 0.998, 0, 0.999999, BINDS,
        "decay of the averaged weights; 0 = none are kept"),
    FLT("train.time_mean", train.time_mean, -0.5, -10, 10, BINDS,
        "timesteps are sigmoid(normal(time_mean, time_std)); 1 is clean"),
    FLT("train.time_std", train.time_std, 1, 0, 10, BINDS, "see time_mean"),
    FLT("train.video_shift", train.video_shift, 1, 0.01, 100, BINDS,
        "shift of the video's noise levels; more than 1 = noisier"),
    FLT("train.audio_shift", train.audio_shift, 1, 0.01, 100, BINDS,
        "shift of the audio's noise levels"),
    FLT("train.video_weight", train.video_weight, 1, 0, 1000, BINDS, "weight of the video loss"),
    FLT("train.audio_weight", train.audio_weight, 0.5, 0, 1000, BINDS, "weight of the audio loss"),
    FLT("train.drop_caption", train.drop_caption, 0.1, 0, 1, BINDS,
        "probability that a clip is shown without its caption (for guidance)"),
    FLT("train.memory", train.memory, 0.2, 0, 1, BINDS,
        "probability that a clip's first shots are given clean (for shot-by-shot sampling)"),
    ENUM("train.recompute", train.recompute, 0, 1, TRAINS | TK_CMD_PARITY,
         "activations kept for backward: all of them, or only the blocks' inputs", "none",
         "blocks"),
    ENUM(
        "train.precision", train.precision, 0, 1, BINDS,
        "numbers that the model computes in; weights are kept and updated, and sums taken, in fp32",
        "fp32", "bf16"),
    YES("train.graph", train.graph, 0, TRAINS,
        "device=cuda: steps whose shape returns are recorded as CUDA graphs and launched as a "
        "whole; the same losses to the bit"),
    INT("train.graphs", train.graphs, 8, 1, 1024, TRAINS, "graphs kept, one for each shape"),
    YES("train.deterministic", train.deterministic, 1, TRAINS,
        "the same bits each time; no = cuDNN's attention may sum gradients up as they come, faster "
        "and with little workspace"),
    INT("train.checkpoint_every", train.checkpoint_every, 500, 1, 1000000000, TRAINS,
        "steps between checkpoints"),
    INT("train.keep", train.keep, 2, 1, 1000000, TRAINS, "newest checkpoints kept"),
    INT("train.check_every", train.check_every, 0, 0, 1000000000, TRAINS,
        "steps between held-out losses of each task at fixed noise, in check.jsonl; 0 = none"),
    INT("train.check_clips", train.check_clips, 16, 1, 1000000, TRAINS,
        "held-out clips that these look at"),
    INT("train.log_every", train.log_every, 1, 1, 1000000, TRAINS,
        "steps between lines of metrics.jsonl"),
    YES("train.resume", train.resume, 1, TRAINS,
        "go on from the newest checkpoint in train.out that verifies; false = begin anew and move "
        "what is there into before-N, once in a Slurm job that is requeued"),
    ENUM("train.changes", train.changes, 0, 1, TRAINS,
         "going on with options that make another model or other losses than the checkpoint's",
         "refuse", "allow"),
    STR("train.from", train.from, "", TRAINS,
        "where weights come from when not resuming: a checkpoint, a run directory, a safetensors "
        "file or a folder in the layout of diffusers; empty = random. They are of the config's "
        "model, but model.shots=numbered may be new to them"),

    TASK("text", TEXT, 1, "of making all of a clip from its captions"),
    TASK("continue", CONTINUE, 0,
         "of going on from earlier shots, which are given; train.memory gives them to other tasks "
         "as well"),
    TASK("keyframe", KEYFRAME, 0, "of making a clip around a latent frame: its first, last or any"),
    TASK("picture_to_sound", PICTURE_TO_SOUND, 0, "of making the sound to a picture"),
    TASK("sound_to_picture", SOUND_TO_PICTURE, 0, "of making the picture to a sound"),
    TASK("span", SPAN, 0, "of making a span of time anew, picture and sound"),
    TASK("region", REGION, 0, "of making a part of the picture anew, all the time"),
    TASK("references", REFERENCES, 0,
         "of making all of a clip, given what it cites (pictures of faces, samples of voices), "
         "which captions then name by tags"),

    ENUM("convert.type", convert.type, TK_WEIGHT_BF16, TK_WEIGHT_FP32, TK_CMD_CONVERT,
         "numbers that weights are written as; bf16 rounds to nearest even", "bf16", "fp32"),
    YES("convert.average", convert.average, 1, TK_CMD_CONVERT,
        "the averaged weights, where the checkpoint has them; no = those that training goes on "
        "from"),
    FLT("convert.shard", convert.shard, 5000, 0.001, 1e9, TK_CMD_CONVERT,
        "MiB of a file of a folder, at most, unless one tensor has more"),

    FLT("preflight.slow", preflight.slow, 0.8, 0, 1, TK_CMD_PREFLIGHT,
        "part of the median below which a rank or link counts as slow"),
    FLT("preflight.seconds", preflight.seconds, 1, 0.001, 3600, TK_CMD_PREFLIGHT,
        "how long each figure of a rank is measured"),
    INT("preflight.side", preflight.side, 0, 0, 65536, TK_CMD_PREFLIGHT,
        "side of the matrix product; 0 = as large as the device needs to be at its best"),
    INT("preflight.mib", preflight.mib, 64, 1, 1024, TK_CMD_PREFLIGHT,
        "MiB that copies and messages move"),
    INT("preflight.memory", preflight.memory, 1024, 0, 16777216, TK_CMD_PREFLIGHT,
        "MiB of a rank's device memory that are written and read back"),
};
const tk_rows tk_train_rows = ROWS(train_rows);
