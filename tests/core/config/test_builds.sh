#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# Ranks of different builds would compute different numbers, or wait for each other in different places:
# they are refused before they do anything.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
faulty=$(realpath "${BUILD:-build}")/tests/support/faulty
. scripts/env.sh 3
said=$(mktemp)
trap 'rm -f "$said"' EXIT

mpirun -n 3 "$faulty" 1 build 1 plan configs/tiny.yaml >"$said" 2>&1
code=$?
if ((code != 2)) || ! grep -q 'the build of talkie (talkie --version) differs between ranks: rank 1 of 3' "$said"; then
    echo "exit $code"
    cat "$said"
    exit 1
fi
