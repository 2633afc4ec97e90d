// SPDX-License-Identifier: Apache-2.0
#pragma once

// The git revision this binary was built from: twelve digits, "-dirty" when the tree had changes;
// "unknown" when it was not built from a git checkout.
const char *tk_revision(void);
