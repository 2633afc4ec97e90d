// SPDX-License-Identifier: Apache-2.0
// A wish to stop in order: SIGTERM, SIGINT or SIGUSR1, however often. mpirun, srun, timeout and
// terminals all pass one wish on several times. Only a person who interrupts again, after having
// had time to see that talkie is stopping, means now.
#pragma once
#include <stdbool.h>

void tk_stop_watch(void); // from here on these signals are wishes; none has been made yet
bool tk_stop_asked(void); // of this rank: others may not have heard of it
