#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# A machine without CUDA's libraries: the program built with CUDA works, and says what is missing when
# it is to use a GPU (an emulated one) without cuBLASLt. Hidden in a mount namespace (root; skipped else).
set -uo pipefail
if [[ ${1:-} != inside ]]; then
    unshare --mount true 2>/dev/null || {
        echo "needs root and mount namespaces"
        exit 77
    }
    exec unshare --mount "$0" inside
fi
# shellcheck disable=SC2034
RANKS=2
. "$(dirname "$0")/../support/small.sh"
emulated=$(dirname "$talkie")/emulated/talkie
[[ -x $emulated ]] || {
    echo "built without CUDA"
    exit 77
}

hide() { # hide DIRECTORY
    mount -t tmpfs tmpfs "$1" || fail "$1 cannot be hidden"
}
kept=$dir/libcublasLt.so.13
cp "$(dirname "$emulated")/lib/libcublasLt.so.13" "$kept"
hide "$(dirname "$emulated")/lib"
for library in $(/sbin/ldconfig -p | sed -nE 's/.*lib(cublasLt|cudnn|nccl)\.so.* => //p'); do
    [[ -e $library ]] && hide "$(dirname "$(realpath "$library")")"
done

for program in "$talkie" "$emulated"; do
    "$program" data world run.yaml -o clips.h5 >out 2>&1 || fail "$program makes no clips"
    "$program" train run.yaml device=cpu train.resume=0 >out 2>&1 || fail "$program does not train"
done

"$emulated" train run.yaml device=cuda train.out=cuda >out 2>&1
(($? == 2)) || fail "not refused with code 2"
grep -q 'device=cuda needs cuBLASLt, version 13, for matrix products: libcublasLt.so.13:' out ||
    fail "it is not said what is missing"
grep -q 'LD_LIBRARY_PATH' out || fail "it is not said what would be right"

# With cuBLASLt alone one rank trains, by our own attention; several need NCCL.
cp "$kept" "$(dirname "$emulated")/lib/" || fail "the stand-in cannot be put back"
"$emulated" train run.yaml device=cuda train.out=cuda >out 2>&1 || fail "one rank needs more than cuBLASLt"
"$emulated" train run.yaml device=cuda attention=cudnn train.precision=bf16 model.head_dim=16 \
    train.out=cudnn >out 2>&1
(($? == 2)) && grep -q 'attention=cudnn needs cuDNN .*libcudnn.so.9' out || fail "it is not said that cuDNN is missing"
mpirun -n 2 "$emulated" train run.yaml device=cuda parallel.share_gpu=true train.out=two >out 2>&1
(($? == 2)) || fail "two ranks are not refused with code 2"
grep -q 'device=cuda on several ranks needs NCCL (libnccl.so.2), which does not load' out &&
    grep -q 'LD_LIBRARY_PATH' out || fail "it is not said that NCCL is missing"
(($(grep -c '^talkie: ' out) == 1)) || fail "not one message"
echo "missing libraries are told of where they are needed"
