// SPDX-License-Identifier: Apache-2.0
// Options of the model, of the ranks that it runs on, and of the clips that it is shown: device,
// attention, model, parallel, media, codec, world, import, data.
#include "core/config/rows/rows.h"

#define OF tk_config
static const tk_option model_rows[] = {
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
    ENUM("model.shots", model.shots, TK_SHOTS_ALIKE, TK_SHOTS_NUMBERED, BINDS,
         "rows of all shots go into the stream alike, as published, or with a learned row added "
         "that tells of which shot they are, captions too",
         "alike", "numbered"),
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
    INT("parallel.guidance", parallel.guidance, 1, 1, 2, WORKERS | TK_CMD_PLAN | TK_CMD_EVAL,
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
        "most shots of a clip: most clips have so many, or as many as fit, the others one or two "
        "fewer"),
    ENUM("world.cuts", world.cuts, TK_CUTS_EVEN, TK_CUTS_ANY, DATA | EVAL,
         "where clips are cut: into shots of the same length but for a latent frame; or anywhere, "
         "as long as each shot has three quarters of a second",
         "even", "any"),
    INT("world.things", world.things, 2, 0, 2, DATA | EVAL, "a clip has at most so many things"),
    INT("world.people", world.people, 2, 0, 2, DATA | EVAL, "a clip has at most so many people"),
    YES("world.speech", world.speech, 1, DATA | EVAL, "whether people speak"),
    YES("world.soundscapes", world.soundscapes, 1, DATA,
        "whether sets are heard; in silence a model learns to speak with fewer clips"),
    INT("world.sets", world.sets, 4, 1, 4, DATA | EVAL,
        "the first so many of room, street, beach and workshop"),
    INT("world.styles", world.styles, 3, 1, 3, DATA | EVAL,
        "the first so many of natural, noir and anime"),
    FLT("world.restyle", world.restyle, 0, 0, 1, DATA | EVAL,
        "share of shots after the first whose captions say style and set again, half of them in "
        "another style than the shot before"),
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
};
const tk_rows tk_model_rows = ROWS(model_rows);
