// SPDX-License-Identifier: Apache-2.0
// Options of making and measuring clips: sample, provenance, watermark, consent, gallery, filter,
// eval; log.
#include "core/config/rows/rows.h"

#define OF tk_config
static const tk_option sample_rows[] = {
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

    STR("provenance.key", provenance.key, "", WORKERS,
        "private key in PEM by which clips are signed (docs/provenance.md), with provenance.chain; "
        "empty = they are not signed"),
    STR("provenance.chain", provenance.chain, "", WORKERS,
        "certificates in PEM: the key's own, then who issued it, and so on"),
    STR("provenance.anchors", provenance.anchors, "", TK_CMD_VERIFY | TK_CMD_GALLERY,
        "certificates in PEM of those whose signers are trusted; empty = nobody is, and only what "
        "was signed is checked"),

    STR("watermark.key", watermark.key, "", WORKERS | TK_CMD_VERIFY | TK_CMD_GALLERY,
        "file of 16 to 4096 bytes that nobody can guess, under which clips are marked invisibly in "
        "picture and sound (docs/watermark.md), or marks are looked for; empty = neither"),
    STR("watermark.payload", watermark.payload, "", WORKERS,
        "what the mark says, up to 16 hexadecimal digits; clips that are small or short say the "
        "last 4; empty = the clip's digest"),
    FLT("watermark.strength", watermark.strength, 1, 0.1, 1, WORKERS,
        "part of the mark's full strength: less is seen and heard less, and survives less"),

    STR("consent.store", consent.store, "", WORKERS | TK_CMD_CAMEO | TK_CMD_GALLERY,
        "folder in which cameos are kept (docs/cameo.md); a gallery leaves out clips of those who "
        "have revoked"),
    STR("consent.keys", consent.keys, "", WORKERS | TK_CMD_CAMEO,
        "folder of the keys that open them; empty = keys in consent.store"),
    STR("consent.registrar", consent.registrar, "", WORKERS | TK_CMD_CAMEO,
        "public key in PEM of the registrar, without whose signature a cameo serves its owner "
        "alone; empty = nobody's counts"),
    STR("consent.hook", consent.hook, "", WORKERS | TK_CMD_CAMEO,
        "program that is told of each use, by no shell: HOOK EVENT @HANDLE UID TIME CLIP"),
    STR("consent.sign", consent.sign, "", TK_CMD_CAMEO,
        "private key of Ed25519 in PEM: the registrar's for enroll and grant, the owner's for "
        "wish"),
    LIST("consent.users", consent.users, consent.n_users, 64, TK_CMD_CAMEO,
         "whom grant allows to make clips: names or numbers of users, or everyone"),
    LIST("consent.uses", consent.uses, consent.n_uses, 3, TK_CMD_CAMEO,
         "for what: face, voice, remix; empty = face and voice"),
    STR("consent.until", consent.until, "", TK_CMD_CAMEO,
        "the last day that grant or wish covers, YYYY-MM-DD, in UTC; empty, for wish = 30 days"),

    STR("gallery.takedown", gallery.takedown, "", TK_CMD_GALLERY,
        "YAML file of clips that are left out with all that was made from them (docs/gallery.md); "
        "empty = none"),

    PATH("filter.policy", filter.policy, "", WORKERS,
         "file of words, patterns and names that are refused (docs/filters.md); empty = none are"),
    PATH("filter.log", filter.log, "", WORKERS,
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

    ENUM("log.level", log_level, 1, 2, TK_CMD_ALL | TK_OPTION_WORKERS, "what is told on the way",
         "quiet", "normal", "verbose"),
};
const tk_rows tk_sample_rows = ROWS(sample_rows);
