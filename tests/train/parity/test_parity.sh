#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every golden file on one rank and in every kind of layout, and files that are not golden.
#TEST timeout: 120
set -euo pipefail
TALKIE=${TALKIE:-build/talkie}
here=$(cd "$(dirname "$0")/../../.." && pwd)
. "$here/scripts/env.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for golden in "$here"/tests/golden/*.h5; do
    "$TALKIE" parity "$golden" parallel.threads=1
    "$TALKIE" parity "$golden" parallel.threads=1 train.recompute=blocks
done
parity() { # ranks golden layout
    mpirun -n "$1" "$TALKIE" parity "$here/tests/golden/$2.h5" $3
}
parity 2 odd "parallel.tensor=2"
parity 2 wide "parallel.pipeline=2"
parity 2 documents "parallel.data=2"
parity 3 documents "parallel.tensor=3"
parity 4 documents "parallel.tensor=2 parallel.pipeline=2"
parity 4 sparse "parallel.tensor=2 parallel.data=2"
parity 4 odd "parallel.pipeline=2 parallel.data=2 train.recompute=blocks"
parity 8 documents "parallel.tensor=2 parallel.pipeline=2 parallel.data=2"
parity 7 sparse "parallel.tensor=7"

refuse() { # what the message must hold, then the command
    local words=$1 code=0
    shift
    "$@" >"$tmp/out" 2>&1 || code=$?
    if [ "$code" != 2 ] || ! grep -q "$words" "$tmp/out"; then
        echo "expected exit code 2 and '$words', got $code:"
        cat "$tmp/out"
        exit 1
    fi
}
head -c 100000 "$here/tests/golden/odd.h5" >"$tmp/cut.h5"
echo "not an HDF5 file" >"$tmp/text.h5"
refuse "cut.h5" "$TALKIE" parity "$tmp/cut.h5"
refuse "text.h5" "$TALKIE" parity "$tmp/text.h5"
refuse "none.h5" "$TALKIE" parity "$tmp/none.h5"
refuse "3" mpirun -n 2 "$TALKIE" parity "$here/tests/golden/odd.h5" parallel.tensor=3

# A golden whose numbers are off must fail, with the code for it.
cp "$here/tests/golden/odd.h5" "$tmp/off.h5"
# A high bit of some number near the middle of the file, where datasets lie.
"$here/tests/support/flip.sh" "$tmp/off.h5" $(($(wc -c <"$tmp/off.h5") / 2 | 3)) 32
code=0
"$TALKIE" parity "$tmp/off.h5" >"$tmp/out" 2>&1 || code=$?
if ((code != 6)); then
    echo "an altered golden ends with $code, not 6"
    exit 1
fi
