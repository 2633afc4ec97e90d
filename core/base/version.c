// SPDX-License-Identifier: Apache-2.0
#include "core/base/version.h"
#if __has_include("revision.h")
#include "revision.h" // made by the Makefile; defines TK_REVISION
#else
#define TK_REVISION "unknown"
#endif

const char *tk_revision(void)
{
    return TK_REVISION;
}
