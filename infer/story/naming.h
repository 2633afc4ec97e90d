// SPDX-License-Identifier: Apache-2.0
// Warnings about names in prompts that are no errors of the storyboard's words: what it gives under
// a tag and no prompt names, and what prompts that it has from the clip that it remixes name and it
// does not give. What it names itself and does not give is refused as it is read
// (core/config/named.h).
#pragma once
#include "infer/story/remix.h"

// Once the shots of a remixed clip are taken.
void tk_naming_tell(const tk_config *c, const tk_remix *r);
