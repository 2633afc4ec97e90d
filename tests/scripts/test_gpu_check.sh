#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# What scripts/gpu_check.sh packs is small enough to travel, needs nothing but the C library where it arrives,
# and finds there what it is to find: here with the processor in the GPU's place.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[[ -z ${SAN:-} ]] || { echo "skipped: what is packed is built without sanitizers"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() { # WORDS
    echo "$1"
    sed 's/^/    /' "$work/said"
    failed=$((failed + 1))
}

run() { # as on a machine where nothing is: no PATH but the system's, no Open MPI's or CUDA's settings
    env -i HOME="$work" PATH=/usr/bin:/bin "$work/elsewhere/gpu_check/run" "$@" >"$work/said" 2>&1
}

BUILD=${BUILD:-build} ARCH=native XZ_OPT=-0 scripts/gpu_check.sh pack "$work/packed.tar.xz" >"$work/said" 2>&1 ||
    { fail "it cannot be packed"; exit 1; }
size=$(stat -c %s "$work/packed.tar.xz")
((size < 64 << 20)) || fail "$((size >> 20)) MiB are more than 64"
mkdir "$work/elsewhere"
tar -C "$work/elsewhere" -xf "$work/packed.tar.xz"

cd "$work/elsewhere/gpu_check" || exit 1
for program in bin/* tests/test_*; do
    LD_LIBRARY_PATH=$PWD/lib ldd "$program" | awk '$3 ~ /^\//{ print $3 }' |
        grep -vE "^$PWD/lib/|/(libc|libm|libdl|librt|libpthread)\.so" >"$work/said" && fail "$program loads what was not packed:"
done

run cpu layouts parity || fail "its own check fails"
grep -q ' 0 failed' "$work/said" || fail "no table"
(($(grep -c '^ok .*against' "$work/said") == 2 * 7)) || fail "not every layout was compared"

# It finds what is wrong: losses of other weights, and a damaged golden file.
sed -i 's/cpu 1 device=cpu/cpu 1 device=cpu train.seed=2/' run
head -c 5000 golden/wide.h5 >golden/cut.h5
run cpu layouts parity && fail "what is wrong passes"
(($(grep -c '^FAIL .*against the processor' "$work/said") >= 2 * 5)) || fail "other losses pass"
grep -q 'FAIL  parity cut.h5' "$work/said" || fail "the damaged golden file is not named"
run cuda parity && fail "there is no GPU here, or is there?"
((failed == 0))
