#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 20
# A process in a step of Slurm's without PMIx keeps no files of Open MPI's, which others of its kind would remove: it starts
# where there is no place for them.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
said=$(SLURM_STEP_ID=0 TMPDIR=/dev/null/nowhere "${TALKIE:-build/talkie}" data world configs/tiny.yaml world.clips=1 \
    -o "$work/clips.h5" 2>&1)
code=$?
((code == 0)) && exit 0
echo "exit code $code:"
echo "$said"
exit 1
