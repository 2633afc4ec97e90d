// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/handle.h"
#include <string.h>

tk_status tk_handle_read(const char *word, tk_handle *out)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const char *name = word[0] == '@' ? word + 1 : word;
    const size_t n = strspn(name, letters);
    *out = (tk_handle){0};
    if (n == 0 || n > TK_HANDLE || name[n])
        return TK_FAIL(TK_INPUT,
                       "\"%.60s\" is no handle: an @, then 1 to %d of a-z, 0-9 and _, as \"@ada\"",
                       word, TK_HANDLE);
    if (!strcmp(name, "server"))
        return TK_FAIL(TK_INPUT,
                       "\"%s\" is no handle: its key would lie where the server's own does, in "
                       "server.key; choose another one",
                       word);
    memcpy(out->name, name, n);
    return TK_OK;
}
