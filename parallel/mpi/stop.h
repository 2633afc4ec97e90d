// SPDX-License-Identifier: Apache-2.0
// A wish to stop in order: SIGTERM, SIGINT or SIGUSR1, however often. mpirun, srun, timeout and
// terminals all pass one wish on several times. Only a person who interrupts again, after having
// had time to see that talkie is stopping, means now.
#pragma once
#include "core/base/status.h"
#include <stdbool.h>

// From here on these signals are wishes; none has been made yet. They are blocked in the calling
// thread and so in those that it starts from here on; a program that it starts is to be given a
// mask without them. TK_MEMORY: there is no room for the thread that listens.
tk_status tk_stop_watch(void);
bool tk_stop_asked(void); // of this rank: others may not have heard of it
