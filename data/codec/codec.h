// SPDX-License-Identifier: Apache-2.0
// Codecs: media to latent rows with unit variance and back, behind one interface.
//
// A codec has two halves, each of a kind of its own (data/codec/kind.h), which options choose and
// files name:
//   pictures  patch    principal components of patches
//             lapped   waves that lap over the edges between patches: no seams, and less is lost
//   sound     mdct     principal components of MDCT frames, which keep the wave
//             vocoder  principal components of a smooth spectrum, with pitch and voices: what comes
//                      back sounds alike
// All are closed form, fitted on data once (no training). Clip files and checkpoints carry their
// codec, so that a model travels with it, or refer to it by its digest; then it lies in a file of
// its own (codec.store, codec.file).
//
// Video rows: (latent_frames, rows_high, rows_wide, video_channels). Audio rows: (audio_rows,
// channels, audio_channels): per latent, then per channel.
#pragma once
#include "core/comm/comm.h"
#include "core/config/wrong.h"
#include "core/store/h5.h"
#include "core/store/safetensors.h"
#include "data/codec/grid.h"

typedef struct tk_codec tk_codec;
typedef enum tk_codec_side { TK_CODEC_VIDEO, TK_CODEC_AUDIO, TK_CODEC_SIDES } tk_codec_side;

// What a codec fitted by that config will be, as far as it is known before the fit.
tk_codec_info tk_codec_planned(const tk_codec_config *c, const tk_media_config *m);

// What a codec is fitted on; gives clip i (arrays valid until the next call).
typedef tk_status (*tk_codec_clips)(void *ctx, int64_t i, tk_media *clip);

// Deterministic fit on clips [0, n).
tk_status tk_codec_fit(const tk_codec_config *c, const tk_media_config *m, tk_codec_clips clips,
                       void *ctx, int64_t n, tk_codec **out);
// Measures the codec's figures on clips [0, n), or a few of them.
tk_status tk_codec_measure(tk_codec *c, tk_codec_clips clips, void *ctx, int64_t n);
// Into an HDF5 group named "codec": all of it or, where the file refers to it, its shape, digest
// and figures alone.
tk_status tk_codec_write(const tk_codec *c, bool refer, hid_t group);
// Bounded and checked. A codec that the group only refers to comes from the codec file `file` (NULL
// or "": none was named), which must hold that very one.
tk_status tk_codec_read(hid_t group, const char *file, tk_codec **out);
bool tk_codec_refers(hid_t group);
// Codec files: HDF5 with format "talkie-codec", version and the group /codec. Sees to it that
// c->file holds the codec if files are to refer to it: writes it where no file is, refuses one that
// holds another. On one rank, before any of those files is written.
tk_status tk_codec_keep(const tk_codec_config *c, const tk_codec *codec);
tk_status tk_codec_open(const char *path, tk_codec **out);           // a codec file
tk_status tk_codec_save(const char *path, const tk_codec *c);        // complete or not at all
tk_status tk_codec_broadcast(tk_comm *comm, tk_codec **c, int root); // others receive a copy
// The tensor of a safetensors file that is a codec file, byte for byte; `path` is that file.
#define TK_CODEC_TENSOR "codec"
tk_status tk_codec_in_tensor(const char *path, const tk_safe_tensor *t, tk_arena *a,
                             tk_codec **out);
// Collective: the codec of the file c->from (a clip file, checkpoint or codec file, or safetensors
// of talkie's), by which media of *m are to become rows; c's options of its shape are set to it.
// NULL where c->from is empty: one is to be fitted.
tk_status tk_codec_given(tk_comm *world, tk_codec_config *c, const tk_media_config *m,
                         tk_codec **out);
// One rank: what that would refuse is a line of w. *known: whether it could be asked, and *info is
// that of the codec that media of *m will be made rows by.
tk_status tk_codec_ask(tk_wrong *w, const tk_codec_config *c, const tk_media_config *m,
                       tk_codec_info *info, bool *known);
void tk_codec_free(tk_codec *c);
const tk_codec_info *tk_codec_get_info(const tk_codec *c);
const char *tk_codec_name(const tk_codec *c, tk_codec_side side); // of that half's kind
// What goes after the number that is info's audio_db: "dB" of signal to noise, the more the better,
// or "dB log-spectral distance" where the wave itself is not kept, the less the better.
const char *tk_codec_audio_figure(const tk_codec *c);

// Pixels and frames must divide into patches (data/codec/grid.h).
tk_status tk_codec_encode_video(const tk_codec *c, const tk_media *m, float *rows);
tk_status tk_codec_decode_video(const tk_codec *c, const float *rows, const tk_grid *g,
                                uint8_t *rgb);
tk_status tk_codec_encode_audio(const tk_codec *c, const tk_media *m, float *rows);
tk_status tk_codec_decode_audio(const tk_codec *c, const float *rows, int64_t audio_rows,
                                int64_t channels, float *pcm, int64_t samples);

// Media that are too long to be encoded at once, of pictures of high x wide patches. Parts that
// begin at multiples of so many latent frames, or audio rows, and are as many or go on to the end,
// have the rows of the whole, bit for bit: pictures as below; sound with the media of one step
// before the part (none where it begins the track), whose rows are not the whole's. 0: rows depend
// on all that there is.
int64_t tk_codec_step(const tk_codec *c, tk_codec_side side, int64_t high, int64_t wide);
// Of pictures, m are those of latent frames from `first` on, of `all` that the whole has.
tk_status tk_codec_encode_video_part(const tk_codec *c, const tk_media *m, int64_t first,
                                     int64_t all, float *rows);

// The same for a part: frames of latent frames [first, first + n), and samples [first, first + n).
// Of the clip's rows only these are read, and need be there: latent frames from
// tk_codec_video_context before the part to as many after it, and audio rows from
// tk_codec_audio_context before that of the first sample to as many, and the tail, after that of
// the last. Parts joined are the whole, bit for bit.
typedef struct tk_row_part { // rows of a clip, from latent frame, or audio row, `first` on
    const float *x;
    int64_t first;
} tk_row_part;
int64_t tk_codec_video_context(const tk_codec *c);
int64_t tk_codec_audio_context(const tk_codec *c);
tk_status tk_codec_decode_video_part(const tk_codec *c, tk_row_part rows, const tk_grid *g,
                                     int64_t first, int64_t n, uint8_t *rgb);
tk_status tk_codec_decode_audio_part(const tk_codec *c, tk_row_part rows, int64_t audio_rows,
                                     int64_t channels, int64_t first, int64_t n, float *pcm);

// Sound that need not lie in memory as a whole, of a kind whose rows depend on all of it: samples
// are asked for in any pieces, and again; rows [first, first + n) of all channels are handed over
// in order, the same bits as of the whole.
typedef tk_status (*tk_codec_rows_made)(void *ctx, int64_t first, int64_t n, const float *rows);
tk_status tk_codec_encode_track(const tk_codec *c, tk_media_source *track, tk_codec_rows_made made,
                                void *ctx);
