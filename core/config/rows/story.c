// SPDX-License-Identifier: Apache-2.0
// Options of what is asked for: storyboards, remixes, jobs, and those who serve them.
#include "core/config/rows/rows.h"

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
    FLT("dissolve", dissolve, 0, 0, 5, SAMPLE,
        "seconds over which it takes the place of the shot before it, in picture and sound "
        "(docs/film.md); the two overlap and the film is that much shorter; 0 = a cut"),
    FLT("fade_in", fade_in, 0, 0, 600, SAMPLE, "seconds over which it comes out of black"),
    FLT("fade_out", fade_out, 0, 0, 600, SAMPLE, "seconds over which it goes into black"),
    LIST("references", references, n_references, 64, SAMPLE,
         "media files given as clean rows to this shot"),
    INTS(
        "remember", remember, n_remember, 0, 4999, SAMPLE,
        "earlier shots, counted from 0, whose latents are given to this one, which is then made by "
        "itself; auto = by the words of prompts, and the last ones"),
    STR("clip", clip, "", SAMPLE,
        "media file that the shot is taken of: it is kept, not made (docs/remix.md); seconds and "
        "prompt are those of the clip's shot unless they are said"),
    INT("shot", shot, -1, -1, 4999, SAMPLE,
        "which shot of that clip, counted from 0; -1 = none: from and seconds say the part"),
    FLT("from", from, 0, 0, 1e6, SAMPLE,
        "seconds of that shot, or of the clip, with which it begins"),
    LIST("keep", keep, n_keep, 2, SAMPLE,
         "what of it is kept: sound or picture; the other is made; empty = both are kept"),
};
static const tk_table shot_table = TK_TABLE(shot_rows, OF, "shot");
#undef OF

#define OF tk_keyframe_config
static const tk_option keyframe_rows[] = {
    FLT("at", at, 0, 0, 1e6, SAMPLE, "seconds into the storyboard"),
    STR("picture", picture, "", SAMPLE, "media file whose first picture is given there"),
};
static const tk_table keyframe_table = TK_TABLE(keyframe_rows, OF, "keyframe");
#undef OF

#define OF tk_cast_config
static const tk_option cast_rows[] = {
    STR("tag", tag, "", SAMPLE, "its name in prompts, there between < and >, as \"face 1\""),
    STR("file", file, "", SAMPLE, "media file: a picture, a sound or both"),
};
static const tk_table cast_table = TK_TABLE(cast_rows, OF, "cast member");
#undef OF

#define OF tk_config
static const tk_option story_rows[] = {
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
    INT("takes", story.takes, 0, 0, 99, SAMPLE,
        "makes so many clips, OUTPUT.take1 and on, from seeds that follow each other from seed on "
        "(docs/film.md); 0 = OUTPUT alone"),
    INT("take", story.take, 0, 0, 99, SAMPLE,
        "the take that is chosen: OUTPUT is that, to the bit where its latents lie there; 0 = "
        "none"),
    YES("draft", story.draft, 0, SAMPLE,
        "makes OUTPUT.draft, with a fourth of the steps, from the same noise as the clip"),
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
    LIST("film.files", film.files, film.n_files, 3, SAMPLE,
         "what lies beside the MP4 too (docs/film.md): master (FFV1 and PCM), edl (its shots), srt "
         "(what is said)"),
    FLT("film.loudness", film.loudness, 0, -60, 0, SAMPLE,
        "LUFS that its sound is brought to, by EBU R 128, which asks for -23; 0 = as it is made"),
    LIST("storyboards", jobs.storyboards, jobs.n_storyboards, 10000, SAMPLE,
         "a job file: storyboard files to sample, spread over the data ranks"),
    INT("job.priority", job.priority, 5, 0, 9, TK_CMD_SERVE,
        "in a spool: which jobs come first, 0 before 9; of one priority the older"),
    INT("job.deadline", job.deadline, 0, 0, 1000000000, TK_CMD_SERVE,
        "seconds after it was taken in by which a job must be done, else it fails; 0 = none"),
    INT("job.tries", job.tries, 3, 1, 1000, TK_CMD_SERVE,
        "how often a job is begun, where workers are lost with it or fail for reasons that may "
        "pass, before it has failed"),
    FLT("serve.lease", serve.lease, 30, 0.05, 86400, SERVES,
        "seconds without a sign of life after which this worker's job is another's"),
    FLT("serve.poll", serve.poll, 2, 0.01, 3600, SERVES,
        "seconds between looks at a spool in which there is nothing to do"),
    FLT("serve.idle", serve.idle, 0, 0, 1e9, SERVES,
        "ends after so many seconds without a job; 0 = waits for ever"),
    YES("serve.once", serve.once, 0, SERVES,
        "ends when nothing waits for this worker and nothing runs"),
    YES("serve.open", serve.open, 0, SERVES,
        "jobs may name any file that the worker can read, not only those of the spool's files/: "
        "for a spool that only its owner can drop into"),
    INT("serve.memory", serve.memory, 0, 0, 1073741824, SERVES,
        "MiB that a rank may take for the jobs in hand; one that needs more alone is left to "
        "others; 0 = as much as its device has"),
    INT("serve.together", serve.together, 1, 1, 64, SERVES,
        "jobs that a worker makes at once: windows of the same schedule are documents of one step, "
        "and as one job ends the next joins, where there is memory for it; each clip is what it is "
        "alone, on a GPU but for rounding"),
    STR("jobs.cancel", listing.cancel, "", TK_CMD_JOBS,
        "name of a job that is to be cancelled, whether it waits or runs; nothing is shown"),
    YES("jobs.json", listing.json, 0, TK_CMD_JOBS,
        "prints the jobs once, as JSON, a line each, with all that their job.json say"),
    YES("jobs.once", listing.once, 0, TK_CMD_JOBS, "prints the table once, on a terminal too"),
    FLT("jobs.every", listing.every, 2, 0.1, 3600, TK_CMD_JOBS,
        "seconds between looks where the table is drawn anew"),
};
const tk_rows tk_story_rows = ROWS(story_rows);
