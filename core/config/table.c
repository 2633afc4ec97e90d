// SPDX-License-Identifier: Apache-2.0
// The table of options: one row each. Everything that knows an option's name, type, default or
// bounds reads it here.
#include "core/config/table.h"
#include "core/base/edits.h"
#include <stdio.h>
#include <string.h>

// Rows below are of the struct that OF names.
#define AT(field) offsetof(OF, field)
#define INT(n, field, def, lo, hi, cmds, words)                                                  \
    {                                                                                            \
        .name = n, .kind = TK_OPT_INT, .offset = AT(field), .idef = def, .imin = lo, .imax = hi, \
        .commands = cmds, .help = words                                                          \
    }
#define FLT(n, field, def, lo, hi, cmds, words)                                                    \
    {                                                                                              \
        .name = n, .kind = TK_OPT_FLOAT, .offset = AT(field), .fdef = def, .fmin = lo, .fmax = hi, \
        .commands = cmds, .help = words                                                            \
    }
#define YES(n, field, def, cmds, words)                                                         \
    {                                                                                           \
        .name = n, .kind = TK_OPT_BOOL, .offset = AT(field), .idef = def, .imin = 0, .imax = 1, \
        .commands = cmds, .help = words                                                         \
    }
#define STR(n, field, def, cmds, words)                                                       \
    {                                                                                         \
        .name = n, .kind = TK_OPT_STRING, .offset = AT(field), .sdef = def, .commands = cmds, \
        .help = words                                                                         \
    }
#define PATH(n, field, def, cmds, words)                                                  \
    {                                                                                     \
        .name = n, .kind = TK_OPT_STRING, .offset = AT(field), .sdef = def, .path = true, \
        .commands = cmds, .help = words                                                   \
    }
#define ENUM(n, field, def, last, cmds, words, ...)                                                \
    {                                                                                              \
        .name = n, .kind = TK_OPT_ENUM, .offset = AT(field), .idef = def, .imin = 0, .imax = last, \
        .names = {__VA_ARGS__}, .commands = cmds, .help = words                                    \
    }
#define LIST(n, field, number, most, cmds, words)                                               \
    {                                                                                           \
        .name = n, .kind = TK_OPT_STRINGS, .offset = AT(field), .count = AT(number), .imin = 0, \
        .imax = most, .commands = cmds, .help = words                                           \
    }
#define INTS(n, field, number, lo, hi, cmds, words)                                           \
    {                                                                                         \
        .name = n, .kind = TK_OPT_INTS, .offset = AT(field), .count = AT(number), .imin = lo, \
        .imax = hi, .commands = cmds, .help = words                                           \
    }
#define ITEMS(n, field, number, table, most, cmds, words)                             \
    {                                                                                 \
        .name = n, .kind = TK_OPT_ITEMS, .items = &table, .offset = AT(field),        \
        .count = AT(number), .imin = 0, .imax = most, .commands = cmds, .help = words \
    }

#define TASK(n, task, def, words) \
    FLT("tasks." n, tasks.weight[TK_TASK_##task], def, 0, 1e6, BINDS, "weight of the task " words)

enum {
    // Groups of commands.
    DATA = TK_CMD_DATA,
    SAMPLE = TK_CMD_SAMPLE,
    EVAL = TK_CMD_EVAL,
    TRAINS = TK_CMD_TRAIN | TK_CMD_PLAN | TK_CMD_BENCH,
    BINDS = TRAINS | TK_OPTION_BINDS,
    MEDIA = TK_CMD_DATA | TRAINS | TK_CMD_EVAL,
    MESH = TRAINS | TK_CMD_SAMPLE | TK_CMD_EVAL | TK_CMD_PARITY,
    SAMPLES = TK_CMD_SAMPLE | TRAINS | TK_CMD_EVAL
};
#define SEED_MAX INT64_MAX

#define TABLE(rows, name)                                           \
    {                                                               \
        rows, (int)(sizeof rows / sizeof rows[0]), sizeof(OF), name \
    }

#define OF tk_shot_config
static const tk_option shot_rows[] = {
    FLT("seconds", seconds, 0, 0.001, 600, SAMPLE, "length of the shot"),
    STR("prompt", prompt, "", SAMPLE, "what is seen and heard"),
    STR("camera", camera, "", SAMPLE,
        "how it is filmed: put first of its words, as in \"close: \""),
    STR("style", style, "", SAMPLE,
        "words put before its prompt in place of the storyboard's style"),
    INT("seed", seed, 0, 0, 200000, SAMPLE,
        "noise of its own: another number, another shot; 0 = as the storyboard's seed has it"),
    STR("features", features, "", SAMPLE,
        "for a model of text features: .npy of the prompt's, as its encoder makes them"),
    LIST("references", references, n_references, 64, SAMPLE,
         "media files given as clean rows to this shot"),
    INTS(
        "remember", remember, n_remember, 0, 4999, SAMPLE,
        "earlier shots, counted from 0, whose latents are given to this one, which is then made by "
        "itself; auto = by the words of prompts, and the last ones"),
};
static const tk_table shot_table = TABLE(shot_rows, "shot");
#undef OF

#define OF tk_keyframe_config
static const tk_option keyframe_rows[] = {
    FLT("at", at, 0, 0, 1e6, SAMPLE, "seconds into the storyboard"),
    STR("picture", picture, "", SAMPLE, "media file whose first picture is given there"),
};
static const tk_table keyframe_table = TABLE(keyframe_rows, "keyframe");
#undef OF

#define OF tk_cast_config
static const tk_option cast_rows[] = {
    STR("tag", tag, "", SAMPLE, "its name in prompts, there between < and >, as \"face 1\""),
    STR("file", file, "", SAMPLE, "media file: a picture, a sound or both"),
};
static const tk_table cast_table = TABLE(cast_rows, "member of the cast");
#undef OF

#define OF tk_config
static const tk_option config_rows[] = {
    // A storyboard or job file: no prefix.
    STR("checkpoint", story.checkpoint, "", SAMPLE | TK_CMD_PARITY,
        "checkpoint file, run directory whose newest checkpoint is taken, safetensors file, or "
        "folder in the layout of diffusers; a relative path begins where talkie runs, else at the "
        "storyboard; parity: the weights, in the place of the golden's"),
    {.name = "size",
     .kind = TK_OPT_SIZE,
     .offset = AT(story.size),
     .idef = 0,
     .imin = 0,
     .imax = 8192,
     .commands = SAMPLE,
     .help = "width and height in pixels; 0 = as trained"},
    INT("fps", story.fps, 0, 0, 240, SAMPLE, "frames per second; 0 = as trained"),
    INT("seed", story.seed, 1, 0, SEED_MAX, SAMPLE,
        "the same seed gives the same clip, on any layout"),
    STR("empty_features", story.empty_features, "", SAMPLE,
        "for a model of text features: .npy of an empty caption's, which guidance leads away from; "
        "empty = as trained"),
    STR("style", story.style, "", SAMPLE, "words put before every prompt"),
    STR("negative", story.negative, "", SAMPLE,
        "what is not to be seen and heard: guidance leads away from it, not from an empty caption"),
    STR("output", story.output, "",
        DATA | SAMPLE | EVAL | TK_CMD_PREFLIGHT | TK_CMD_CONVERT | TK_CMD_VERIFY | TK_CMD_GALLERY,
        "output file (-o); for a clip without suffix, empty = clips/ and the storyboard's name"),
    ITEMS("shots", story.shots, story.n_shots, shot_table, 5000, SAMPLE,
          "the shots, in order; each has the keys below"),
    LIST("references", story.references, story.n_references, 64, SAMPLE,
         "media files given as clean rows before the first shot"),
    ITEMS("cast", story.cast, story.n_cast, cast_table, 64, SAMPLE,
          "references that prompts name by their tags, as <face 1>; those of one number are of one "
          "character"),
    LIST("cameo", story.cameo, story.n_cameo, 8, SAMPLE,
         "handles of people who lend their faces and voices (docs/cameo.md), as [ada, \"@bo\", "
         "\"carl:voice\"]; the first is <face 1> and <voice 1> in prompts"),
    ITEMS("keyframes", story.keyframes, story.n_keyframes, keyframe_table, 1000, SAMPLE,
          "pictures that the clip shows at given times"),
    STR("sound", story.sound, "", SAMPLE, "media file whose sound is given, for its picture"),
    STR("picture", story.picture, "", SAMPLE,
        "media file whose pictures are given, for their sound"),
    STR("remix.clip", story.remix.clip, "", SAMPLE,
        "media file that is given but for a part that is made anew (docs/remix.md); a storyboard "
        "without shots has those of a clip of talkie's"),
    INTS("remix.shots", story.remix.shots, story.remix.n_shots, 0, 4999, SAMPLE,
         "the shots that are made, counted from 0; auto = those of remix.from to remix.to"),
    INT("remix.at", story.remix.at, 0, 0, 4999, SAMPLE,
        "the shot with which the clip begins, where the storyboard's go beyond it: those before "
        "and "
        "after it are made"),
    FLT("remix.from", story.remix.from, 0, 0, 1e6, SAMPLE, "seconds where the part begins"),
    FLT("remix.to", story.remix.to, 0, 0, 1e6, SAMPLE, "seconds where it ends; 0 = at the end"),
    FLT("remix.left", story.remix.left, 0, 0, 1, SAMPLE,
        "its left side, as a part of the width; a part of the picture keeps its sound"),
    FLT("remix.top", story.remix.top, 0, 0, 1, SAMPLE, "its upper side, of the height"),
    FLT("remix.right", story.remix.right, 1, 0, 1, SAMPLE, "its right side"),
    FLT("remix.bottom", story.remix.bottom, 1, 0, 1, SAMPLE, "its lower side"),
    STR("remix.prompt", story.remix.prompt, "", SAMPLE,
        "what is seen and heard in the shots that are made, in place of their prompts"),
    FLT("remix.strength", story.remix.strength, 1, 0.001, 1, SAMPLE,
        "how much of what was there is noise before it is made anew: 1 = all of it, with fewer "
        "steps the less it is"),
    LIST("remix.keep", story.remix.keep, story.remix.n_keep, 2, SAMPLE,
         "what is kept of the shots that are made: sound or picture"),
    LIST("storyboards", jobs.storyboards, jobs.n_storyboards, 10000, SAMPLE,
         "a job file: storyboard files to sample, spread over the data ranks"),
    INT("job.priority", job.priority, 5, 0, 9, TK_CMD_SERVE,
        "in a spool: which jobs come first, 0 before 9; of one priority the older"),
    INT("job.deadline", job.deadline, 0, 0, 1000000000, TK_CMD_SERVE,
        "seconds after it was taken in by which a job must be done, else it fails; 0 = none"),
    INT("job.tries", job.tries, 3, 1, 1000, TK_CMD_SERVE,
        "how often a job is begun, where workers are lost with it or fail for reasons that may "
        "pass, before it has failed"),
    FLT("serve.lease", serve.lease, 30, 0.05, 86400, TK_CMD_SERVE,
        "seconds without a sign of life after which this worker's job is another's"),
    FLT("serve.poll", serve.poll, 2, 0.01, 3600, TK_CMD_SERVE,
        "seconds between looks at a spool in which there is nothing to do"),
    FLT("serve.idle", serve.idle, 0, 0, 1e9, TK_CMD_SERVE,
        "ends after so many seconds without a job; 0 = waits for ever"),
    YES("serve.once", serve.once, 0, TK_CMD_SERVE,
        "ends when nothing waits for this worker and nothing runs"),
    YES("serve.open", serve.open, 0, TK_CMD_SERVE,
        "jobs may name any file that the worker can read, not only those of the spool's files/: "
        "for a spool that only its owner can drop into"),
    INT("serve.memory", serve.memory, 0, 0, 1073741824, TK_CMD_SERVE,
        "MiB that a rank may take for the jobs in hand; one that needs more alone is left to "
        "others; 0 = as much as its device has"),
    INT("serve.together", serve.together, 1, 1, 64, TK_CMD_SERVE,
        "jobs that a worker makes at once: windows of the same schedule are documents of one step, "
        "and as one job ends the next joins; each clip is what it is alone; on a GPU one"),
    STR("jobs.cancel", listing.cancel, "", TK_CMD_JOBS,
        "name of a job that is to be cancelled, whether it waits or runs; nothing is shown"),
    YES("jobs.json", listing.json, 0, TK_CMD_JOBS,
        "prints the jobs once, as JSON, a line each, with all that their job.json say"),
    YES("jobs.once", listing.once, 0, TK_CMD_JOBS, "prints the table once, on a terminal too"),
    FLT("jobs.every", listing.every, 2, 0.1, 3600, TK_CMD_JOBS,
        "seconds between looks where the table is drawn anew"),
    ENUM("device", parallel.device, TK_DEVICE_AUTO, TK_DEVICE_CUDA, MESH,
         "what each rank computes on: a GPU each where all ranks have one and else the processor, "
         "the processor, plain loops, or a GPU of NVIDIA's",
         "auto", "cpu", "ref", "cuda"),
    ENUM("attention", parallel.attention, TK_ATTENTION_AUTO, TK_ATTENTION_CUDNN, MESH,
         "who does attention on a GPU: cuDNN, where it is there, in bf16 and where its workspace "
         "fits, and else our own kernels; our own kernels; or cuDNN, or the end where it cannot",
         "auto", "own", "cudnn"),
    INT("attention_workspace", parallel.attention_workspace, 3072, 1, 1048576, MESH,
        "MiB of memory that cuDNN may take to do attention: its calls are cut by documents and "
        "heads until they fit"),

    // The model, under the names of the public checkpoints' config.
    INT("model.hidden", model.hidden, 192, 1, 65536, BINDS, "width of the stream"),
    INT("model.heads", model.heads, 4, 1, 1024, BINDS, "attention heads"),
    INT("model.head_dim", model.head_dim, 48, 2, 1024, BINDS,
        "channels of a head; heads * head_dim need not be hidden"),
    INT("model.layers", model.layers, 6, 1, 1024, BINDS, "blocks"),
    INT("model.refiner_layers", model.refiner_layers, 1, 0, 64, BINDS,
        "blocks of the token refiner over the text rows"),
    INT("model.ffn", model.ffn, 512, 1, 1048576, BINDS, "inner width of the SwiGLU feed-forward"),
    INT("model.video_channels", model.video_channels, 0, 0, 65536, BINDS,
        "channels of a video row; 0 = as the clips' codec makes them"),
    INT("model.audio_channels", model.audio_channels, 0, 0, 65536, BINDS,
        "channels of an audio row; 0 = as the clips' codec makes them"),
    INT("model.text_channels", model.text_channels, 64, 1, 65536, BINDS,
        "channels of a text row: of the encoder's features, or of the byte table"),
    ENUM("model.text", model.text, TK_TEXT_BYTES, TK_TEXT_FEATURES, BINDS,
         "text rows are UTF-8 bytes through a learned table, or features of an encoder", "bytes",
         "features"),
    ENUM("model.given", model.given, TK_GIVEN_ALL, TK_GIVEN_OWN, BINDS,
         "given rows of pictures and sound (memory, references, what a task gives) attend to all "
         "rows, as published, or to given ones alone: then they are computed once a window, not in "
         "every step",
         "all", "own"),
    INT("model.freq_dim", model.freq_dim, 64, 2, 8192, BINDS,
        "channels of the timestep's sinusoid"),
    INT("model.time_hidden", model.time_hidden, 192, 1, 65536, BINDS,
        "inner width of the timestep MLP"),
    INT("model.time_dim", model.time_dim, 96, 1, 65536, BINDS,
        "width of the timestep embedding that the blocks see"),
    INT("model.rope_freq_dim", model.rope_freq_dim, 8, 1, 256, BINDS,
        "rotary frequencies of each of the three axes; 6 times this is at most head_dim"),
    FLT("model.rope_theta", model.rope_theta, 10000, 1, 1e12, BINDS, "base of the rotary periods"),
    FLT("model.norm_eps", model.norm_eps, 1e-5, 1e-12, 1, BINDS, "epsilon of the blocks' norms"),
    FLT("model.qk_norm_eps", model.qk_norm_eps, 1e-5, 1e-12, 1, BINDS,
        "epsilon of the norms of queries and keys"),
    FLT("model.final_norm_eps", model.final_norm_eps, 1e-5, 1e-12, 1, BINDS,
        "epsilon of the output norm"),

    INT("parallel.tensor", parallel.tensor, 0, 0, 1048576, MESH,
        "ranks that share heads, feed-forward columns and rows; 0 = chosen from the world size"),
    INT("parallel.pipeline", parallel.pipeline, 0, 0, 1048576, MESH,
        "ranks that share out the blocks; 0 = chosen from the world size"),
    INT("parallel.guidance", parallel.guidance, 1, 1, 2, TK_CMD_SAMPLE | TK_CMD_PLAN | TK_CMD_EVAL,
        "ranks that share out the branches of guidance, the model with captions and without; the "
        "same numbers either way"),
    INT("parallel.data", parallel.data, 0, 0, 1048576, MESH,
        "ranks that share out the batch; 0 = chosen from the world size"),
    YES("parallel.share_gpu", parallel.share_gpu, 0, MESH,
        "whether several ranks may compute on one GPU"),
    INT("parallel.threads", parallel.threads, 0, 0, 4096, MESH | TK_CMD_DATA,
        "threads per rank; 0 = cores of the node / ranks on it"),

    ENUM("parallel.schedule", parallel.schedule, TK_SCHEDULE_1F1B, 2, TK_CMD_TRAIN | TK_CMD_PLAN,
         "order of the microbatches' forwards and backwards on pipeline stages", "1f1b",
         "interleaved", "zb-h1"),
    INT("parallel.chunks", parallel.chunks, 1, 1, 1024, TK_CMD_TRAIN | TK_CMD_PLAN,
        "runs of blocks on a pipeline stage; 2 or more for parallel.schedule interleaved"),
    YES("parallel.overlap_messages", parallel.overlap_messages, 1, TK_CMD_TRAIN | TK_CMD_PLAN,
        "whether pipeline stages compute while their messages move; the same numbers either way"),
    INT("parallel.row_pieces", parallel.row_pieces, 0, 0, 64, MESH,
        "pieces in which each tensor rank's rows go to the others, each multiplied by itself; 0: "
        "all rows at once"),
    YES("parallel.overlap_rows", parallel.overlap_rows, 1, MESH,
        "whether such pieces move while others are multiplied; the same numbers either way"),
    YES("parallel.overlap_gradients", parallel.overlap_gradients, 1, TK_CMD_TRAIN | TK_CMD_PLAN,
        "whether gradients are summed over ranks while backward goes on; the same numbers either "
        "way"),
    YES("parallel.overlap_weights", parallel.overlap_weights, 1, TK_CMD_TRAIN | TK_CMD_PLAN,
        "whether the next forward begins while new weights are gathered; the same numbers either "
        "way"),
    YES("parallel.register_buffers", parallel.register_buffers, 0, TK_CMD_TRAIN | TK_CMD_PLAN,
        "whether all that GPUs send each other lies in memory registered with NCCL, which then "
        "needs "
        "no copies of it, as much on each as the fullest needs; the same numbers either way; "
        "device=cuda"),

    INT("media.width", media.width, 64, 8, 8192, MEDIA, "pixels"),
    INT("media.height", media.height, 64, 8, 8192, MEDIA, "pixels"),
    INT("media.fps", media.fps, 8, 1, 240, MEDIA, "frames per second"),
    INT("media.sample_rate", media.sample_rate, 8000, 1000, 384000, MEDIA,
        "audio samples per second"),
    INT("media.channels", media.channels, 1, 1, 2, MEDIA, "audio channels: mono or stereo"),

    ENUM("codec.video", codec.video, TK_PICTURE_PATCH, TK_PICTURE_LAPPED, MEDIA,
         "how pictures become rows: principal components of patches; or waves that lap over the "
         "edges between patches, which show no seams and lose less",
         "patch", "lapped"),
    ENUM("codec.audio", codec.audio, TK_SOUND_MDCT, TK_SOUND_VOCODER, MEDIA,
         "how sound becomes rows: principal components of MDCT frames, which keep the wave; or of "
         "a smooth spectrum, with pitch and voices, in which a small model can learn to speak",
         "mdct", "vocoder"),
    INT("codec.patch_frames", codec.patch_frames, 2, 1, 64, MEDIA, "frames of a video row"),
    INT("codec.patch_size", codec.patch_size, 16, 1, 256, MEDIA,
        "side of a video row in pixels; divides media.width and media.height"),
    INT("codec.video_channels", codec.video_channels, 64, 1, 65536, MEDIA,
        "components kept of a video patch"),
    INT("codec.audio_hop", codec.audio_hop, 400, 1, 65536, MEDIA, "samples of an audio row"),
    INT("codec.audio_channels", codec.audio_channels, 64, 1, 65536, MEDIA,
        "components kept of an audio row"),
    INT("codec.fit_clips", codec.fit_clips, 200, 1, 1000000, MEDIA,
        "clips the closed-form fit looks at"),
    PATH(
        "codec.from", codec.from, "", DATA,
        "file whose codec clips are made with, so that a model trained on it goes on with them: a "
        "clip file, a checkpoint, a codec file, or safetensors of talkie's; a relative path begins "
        "at the config; empty = fit one"),
    PATH("codec.file", codec.file, "", MEDIA | SAMPLE | TK_CMD_LOOK | TK_CMD_CONVERT,
         "file of the codec that clip files and checkpoints refer to; a relative path begins at "
         "the config"),
    ENUM("codec.store", codec.store, TK_CODEC_CARRY, TK_CODEC_REFER, TK_CMD_DATA | TRAINS,
         "clip files and checkpoints carry their codec, or refer to codec.file, which is written "
         "if it is not there",
         "carry", "refer"),

    INT("world.clips", world.clips, 2000, 1, 1000000000, DATA | EVAL, "clips to make"),
    INT("world.seed", world.seed, 1, 0, SEED_MAX, DATA | EVAL, "the world the clips are of"),
    INT("world.first", world.first, 0, 0, 1000000000000, DATA | EVAL, "index of the first clip"),
    FLT("world.seconds", world.seconds, 3, 0.1, 600, DATA | EVAL,
        "length of a clip, all shots together"),
    INT("world.max_shots", world.max_shots, 3, 1, 8, DATA | EVAL,
        "clips have from one to this many shots"),
    INT("world.things", world.things, 2, 0, 2, DATA | EVAL, "a clip has at most so many things"),
    INT("world.people", world.people, 2, 0, 2, DATA | EVAL, "a clip has at most so many people"),
    YES("world.speech", world.speech, 1, DATA | EVAL, "whether people speak"),
    YES("world.soundscapes", world.soundscapes, 1, DATA,
        "whether sets are heard; in silence a model learns to speak with fewer clips"),
    INT("world.sets", world.sets, 4, 1, 4, DATA | EVAL,
        "the first so many of room, street, beach and workshop"),
    INT("world.styles", world.styles, 3, 1, 3, DATA | EVAL,
        "the first so many of natural, noir and anime"),
    ENUM(
        "world.held_out", world.held_out, TK_HELD_WITHOUT, TK_HELD_ONLY, DATA | EVAL,
        "two characters, the workshop and green crates: in no clip, in some, or every clip has one "
        "of them; of people, sets and things eval then counts only these",
        "without", "with", "only"),
    FLT("world.strangers", world.strangers, 0, 0, 1, DATA,
        "share of clips with people in which one of them is of no cast, with a face and a voice of "
        "that clip alone"),
    FLT("world.references", world.references, 0, 0, 1, DATA,
        "share of people whose faces, voices or both clips cite: the task `references` needs some"),

    FLT("import.clip_seconds", import.clip_seconds, 3, 0.1, 600, DATA,
        "media are cut to clips of this length"),
    FLT("import.min_seconds", import.min_seconds, 1, 0.1, 600, DATA, "shorter rests are dropped"),
    STR("import.empty_features", import.empty_features, "", DATA,
        ".npy of an empty caption's text features, where captions have some (a .npy beside each "
        "media file); empty = a row of zeros"),
    ENUM("import.bad", import.bad, TK_BAD_SKIP, TK_BAD_STOP, DATA,
         "files that cannot be read and clips that hold damage: left out and named, or the end",
         "skip", "stop"),

    LIST("data.files", data.files, data.n_files, 10000, TRAINS | EVAL, "clip files"),
    LIST("data.check", data.check, data.n_check, 1000, TRAINS,
         "clip files for train.check_every that are not trained on; none = those of "
         "data.hold_out"),
    INT("data.hold_out", data.hold_out, 0, 0, 1000000000, BINDS,
        "clips at the end of data.files that are held out of training"),
    INT("data.threads", data.threads, 1, 1, 256, TRAINS, "loader threads of a rank"),
    INT("data.prefetch", data.prefetch, 2, 1, 1024, TRAINS, "steps loaded ahead"),
    INT("data.max_bad", data.max_bad, 100, 1, 1000000, TRAINS,
        "bad samples in a row that stop the run"),

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
        "go on from the newest checkpoint in train.out that verifies"),
    ENUM("train.changes", train.changes, 0, 1, TRAINS,
         "going on with options that make another model or other losses than the checkpoint's",
         "refuse", "allow"),
    STR("train.from", train.from, "", TRAINS,
        "where weights come from when not resuming: a checkpoint, a run directory, a safetensors "
        "file or "
        "a folder in the layout of diffusers; empty = random"),

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

    INT("sample.steps", sample.steps, 24, 1, 10000, SAMPLES,
        "noise levels at which the model is asked, once at each, whatever the solver"),
    ENUM("sample.solver", sample.solver, TK_SOLVER_MULTISTEP, TK_SOLVER_MULTISTEP, SAMPLES,
         "how rows go on from what the model answers: by it alone, in pairs of steps of which the "
         "first finds the velocity halfway, or by it and the answer before",
         "euler", "midpoint", "multistep"),
    FLT("sample.guidance", sample.guidance, 2.5, 0, 100, SAMPLES,
        "classifier-free guidance; 1 = none, and half the work"),
    FLT("sample.video_shift", sample.video_shift, 3, 0.01, 100, SAMPLES,
        "shift of the video's schedule"),
    FLT("sample.audio_shift", sample.audio_shift, 3, 0.01, 100, SAMPLES,
        "shift of the audio's schedule"),
    YES("sample.ema", sample.ema, 1, SAMPLES, "averaged weights, if the checkpoint has them"),
    FLT("sample.window", sample.window, 0, 0, 600, SAMPLES,
        "seconds sampled at once, longer storyboards go shot by shot; 0 = as trained"),
    YES("sample.keep_given", sample.keep_given, 1, SAMPLES,
        "keys and values of given rows are computed once a window, where model.given is own"),
    YES("sample.latents", sample.latents, 1, SAMPLE,
        "a clip's latents stay beside it, as OUTPUT.latents, so that it can be remixed from what "
        "was made and not from its film"),
    YES("sample.graph", sample.graph, 0, SAMPLES,
        "device=cuda: the steps of a window are recorded as a CUDA graph and launched as a whole; "
        "the same clip to the bit"),

    STR("provenance.key", provenance.key, "", SAMPLE,
        "private key in PEM by which clips are signed (docs/provenance.md), with provenance.chain; "
        "empty = they are not signed"),
    STR("provenance.chain", provenance.chain, "", SAMPLE,
        "certificates in PEM: the key's own, then who issued it, and so on"),
    STR("provenance.anchors", provenance.anchors, "", TK_CMD_VERIFY | TK_CMD_GALLERY,
        "certificates in PEM of those whose signers are trusted; empty = nobody is, and only what "
        "was signed is checked"),

    STR("watermark.key", watermark.key, "", SAMPLE | TK_CMD_VERIFY | TK_CMD_GALLERY,
        "file of 16 to 4096 bytes that nobody can guess, under which clips are marked invisibly in "
        "picture and sound (docs/watermark.md), or marks are looked for; empty = neither"),
    STR("watermark.payload", watermark.payload, "", SAMPLE,
        "what the mark says, up to 16 hexadecimal digits; clips that are small or short say the "
        "last 4; empty = the clip's digest"),
    FLT("watermark.strength", watermark.strength, 1, 0.1, 1, SAMPLE,
        "part of the mark's full strength: less is seen and heard less, and survives less"),

    STR("consent.store", consent.store, "", SAMPLE | TK_CMD_CAMEO,
        "folder in which cameos are kept (docs/cameo.md)"),
    STR("consent.keys", consent.keys, "", SAMPLE | TK_CMD_CAMEO,
        "folder of the keys that open them; empty = keys in consent.store"),
    STR("consent.registrar", consent.registrar, "", SAMPLE | TK_CMD_CAMEO,
        "public key in PEM of the registrar, without whose signature a cameo serves its owner "
        "alone; empty = nobody's counts"),
    STR("consent.hook", consent.hook, "", SAMPLE | TK_CMD_CAMEO,
        "program that is told of each use, by no shell: HOOK EVENT @HANDLE UID TIME CLIP"),
    STR("consent.sign", consent.sign, "", TK_CMD_CAMEO,
        "the registrar's private key of Ed25519 in PEM, for enroll and grant"),
    LIST("consent.users", consent.users, consent.n_users, 64, TK_CMD_CAMEO,
         "whom grant allows to make clips: names or numbers of users, or everyone"),
    LIST("consent.uses", consent.uses, consent.n_uses, 3, TK_CMD_CAMEO,
         "for what: face, voice, remix; empty = face and voice"),
    STR("consent.until", consent.until, "", TK_CMD_CAMEO,
        "the last day that grant covers, YYYY-MM-DD, in UTC"),

    STR("gallery.takedown", gallery.takedown, "", TK_CMD_GALLERY,
        "YAML file of clips that are left out with all that was made from them (docs/gallery.md); "
        "empty = none"),

    PATH("filter.policy", filter.policy, "", SAMPLE,
         "file of words, patterns and names that are refused (docs/filters.md); empty = none are"),
    PATH("filter.log", filter.log, "", SAMPLE,
         "file that every decision of the filter is added to, a line of JSON each; needed where "
         "there is a policy"),

    STR("eval.checkpoint", eval.checkpoint, "", EVAL,
        "checkpoint file, run directory, safetensors file or folder in the layout of diffusers"),
    INT("eval.clips", eval.clips, 16, 1, 1000000, EVAL, "held-out clips of the world to sample"),
    INT("eval.pictures", eval.pictures, 1, 0, 8, EVAL,
        "so many of the model's best and of its worst clips are drawn beside the report"),
    INT("eval.shown", eval.shown, 150, 1, 100000, EVAL,
        "clips that judges are shown, with what is in them, before they judge others"),
    YES("eval.references", eval.references, 0, EVAL,
        "whether people are given by pictures of their faces and samples of their voices, named by "
        "tags alone; the same with those of other people is measured beside it"),
    INT("eval.long", eval.long_shots, 0, 0, 10000, EVAL,
        "also sample each clip's shots again and again until there are so many, and compare the "
        "last telling with the first; 0 = not"),
    LIST("eval.tasks", eval.tasks, eval.n_tasks, TK_TASKS, EVAL,
         "tasks of training to ask for as well, each clip with the rows that they give and with "
         "another clip's: continue, keyframe, picture_to_sound, sound_to_picture, span, region, or "
         "all; each takes about as long as all else"),
    INT("eval.seed", eval.seed, 1, 0, SEED_MAX, EVAL, "seed of the sampling"),
    INT("eval.first", eval.first, 1000000000, 0, 1000000000000, EVAL,
        "index of the first held-out clip of the world"),

    ENUM("log.level", log_level, 1, 2, TK_CMD_ALL, "what is told on the way", "quiet", "normal",
         "verbose"),
};
const tk_table tk_config_table = TABLE(config_rows, "config");
#undef OF

const char *tk_command_name(unsigned command)
{
    switch (command) {
    case TK_CMD_DATA:
        return "talkie data";
    case TK_CMD_TRAIN:
        return "talkie train";
    case TK_CMD_SAMPLE:
        return "talkie sample";
    case TK_CMD_PLAN:
        return "talkie plan";
    case TK_CMD_PARITY:
        return "talkie parity";
    case TK_CMD_BENCH:
        return "talkie bench";
    case TK_CMD_EVAL:
        return "talkie eval";
    case TK_CMD_PREFLIGHT:
        return "talkie preflight";
    case TK_CMD_CONVERT:
        return "talkie convert";
    case TK_CMD_SERVE:
        return "talkie serve";
    case TK_CMD_VERIFY:
        return "talkie verify";
    case TK_CMD_JOBS:
        return "talkie jobs";
    case TK_CMD_CAMEO:
        return "talkie cameo";
    case TK_CMD_GALLERY:
        return "talkie gallery";
    case TK_CMD_LOOK:
        return "talkie data info/check";
    default:
        return "talkie";
    }
}

const tk_option *tk_option_find(const tk_table *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->row[i].name, name) == 0) return &t->row[i];
    return NULL;
}

bool tk_option_of(const tk_option *o, unsigned command)
{
    return command == 0 || (o->commands & command) != 0;
}

bool tk_option_is_section(const tk_table *t, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < t->n; i++)
        if (n > 0 && strncmp(t->row[i].name, name, n) == 0 && t->row[i].name[n] == '.') return true;
    return false;
}

int tk_option_section_length(const tk_option *o)
{
    const char *dot = strchr(o->name, '.');
    return dot ? (int)(dot - o->name) + 1 : 0;
}

bool tk_option_opens_section(const tk_option *o, const tk_option *before)
{
    const int n = tk_option_section_length(o);
    return !before || tk_option_section_length(before) != n ||
           strncmp(o->name, before->name, (size_t)n) != 0;
}

const char *tk_option_section_now(const char *name)
{
    static const char *const now[][2] = {{"stage", "world"}, {"remake", "remix"}};
    for (size_t i = 0; i < sizeof now / sizeof *now; i++)
        if (!strcmp(name, now[i][0])) return now[i][1];
    return NULL;
}

const char *tk_option_now(const char *name)
{
    static const char *const now[][2] = {{"train.init", "train.from"},
                                         {"import.codec", "codec.from"}};
    for (size_t i = 0; i < sizeof now / sizeof *now; i++)
        if (!strcmp(name, now[i][0])) return now[i][1];
    return NULL;
}

static void set_default(const tk_option *o, void *base)
{
    void *at = tk_option_at(o, base);
    switch (o->kind) {
    case TK_OPT_INT:
    case TK_OPT_BOOL:
    case TK_OPT_ENUM:
        *(int64_t *)at = o->idef;
        break;
    case TK_OPT_FLOAT:
        *(double *)at = o->fdef;
        break;
    case TK_OPT_STRING:
        *(const char **)at = o->sdef;
        break; // a literal, never written to
    case TK_OPT_SIZE:
        ((int64_t *)at)[0] = ((int64_t *)at)[1] = o->idef;
        break;
    case TK_OPT_STRINGS:
    case TK_OPT_INTS:
    case TK_OPT_ITEMS:
        *(void **)at = NULL;
        *tk_option_count_at(o, base) = 0;
        break;
    }
}

void tk_table_default(const tk_table *t, void *base)
{
    for (int i = 0; i < t->n; i++) set_default(&t->row[i], base);
}

// ---- a walk over all rows ----

tk_row tk_row_first(const tk_table *t)
{
    return (tk_row){.level = {{.table = t}}};
}

bool tk_row_next(tk_row *r)
{
    const tk_option *last = r->option;
    if (last && last->kind == TK_OPT_ITEMS && r->depth + 1 < TK_ITEMS_DEPTH) {
        size_t n = strlen(r->name);
        n += (size_t)snprintf(r->name + n, sizeof r->name - n, "[].");
        r->level[++r->depth].table = last->items;
        r->level[r->depth].next = 0;
        r->level[r->depth].name = n;
    }
    while (r->depth > 0 && r->level[r->depth].next == r->level[r->depth].table->n) r->depth--;
    const tk_table *t = r->level[r->depth].table;
    if (r->level[r->depth].next == t->n) return false;
    r->option = &t->row[r->level[r->depth].next++];
    const size_t n = r->level[r->depth].name;
    snprintf(r->name + n, sizeof r->name - n, "%s", r->option->name);
    if (r->depth == 0) r->commands = r->option->commands;
    return true;
}

// ---- suggestions ----

const char *tk_option_nearest(const tk_table *t, const char *name, unsigned command, bool sections)
{
    static _Thread_local char nearest[TK_NAME_MAX];
    int least = 1 << 30;
    nearest[0] = 0;
    for (tk_row r = tk_row_first(t); tk_row_next(&r);) {
        const char *dot = strrchr(r.name, '.');
        if ((command && !(r.commands & command)) || (sections && (!dot || r.depth))) continue;
        char own[TK_NAME_MAX];
        snprintf(own, sizeof own, "%.*s", sections ? (int)(dot - r.name) : TK_NAME_MAX, r.name);
        int d = tk_edit_distance(name, own);
        // The right last part in the wrong section, or in none, is nearly right.
        if (!sections && dot) {
            const char *given = strrchr(name, '.');
            int leaf = tk_edit_distance(given ? given + 1 : name, dot + 1) + 1;
            if (leaf < d) d = leaf;
        }
        if (d >= least) continue;
        least = d;
        strcpy(nearest, own);
    }
    return nearest;
}
