#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# Kernels under the address and undefined-behaviour sanitizers, each at its smallest sizes: every operator, and
# attention on tensor cores. At all sizes, with streams and messages, it is `make sanitize`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[[ -z ${SAN:-} ]] || { echo "skipped: all is under sanitizers here"; exit 77; }
folder=$(realpath "${BUILD:-build}")/emulated/sanitized
said=$(mktemp)
trap 'rm -f "$said"' EXIT
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TK_TEST_DEVICE=cuda

fail() {
    cat "$said"
    echo "$1"
    exit 1
}

# What is looked at is built to be looked at.
objects=0
for object in "$folder"/core/device/cuda/kernels/*.o; do
    [[ $(nm "$object") == *__asan_report*__ubsan_handle* ]] || fail "$object is built without sanitizers"
    objects=$((objects + 1))
done
kernels=(core/device/cuda/kernels/*.cu)
((objects == ${#kernels[@]})) || fail "not every kernel is built with sanitizers"

TK_TEST_MOST=300 "$folder/test_ops_conformance" >"$said" 2>&1 || fail "a sanitizer, or an operator, fails"
(($(grep -c '^\[       OK \]' "$said") > 25)) || fail "operators are left out"
TK_TEST_OPS=' attention ' TK_TEST_MOST=1280 TK_TEST_LEAST=1280 "$folder/test_ops_conformance" >"$said" 2>&1 ||
    fail "a sanitizer, or attention, fails"
