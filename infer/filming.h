// SPDX-License-Identifier: Apache-2.0
// A storyboard's film, written of latents that are whole. Included by infer/studio.c alone.
#pragma once
#include "infer/studio.h"

// On the replica's first rank, else nothing: decodes, reviews, asks who lends to it, writes all
// files of the clip or none, and removes what was kept of its windows.
tk_status tk_studio_film(tk_studio *a, tk_studio_place *at);
// TK_STOPPED of the first place, with what is kept of it.
tk_status tk_studio_stopped(const tk_studio *a);
