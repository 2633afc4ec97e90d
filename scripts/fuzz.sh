#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the targets of tests/fuzz/targets.c under libFuzzer, one after another.
#
#     scripts/fuzz.sh FUZZER SECONDS [TARGET]
#
# What is found stays in the folder of FUZZER under found/; its corpora grow there from run to run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
fuzzer=$1 seconds=$2 only=${3:-}
place=$(dirname "$fuzzer")
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
mkdir -p "$place/found"
# What the library loses over a damaged file is its own.
echo 'leak:libhdf5' >"$place/leaks"
export LSAN_OPTIONS=suppressions=$place/leaks:print_suppressions=0
mapfile -t targets < <("$fuzzer" --list)
failed=0
for target in "${targets[@]}"; do
    [[ $target == *"$only"* ]] || continue
    corpus=$place/corpus/$target
    mkdir -p "$corpus"
    [[ ! -d tests/fuzz/corpus/$target ]] || cp tests/fuzz/corpus/"$target"/* "$corpus"
    FUZZ_TARGET=$target "$fuzzer" --seed "$corpus/seed" || exit 1
    [[ -s $corpus/seed ]] || rm -f "$corpus/seed"
    log=$place/$target.log
    if FUZZ_TARGET=$target OMP_NUM_THREADS=1 "$fuzzer" -max_total_time="$seconds" -timeout=60 \
        -rss_limit_mb=4096 -max_len=262144 -artifact_prefix="$place/found/$target-" "$corpus" >"$log" 2>&1; then
        echo "$target: $(sed -nE 's/^(Done [0-9]+ runs).*/\1/p' "$log"), nothing found"
    else
        tail -n 40 "$log"
        echo "$target: a finding, see $log and $place/found"
        failed=1
    fi
done
exit $failed
