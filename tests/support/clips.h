// SPDX-License-Identifier: Apache-2.0
// A small clip file for tests: two buckets, random rows that are a function of the clip's number.
#pragma once
#include "data/clip/clip.h"

enum { TEST_VIDEO = 2 * 2 * 2 * 5, TEST_AUDIO = 9 * 6 }; // most numbers of a clip

// What clip 0 lies in.
extern const tk_bucket test_bucket;
// Codec of 5 video and 6 audio channels; `seed` makes different ones.
tk_codec *test_codec(uint64_t seed);
// Its stored array of that name.
float *test_codec_array(const tk_codec *c, const char *name);
// Rows of clip i, as they come back from the file (exact in half precision).
void test_rows(int64_t i, float *video, float *audio);
// What such files' clips cite, but every fourth: <voice 1> and <face 1> for "first", which are
// references 1 and 0. Nobody cites reference 2.
enum { TEST_REFERENCES = 3, TEST_REFERENCE = 24 }; // most numbers of one
extern const tk_clip_reference test_references[TEST_REFERENCES];
void test_reference_rows(int64_t r, float *video, float *audio);
// Such a file of n clips in a folder of its own, for comm's ranks; its path in `path`. 0, or 1
// where that fails, as set-up and tear-down of tests.
enum { TEST_CLIPS_PATH = 64 };
int test_clips_open(tk_comm *comm, int64_t n, char path[TEST_CLIPS_PATH]);
int test_clips_close(tk_comm *comm, const char *path);
// Writes n clips over comm's ranks; clip `broken` (-1: none) has its digest wrong, as a damaged
// disk would leave it.
tk_status test_write_clips(tk_comm *comm, const char *path, uint64_t codec, int64_t n,
                           int64_t broken);

// Files of clips with text features, TEST_TEXT wide: 0, 1, and 2 of an empty caption. Rows of even
// clips are all positive, those of odd ones negative; the shots of clip i have features i % 2, or
// the other ones where they are swapped; but the second shot of clips 2, 6, ... has features 2,
// that of clips 3, 7, ... none.
enum { TEST_FEATURES = 3, TEST_TEXT = 8 };
extern const int64_t test_feature_counts[TEST_FEATURES]; // rows of each, at most 3
void test_feature_rows(int64_t k, float *x);
tk_status test_write_featured_clips(tk_comm *comm, const char *path, int64_t n, bool half,
                                    bool swapped);
