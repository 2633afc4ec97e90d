// SPDX-License-Identifier: Apache-2.0
// The stream: documents of text, video and audio rows laid end to end, with the clock.
//
// A document is described by tk_document (what a clip or storyboard window consists of);
// tk_stream_append lays its rows out. Row order within a document: text rows of all shots, then the
// media rows in shot order (per shot: audio rows, then video rows frame by frame, row-major). The
// model sees nothing but these rows: conditioning (memory of earlier shots, references, what is
// given of the shots to make) is rows with target = 0 and the clean level.
//
// Clock: 40 units a second. Text row i of a document lies at t = i; media time 0 lies at the
// number of text rows. Spatial axes and audio columns: see MODEL.md, "Positions".
#pragma once
#include "core/base/mem.h"

enum { TK_VIDEO = 0, TK_TEXT = 1, TK_AUDIO = 2, TK_MODALITIES = 3 }; // numbers of the public family
enum { TK_CLOCK = 40 };                                              // units a second
enum {
    TK_BYTE_SHOT = 256,
    TK_BYTES = 257
}; // text tokens: UTF-8 bytes, and the mark that begins a shot
// Rows of the table of shots (model.shots): for rows of none, and for shots in turn.
enum { TK_SHOT_NUMBERS = 5 };

typedef struct tk_shot_rows {          // one shot of a document
    int64_t latent_frames, audio_rows; // audio: latents, each of which is a row per channel
    double start;          // seconds on the document's media clock (may be negative: references)
    bool target;           // false: clean memory or reference, given not predicted
    int64_t height, width; // of its latent frames, in rows; 0 = the document's
} tk_shot_rows;

// Which of its rows a document lays into a stream: all of them, the given ones of its media alone,
// or all but those. Where rows lie on the clock does not depend on it.
typedef enum tk_laid { TK_LAID_ALL, TK_LAID_GIVEN, TK_LAID_OTHERS } tk_laid;

enum { TK_CADENCE = 8 };
typedef struct tk_document {
    int64_t text_rows;           // tokens (or features) of the whole document
    const int64_t *caption_rows; // (n_shots) of these each shot's caption, in turn, the rest being
                                 // of none; NULL: it is not known which are whose
    int n_shots;
    const tk_shot_rows *shots;
    int64_t height, width; // of a latent frame, in rows (patches)
    double fps;            // pixel frames a second
    // Pixel frames of the latent frames of a shot, in turn; nothing after a 0. {4}: each holds
    // four. {1, 4, 4, 4, 4}: as the released video autoencoder has it.
    int64_t cadence[TK_CADENCE];
    double audio_units;      // clock units an audio row spans: 40 * hop / sample rate
    int64_t audio_channels;  // 1 or 2 rows per audio latent
    double t_video, t_audio; // noise levels of the target rows, in [0, 1]; 1 = clean
    double t_clean;          // level of given rows (1, or the family's .999 for keyframes)
    int64_t id; // caller's number (sample index): keys noise; see tk_stream.document_id
    // (rows of the modality) 1: given, although its shot is a target; NULL: all of it is made. See
    // core/model/given.h.
    const uint8_t *given[TK_MODALITIES];
    tk_laid laid; // for tk_stream_append alone: counts of rows are those of all
} tk_document;

typedef struct tk_stream {
    int64_t rows;
    int32_t *modality, *level, *document, *shot; // (rows)
    int32_t *number; // (rows) of the shot that a row is of, or its caption, counted from 1 over
                     // shots that are no references (those lie before media time 0); 0: of none
    uint8_t *target; // (rows)
    double (*position)[3]; // (rows, 3): t, h, w
    int64_t n_levels;
    float *timestep; // (n_levels) distinct noise levels
    int64_t n_documents;
    int32_t *document_start;      // (n_documents + 1)
    int64_t *document_id;         // (n_documents)
    int64_t count[TK_MODALITIES]; // rows per modality
    int32_t *row[TK_MODALITIES];  // (count[m]) stream row of the m-th modality's i-th row
    int64_t cap_rows, cap_documents, cap_levels;
} tk_stream; // arrays belong to the arena given to tk_stream_init

// Room for `rows` rows and `documents` documents of at most `levels` distinct noise levels.
tk_status tk_stream_init(tk_stream *s, tk_arena *a, int64_t rows, int64_t documents,
                         int64_t levels);
int64_t tk_document_rows(const tk_document *d,
                         int64_t count[TK_MODALITIES]);              // total; count may be NULL
int64_t tk_shot_count(const tk_document *d, int shot, int modality); // rows of a shot; text: 0
// Is row i of the document's rows of a modality, which lies in that shot, to be made?
static inline bool tk_row_is_target(const tk_document *d, int shot, int modality, int64_t i)
{
    return d->shots[shot].target && !(d->given[modality] && d->given[modality][i]);
}
int64_t tk_document_targets(const tk_document *d, int modality); // rows to be made
tk_status tk_stream_append(tk_stream *s, const tk_document *d);
