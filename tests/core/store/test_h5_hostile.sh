#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# HDF5 files with flipped bytes: whatever they do to the library, the program says so and lives.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
TALKIE=${TALKIE:-build/talkie}
golden=tests/golden/documents.h5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

set_byte() { # FILE OFFSET VALUE
    printf "\\x$(printf %02x "$3")" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

wrong() {
    echo "$1"
    sed 's/^/    /' "$work/said"
    failed=$((failed + 1))
}

# Bytes that make HDF5 1.10.8 read where nothing is.
cp "$golden" "$work/dies.h5"
set_byte "$work/dies.h5" 2076 32
"$TALKIE" parity "$work/dies.h5" >"$work/said" 2>&1
code=$?
((code == 2)) || wrong "a golden that kills the library: exit $code, wanted 2"
grep -q "dies.h5 is .*damaged" "$work/said" || wrong "a golden that kills the library is not called damaged"
(($(grep -c . "$work/said") == 1)) || wrong "more than one message"

# Any others, the same ones each time: numbers that come out, numbers that do not, or damage.
RANDOM=7
for ((i = 0; i < 16; i++)); do
    cp "$golden" "$work/any.h5"
    edits=()
    for ((k = 0; k <= i % 3; k++)); do
        at=$((RANDOM % 8192)) value=$((RANDOM % 256))
        set_byte "$work/any.h5" "$at" "$value"
        edits+=("$at=$value")
    done
    "$TALKIE" parity "$work/any.h5" >"$work/said" 2>&1
    code=$?
    case $code in
        0 | 2 | 6) ;;
        *) wrong "bytes ${edits[*]}: exit $code" ;;
    esac
done
"$TALKIE" parity "$golden" >"$work/said" 2>&1 || wrong "the golden itself does not pass"
((failed == 0))
