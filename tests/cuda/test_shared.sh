#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# Kernels on emulated GPUs whose blocks may have less shared memory than Hopper's 227 KiB: 163 on compute
# capability 8.0, 99 on 8.6, 8.9 and 12.0. Attention by our own kernels is what asks for most.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
conformance=${BUILD:-build}/emulated/tests/core/device/test_ops_conformance
[[ -x $conformance ]] || {
    echo "built without CUDA"
    exit 77
}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
export TK_TEST_DEVICE=cuda

fail() { # WORDS
    echo "$1"
    sed 's/^/    /' "$said"
    exit 1
}
for kib in 163 99; do
    TK_CUDA_SHARED=$kib TK_TEST_OPS=' attention ' "$conformance" >"$said" 2>&1 || fail "attention fails in $kib KiB"
done
TK_CUDA_SHARED=99 TK_TEST_MOST=300 "$conformance" >"$said" 2>&1 || fail "an operator fails in 99 KiB"
echo "all kernels run where blocks have 99 KiB of shared memory"
