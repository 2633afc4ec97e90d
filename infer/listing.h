// SPDX-License-Identifier: Apache-2.0
// talkie jobs SPOOL [key=value ...]: what is in a spool (infer/spool/look.h), as a table or as
// JSON, and cancelling.
//
// On a terminal the table is drawn anew every jobs.every seconds, as large as the window is, until
// q or Ctrl-C; elsewhere, and with jobs.once, it is printed once and whole. Nothing is written into
// the spool but what jobs.cancel asks for.
#pragma once
#include "core/config/command.h"

tk_status tk_jobs_command(tk_comm *world, tk_invocation *in);
