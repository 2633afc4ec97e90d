// SPDX-License-Identifier: Apache-2.0
// How far two words are apart, for messages that name what was probably meant.
#pragma once

// Edits between a and b (insert, delete, replace, swap of neighbours), both cut at 63 bytes.
int tk_edit_distance(const char *a, const char *b);
