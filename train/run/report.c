// SPDX-License-Identifier: Apache-2.0
#include "train/run/report.h"
#include "core/base/log.h"
#include <errno.h>

tk_status tk_report_write(const char *path, json_t *root)
{
    tk_file f;
    if (!root) return TK_FAIL(TK_MEMORY, "out of memory for %s", path);
    tk_status st = tk_file_begin(&f, path);
    if (st == TK_OK && json_dumpfd(root, f.fd, JSON_INDENT(2)) != 0)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(errno));
    json_decref(root);
    if (st == TK_OK) st = tk_file_commit(&f);
    tk_file_abort(&f);
    if (st == TK_OK) tk_log("figures in %s", path);
    return st;
}
