// SPDX-License-Identifier: Apache-2.0
// A film's shots as text: for editing programs, and as subtitles. docs/film.md says how exact they
// are. The caller commits the files.
#pragma once
#include "core/base/files.h"
#include "infer/cut/cut.h"

// CMX 3600: an event for each shot, times as hours:minutes:seconds:frames at the film's own rate,
// which starts at 0. name: of the film, as "ball".
tk_status tk_cut_write_edl(const tk_file *f, const tk_cut *c, const char *name);

// SubRip: what stands in quotes in a prompt, as long as its shot lasts; several lines of a shot
// share its time by their letters. Nothing where nothing is said.
tk_status tk_cut_write_srt(const tk_file *f, const tk_cut *c);
