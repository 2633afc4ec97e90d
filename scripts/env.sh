# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced before mpirun: settings of Open MPI for small and unusual machines, each only where it is
# needed, and for ending in order; none over one that is already set.
#
#     . scripts/env.sh [ranks]      ranks: how many will be started (default 8)

talkie_ranks=${1:-8}

# mpirun refuses to run as root, as a guard for shared machines; in a container there is only root.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# More ranks than cores: mpirun must be told that this is meant, and waiting ranks must give up the
# core to those that work instead of spinning on it.
if [ -z "${SLURM_JOB_ID:-}" ] && [ "$talkie_ranks" -gt "$(nproc)" ]; then
    export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe:-1}"
    export OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"
fi

# Outside a batch system every mpirun believes it has the machine and binds its ranks to the first
# cores; two runs at a time would share those and leave the others idle. Also a rank with several
# threads would be held to one core.
if [ -z "${SLURM_JOB_ID:-}" ]; then
    export OMPI_MCA_hwloc_base_binding_policy="${OMPI_MCA_hwloc_base_binding_policy:-none}"
fi

# A sandbox's system call filter (Docker's, for one) may forbid reading another process's memory,
# which Open MPI's shared memory transport would use for large messages.
if grep -qs '^Seccomp:[[:space:]]*2' /proc/self/status; then
    export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
fi

# To SIGTERM and Ctrl-C mpirun answers by waiting this many seconds, passing SIGTERM on, and killing after
# as many more: one second each, left alone. Five let a step and its checkpoint end; a failed rank's mpirun
# takes as much longer to end, though its other ranks are gone at once.
export OMPI_MCA_odls_base_sigkill_timeout="${OMPI_MCA_odls_base_sigkill_timeout:-5}"

unset talkie_ranks
