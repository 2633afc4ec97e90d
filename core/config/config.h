// SPDX-License-Identifier: Apache-2.0
// The configuration: one plain struct, filled from one table of options (core/config/rows/).
//
// Rows of the table carry name ("train.lr"), type, default, bounds and help, and the commands
// they belong to. YAML files, key=value overrides, --help, the reference page, the resolved
// config stored with every output and the digest ranks compare all come from that table.
// Strings belong to the arena of the config, or are literals of the table: never write to them.
#pragma once
#include "core/base/mem.h"

typedef enum tk_text_kind { TK_TEXT_BYTES, TK_TEXT_FEATURES } tk_text_kind;
typedef enum tk_shots_kind { TK_SHOTS_ALIKE, TK_SHOTS_NUMBERED } tk_shots_kind; // to the model
typedef enum tk_given_kind { TK_GIVEN_ALL, TK_GIVEN_OWN } tk_given_kind; // what given rows ask

typedef struct tk_model_config { // names as in the public checkpoints' config, see MODEL.md
    int64_t hidden, heads, head_dim, layers, refiner_layers, ffn;
    int64_t video_channels, audio_channels, text_channels; // of a row
    int64_t text;                                          // tk_text_kind
    int64_t given;                                         // tk_given_kind
    int64_t shots;                                         // tk_shots_kind
    int64_t freq_dim, time_hidden, time_dim, rope_freq_dim;
    double rope_theta, norm_eps, qk_norm_eps, final_norm_eps;
} tk_model_config;

// parallel/schedule.h tells what they are; the last is none that training can choose.
typedef enum tk_schedule_kind {
    TK_SCHEDULE_1F1B,
    TK_SCHEDULE_INTERLEAVED,
    TK_SCHEDULE_ZB_H1,
    TK_SCHEDULE_FORWARD
} tk_schedule_kind;

typedef enum tk_precision { TK_PRECISION_FP32, TK_PRECISION_BF16 } tk_precision;

// core/device/device.h tells what they are; auto is the fastest that this build has.
typedef enum tk_device_kind {
    TK_DEVICE_AUTO,
    TK_DEVICE_CPU,
    TK_DEVICE_REF,
    TK_DEVICE_CUDA
} tk_device_kind;

// Who does attention, on devices that have a choice: the library where it takes a call, our own
// kernels, the library or nobody.
typedef enum tk_attention_kind {
    TK_ATTENTION_AUTO,
    TK_ATTENTION_OWN,
    TK_ATTENTION_CUDNN
} tk_attention_kind;

typedef struct tk_parallel_config {
    int64_t device;              // of each rank: a tk_device_kind
    int64_t share_gpu;           // 1: several ranks may compute on one GPU
    int64_t attention;           // a tk_attention_kind
    int64_t attention_workspace; // MiB
    int64_t tensor, pipeline,
        data;                  // 0 = chosen from the world size (data for train, tensor for sample)
    int64_t guidance;          // ranks that share out the branches of guidance; 0 as 1
    int64_t threads;           // per rank; 0 = cores of the node / ranks on it
    int64_t schedule, chunks;  // a tk_schedule_kind; runs of blocks on a stage
    int64_t overlap_messages;  // 1: stages compute while their messages move
    int64_t row_pieces;        // of each tensor rank's rows, moving by themselves; 0: all at once
    int64_t overlap_rows;      // 1: they move beside products of others
    int64_t overlap_gradients; // 1: gradients are summed while backward goes on
    int64_t overlap_weights;   // 1: the next forward begins while weights are gathered
    int64_t register_buffers;  // 1: what ranks send lies in memory that is registered with NCCL
} tk_parallel_config;

// The kinds of a codec's halves; data/codec/codec.c has them in this order.
typedef enum tk_picture_kind { TK_PICTURE_PATCH, TK_PICTURE_LAPPED } tk_picture_kind;
typedef enum tk_sound_kind { TK_SOUND_MDCT, TK_SOUND_VOCODER } tk_sound_kind;
typedef enum tk_codec_store { TK_CODEC_CARRY, TK_CODEC_REFER } tk_codec_store;

typedef struct tk_codec_config {       // of the embedded codec, used when data is made
    int64_t video, audio;              // a tk_picture_kind and a tk_sound_kind
    int64_t patch_frames, patch_size;  // pixels of a video row: patch_frames x patch_size^2 x 3
    int64_t video_channels;            // kept components
    int64_t audio_hop, audio_channels; // samples a row, kept components
    int64_t fit_clips;                 // clips the closed-form fit looks at
    char *from;                        // file whose codec to make clips with; "" = fit one
    char *file;                        // codec file; "" = none
    int64_t store;                     // what clip files and checkpoints do: tk_codec_store
} tk_codec_config;

// Characters, a set and a (kind, colour) pair that are left out of training (data/scene/scene.h).
typedef enum tk_held_out { TK_HELD_WITHOUT, TK_HELD_WITH, TK_HELD_ONLY } tk_held_out;

typedef enum tk_cuts { TK_CUTS_EVEN, TK_CUTS_ANY } tk_cuts;
typedef struct tk_world_config { // the procedural world (talkie data world)
    int64_t clips, seed, first;  // clips [first, first + clips) of world `seed`
    double seconds;              // of a clip (all shots together)
    int64_t max_shots;
    int64_t cuts;           // tk_cuts
    int64_t things, people; // a clip has at most so many
    int64_t speech;         // 1: people speak
    int64_t soundscapes;    // 1: sets are heard
    int64_t sets, styles;   // the first so many
    double restyle;         // share of shots after the first whose caption says style and set again
    int64_t held_out;       // tk_held_out
    double references;      // share of people whose faces and voices clips cite
    double strangers;       // share of clips with people in which one is of no cast
} tk_world_config;

typedef struct tk_media_config { // what clips are made of; both world and import
    int64_t width, height, fps, sample_rate, channels; // channels: 1 or 2
} tk_media_config;

typedef enum tk_import_bad { TK_BAD_SKIP, TK_BAD_STOP } tk_import_bad;
typedef struct tk_import_config {
    double clip_seconds;  // clips are cut to this length
    double min_seconds;   // shorter rests are dropped
    char *empty_features; // .npy of an empty caption's text features; "" = a row of zeros
    int64_t bad;          // what becomes of files and clips that hold damage: tk_import_bad
} tk_import_config;

typedef struct tk_data_config {
    char **files; // clip files
    int64_t n_files;
    char **check; // clip files that are not trained on
    int64_t n_check;
    int64_t hold_out;          // the last clips of `files` that are not trained on
    int64_t threads, prefetch; // loader threads; steps loaded ahead
    int64_t max_bad;           // bad samples in a row that stop the run
} tk_data_config;

typedef struct tk_plan_config { // talkie plan
    int64_t frames, latents;    // of clips described by `media` and `codec`; 0 frames: data.files
    int64_t caption;            // bytes of such a clip's caption
    char *machine;              // file of the machine to plan times for; "" = none
    int64_t search;             // GPUs whose layouts are to be ranked; 0 = the layout that is given
} tk_plan_config;

typedef struct tk_train_config {
    char *out; // run directory: checkpoints, metrics.jsonl, config.yaml
    int64_t seed, steps, batch, microbatch; // documents a step (all ranks), documents a microbatch
    double lr, beta1, beta2, eps, weight_decay, clip;
    int64_t warmup; // steps
    double constant,
        lr_floor; // fraction of steps at full rate after which it falls linearly to lr_floor * lr
    double ema;   // decay; 0 = off
    double time_mean, time_std, video_shift, audio_shift, video_weight, audio_weight;
    double drop_caption, memory; // probabilities
    int64_t recompute;           // 0 none, 1 blocks
    int64_t bucket;              // elements of weights that are summed and gathered as one
    int64_t precision;           // tk_precision
    int64_t graph, graphs;       // 1: steps whose shape returns are graphs; so many are kept
    int64_t deterministic;       // 1: the same bits each time, whoever computes
    int64_t checkpoint_every, keep, log_every;
    int64_t check_every, check_clips; // 0: never; held-out clips that are looked at
    int64_t resume;  // 1: go on from the newest checkpoint in `out` that verifies; 0: start anew
    int64_t changes; // 1: a run may go on with other options that bind
    char *from;      // what to take weights from when not resuming; "" = random
} tk_train_config;

// Which rows of a clip training gives (train/step/tasks.h).
typedef enum tk_task {
    TK_TASK_TEXT,             // none
    TK_TASK_CONTINUE,         // of earlier shots all
    TK_TASK_KEYFRAME,         // a latent frame
    TK_TASK_PICTURE_TO_SOUND, // the picture
    TK_TASK_SOUND_TO_PICTURE, // the sound
    TK_TASK_SPAN,             // all but a span of time
    TK_TASK_REGION,           // all but a part of the picture
    TK_TASK_REFERENCES,       // none, but what the clip cites at times before it
    TK_TASKS
} tk_task;

typedef struct tk_tasks_config {
    double weight[TK_TASKS]; // how often each is chosen, over their sum
} tk_tasks_config;

typedef struct tk_preflight_config {
    double slow;         // part of the median below which a rank or link is slow
    double seconds;      // that each figure of a rank is measured for
    int64_t side;        // of the matrix product; 0 = as large as the device needs
    int64_t mib, memory; // MiB of copies and messages; of memory written and read back
} tk_preflight_config;

typedef enum tk_weight_type { TK_WEIGHT_BF16, TK_WEIGHT_FP32 } tk_weight_type;

typedef struct tk_convert_config {
    int64_t type;    // tk_weight_type
    int64_t average; // 1: the averaged weights, where there are
    double shard;    // MiB of a file of a folder, at most
} tk_convert_config;

typedef enum tk_solver { TK_SOLVER_EULER, TK_SOLVER_MIDPOINT, TK_SOLVER_MULTISTEP } tk_solver;

typedef struct tk_sample_config {
    int64_t steps;
    int64_t solver; // tk_solver
    double guidance, video_shift, audio_shift;
    int64_t ema;        // 1: averaged weights if the checkpoint has them
    double window;      // seconds a document may span; 0 = as the model was trained
    int64_t graph;      // 1: the steps of a window are a graph
    int64_t keep_given; // 1: keys and values of given rows are kept
    int64_t latents;    // 1: a clip's latents stay beside it
} tk_sample_config;

typedef struct tk_shot_config {
    double seconds;
    char *prompt;
    char *features; // .npy of the prompt's text features; "" = none
    char *camera;   // put first of its words; "" = nothing
    char *style;    // in place of the storyboard's; "" = that
    int64_t seed;   // of its own noise; 0 = by the storyboard's alone
    char **references;
    int64_t n_references;
    double dissolve;          // seconds over which it takes the place of the shot before it
    double fade_in, fade_out; // seconds out of black, into it
    int64_t *remember;        // earlier shots that it is given; NULL: chosen for it
    int64_t n_remember;
    char *clip;   // of which it is taken; "" = none: it is made
    int64_t shot; // of that clip, which it is; -1: seconds of it
    double from;  // seconds of that shot, or of the clip
    char **keep;  // what of it is taken, "sound" or "picture"; none: both
    int64_t n_keep;
    // What was found out of it (infer/story/remix.h), which is no option.
    int64_t taken_from, taken; // latent frames of the clip, of which so many; 0: it is made
    double taken_until;        // seconds of the clip
} tk_shot_config;

static inline bool tk_shot_is_taken(const tk_shot_config *s)
{
    return s->clip && *s->clip;
}

typedef struct tk_keyframe_config {
    double at; // seconds into the storyboard
    char *picture;
} tk_keyframe_config;

typedef struct tk_cast_config { // a reference that prompts name
    char *tag;                  // there between < and >: "face 1"
    char *file;
} tk_cast_config;

typedef struct tk_remix_config { // a clip of which a part is made anew
    char *clip;                  // "" = none
    int64_t *shots;              // that are made; NULL: those of some seconds
    int64_t n_shots;
    int64_t at;                      // shot with which the clip begins
    double from, to;                 // seconds; to 0 = the end
    double left, top, right, bottom; // parts of the frame; all of it: the sound is made as well
    char *prompt;                    // of the shots that are made; "" = their own
    double strength;                 // (0, 1] of the noise they begin with; 1: noise alone
    char **keep;                     // what of them is given too: "sound" or "picture"
    int64_t n_keep;
    // What was found out of it (infer/story/remix.h), which is no option.
    int64_t latents; // latent frames that the clip has; 0: as many as the shots
    bool around;     // the shots go beyond it: what lies there is made
} tk_remix_config;

// A part of the frame alone is made; patches may make it all of the frame.
static inline bool tk_remix_is_part(const tk_remix_config *r)
{
    return r->left > 0 || r->top > 0 || r->right < 1 || r->bottom < 1;
}

typedef struct tk_lent_config { // a reference of somebody's cameo
    const char *handle, *paper; // without the @; hash of the consent
    const char *tag, *file;     // as of the cast; the file is in memory
} tk_lent_config;

typedef struct tk_inherited_config { // somebody who is in a file that a clip goes on from
    const char *handle, *paper;      // without the @; hash of the consent
    const char *from;                // the file
} tk_inherited_config;

typedef struct tk_storyboard { // the keys of a storyboard file
    char *checkpoint;          // checkpoint file or run directory
    int64_t size[2];           // width, height in pixels; 0 = as trained
    int64_t fps;               // 0 = as trained
    int64_t seed;
    char *empty_features; // .npy of an empty caption's; "" = as trained
    char *style;          // prepended to every prompt; "" = none
    char *negative;       // what guidance leads away from; "" = from no caption
    int64_t takes, take;  // clips of as many seeds; which of them the clip is; 0 = neither
    int64_t draft;        // 1: fewer steps, beside the clip
    char *output;         // output path without suffix; "" = clips/<name of the storyboard file>
    tk_shot_config *shots;
    int64_t n_shots;
    char **references; // media files given as clean rows before the first shot
    int64_t n_references;
    tk_cast_config *cast;
    int64_t n_cast;
    tk_keyframe_config *keyframes;
    int64_t n_keyframes;
    char *sound, *picture; // files given all the time; "" = none
    tk_remix_config remix;
    char **cameo; // handles of people who are in it
    int64_t n_cameo;
    const tk_lent_config *lent; // no option: what they lend (infer/output/lent.h)
    int64_t n_lent;
    const tk_inherited_config *inherited; // no option: who is in it beside them (the same)
    int64_t n_inherited;
} tk_storyboard;

typedef struct tk_jobs_config {
    char **storyboards;
    int64_t n_storyboards;
} tk_jobs_config; // a job file

typedef struct tk_job_config { // of a job in a spool
    int64_t priority, deadline, tries;
} tk_job_config;

typedef struct tk_serve_config {
    double lease, poll, idle; // seconds
    int64_t once, open;
    int64_t memory;   // MiB of a rank; 0: what its device has
    int64_t together; // jobs in hand at once
} tk_serve_config;

typedef struct tk_listing_config { // talkie jobs
    char *cancel;                  // name of a job; "" = none
    int64_t json, once;
    double every; // seconds
} tk_listing_config;

typedef struct tk_eval_config {
    char *checkpoint;
    int64_t clips, seed;
    int64_t first;      // index of the first held-out clip of the world
    int64_t pictures;   // so many of the best and of the worst clips are drawn
    int64_t shown;      // clips that judges are shown before they judge
    int64_t references; // 1: people are given by reference, not by name
    int64_t long_shots; // of stories told again and again; 0: none
    char **tasks;       // asked for with right and with wrong rows given
    int64_t n_tasks;
} tk_eval_config;

typedef struct tk_provenance_config {
    char *key, *chain; // PEM files that clips are signed by; "" = they are not
    char *anchors;     // PEM file of whom to trust; "" = nobody
} tk_provenance_config;

typedef struct tk_watermark_config {
    char *key;     // file of the key that clips are marked under; "" = they are not
    char *payload; // what a mark says, hexadecimal; "" = the clip's digest
    double strength;
} tk_watermark_config;

typedef struct tk_consent_config {
    char *store, *keys; // folders; keys "" = in the store
    char *registrar;    // PEM file of the public key whose signature counts; "" = nobody's
    char *hook;         // program that is told of each use; "" = none
    char *sign;         // PEM file of the registrar's private key
    char **users;       // names or numbers; "everyone"
    int64_t n_users;
    char **uses; // face, voice, remix
    int64_t n_uses;
    char *until; // day, YYYY-MM-DD
} tk_consent_config;

typedef struct tk_gallery_config {
    char *takedown; // YAML file of clips to leave out; "" = none
} tk_gallery_config;

typedef struct tk_film_config { // how a clip is delivered, whatever it was made from
    char **files;               // that lie beside it too: "master", "edl", "srt"
    int64_t n_files;
    double loudness; // LUFS; 0: as it was made
} tk_film_config;

typedef struct tk_filter_config {
    char *policy; // file of what is refused; "" = nothing is
    char *log;    // file that decisions are added to
} tk_filter_config;

typedef struct tk_config {
    tk_arena arena;
    tk_model_config model;
    tk_parallel_config parallel;
    tk_media_config media;
    tk_codec_config codec;
    tk_world_config world;
    tk_import_config import;
    tk_data_config data;
    tk_plan_config plan;
    tk_train_config train;
    tk_tasks_config tasks;
    tk_preflight_config preflight;
    tk_convert_config convert;
    tk_sample_config sample;
    tk_eval_config eval;
    tk_storyboard story; // options without a prefix: "fps", "shots[].prompt"
    tk_film_config film;
    tk_jobs_config jobs;
    tk_job_config job;
    tk_serve_config serve;
    tk_listing_config listing;
    tk_provenance_config provenance;
    tk_watermark_config watermark;
    tk_consent_config consent;
    tk_gallery_config gallery;
    tk_filter_config filter;
    struct tk_config_places *places; // where its options were given, for tk_config_place
    int64_t log_level;               // log.level: 0 quiet, 1 normal, 2 verbose
    char *output; // -o / output=: the same string as story.output, for commands without a story
} tk_config;

// Commands an option belongs to: bits of the table's rows.
enum {
    TK_CMD_DATA = 1,
    TK_CMD_TRAIN = 2,
    TK_CMD_SAMPLE = 4,
    TK_CMD_PLAN = 8,
    TK_CMD_PARITY = 16,
    TK_CMD_BENCH = 32,
    TK_CMD_EVAL = 64,
    TK_CMD_LOOK = 128,      // talkie data info and check
    TK_CMD_PREFLIGHT = 256, // and all of TK_CMD_TRAIN
    TK_CMD_CONVERT = 512,
    TK_CMD_SERVE = 1024, // and all of TK_CMD_SAMPLE
    TK_CMD_VERIFY = 2048,
    TK_CMD_JOBS = 4096,
    TK_CMD_CAMEO = 8192,
    TK_CMD_GALLERY = 16384
};

void tk_config_init(tk_config *c); // every default
void tk_config_free(tk_config *c);
// Where an option, or a string of a list's item, was given last, for what is found out about it
// later: "a.yaml:3:12", "command line", or "" where it was not.
const char *tk_config_place(const tk_config *c, const char *name);

// Over what *c holds (tk_config_init comes first; a second load goes over the first, lists whole):
// reads YAML `text` (named `file` in messages), then overrides ("key=value", argv style; later
// wins). All errors of both are reported in one TK_INPUT message, a line each, "file:line:column:
// ...", with the nearest known key for unknown ones. `command` is a TK_CMD_ bit: keys of other
// commands are accepted in config files (one file drives train, plan and bench) but keys unknown to
// the whole table are errors; on the command line keys of other commands are errors too. What the
// command cannot do without is checked as well (train: data.files; sample: checkpoint and shots, or
// storyboards); command 0, for stored configs, takes every key and requires none.
// A file may stand on another, "base: other.yaml" (a relative path begins at the file): its values
// lie over that one's, lists whole. file NULL: overrides only. After a failure *c is fit for
// tk_config_free only.
tk_status tk_config_load(tk_config *c, unsigned command, const char *file, int n,
                         char *const *overrides);
// The same from text already in memory (a golden's or checkpoint's config), which has no base.
tk_status tk_config_parse(tk_config *c, unsigned command, const char *name, const char *text,
                          size_t bytes, int n, char *const *overrides);
// Full YAML with every value of the options of `command` (0: all); parses back to the same config.
// NULL when out of memory.
char *tk_config_dump(const tk_config *c, unsigned command, tk_arena *a);
// The options of `command` whose values differ, a line "  name: before -> now" each: those that
// make another model or another run (*binding) and the others; "" for none, NULL when out of
// memory.
void tk_config_changes(const tk_config *before, const tk_config *now, unsigned command, tk_arena *a,
                       char **binding, char **others);
// The strings of a config that are not empty, in the table's order, those of lists' items included.
typedef struct tk_config_text {
    const char *name;  // "shots[2].prompt"
    char *const *at;   // where the config keeps it
    const char *place; // tk_config_place of it
} tk_config_text;
// Those of `command`, but no names of files that the table knows as such; in `a`.
tk_status tk_config_texts(const tk_config *c, unsigned command, tk_arena *a, tk_config_text **out,
                          int64_t *n);
tk_status tk_config_digest(const tk_config *c, uint64_t *out); // XXH3 of the full dump
// Whether the option, a number, may be x; what it may be goes to `want`, in words: "a whole number
// from 1 to 9". For numbers that come from elsewhere than configs.
enum { TK_WANTED = 160 };
bool tk_config_takes(const char *option, double x, char want[TK_WANTED]);
void tk_config_help(unsigned command); // option reference to stdout, generated from the table
void tk_config_reference(void);        // the same as a Markdown page (docs, `talkie --options`)
