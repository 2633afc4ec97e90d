// SPDX-License-Identifier: Apache-2.0
// talkie serve SPOOL [key=value ...]: a worker of a spool (infer/spool/spool.h), of one rank or
// many.
//
// Rank 0 claims a job, all ranks make its clip, rank 0 commits. The model stays open between jobs
// of the same checkpoint. Paths that a job names begin at SPOOL/files and may not leave it; its
// clip goes into the job's own folder. SIGTERM: a window that ends soon is finished, the job goes
// back to the spool with the windows it has, and the worker ends with 75 if jobs wait then, else
// with 0.
#pragma once
#include "core/config/command.h"

tk_status tk_serve_command(tk_comm *world, tk_invocation *in);
