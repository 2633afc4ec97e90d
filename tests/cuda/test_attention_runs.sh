#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# Runs whose attention cuDNN does: a run that goes on gives the bits of one never stopped, and keeps to
# what did its attention; what cannot be had is refused in words; a GPU that fails there has failed. On the
# emulated GPU.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. scripts/env.sh 2
program=$PWD/${BUILD:-build}/emulated/talkie
[[ -e ${program%talkie}lib/libcudnn.so.9 ]] || { echo "skipped: built without cuDNN"; exit 77; }
config=$PWD/configs/tiny.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

fail() { # WORDS
    echo "$1"
    sed 's/^/    /' said
    failed=$((failed + 1))
}

run=()
train() { # OUT STEPS [key=value...], by the launcher `run`
    local out=$1 steps=$2
    shift 2
    "${run[@]}" "$program" train "$config" data.files=clips.h5 device=cuda train.precision=bf16 train.out="$out" \
        train.steps="$steps" train.constant=1 train.checkpoint_every=2 "$@" >said 2>&1
}

losses() { sed -nE 's/.*"loss": *([-+0-9.e]+).*/\1/p' "$1/metrics.jsonl"; }

"$program" data world "$config" -o clips.h5 >said 2>&1 || fail "no clips"
train whole 4 || fail "a run by cuDNN fails"
grep -q 'attention: cuDNN 9' said || fail "it is not said who does attention"
cp -r whole halves
rm halves/step-00000004.h5
train halves 4 && grep -q 'at step 2 of 4' said || fail "it does not go on"
[[ $(losses whole | tail -n 2) == "$(losses halves | tail -n 2)" ]] || fail "it goes on with other bits"
train own 2 attention=own && train own 4 || fail "a run by our own kernels does not go on"
grep -q 'our own kernels, as in this run so far' said || fail "it goes on with another's attention"
[[ $(losses whole) != "$(losses own)" ]] || fail "both attentions give the same bits: is it one?"

train whole 4 train.precision=fp32 attention=cudnn && fail "cuDNN in fp32 is not refused"
grep -q 'attention=cudnn needs train.precision=bf16' said || fail "it is not said what would be right"
train odd 2 attention=cudnn model.head_dim=24 model.rope_freq_dim=2 && fail "heads of 24 channels are not refused"
grep -q 'heads of 16, 32, 48, ... channels: model.head_dim is 24' said || fail "it is not said which heads it knows"
STANDIN_CUDNN_VERSION=91000 train old 2 attention=cudnn && fail "an old cuDNN is not refused"
grep -q 'needs cuDNN 9.15 or a later 9: libcudnn.so.9 is of version 9.10' said || fail "it is not said what is wrong"
STANDIN_CUDNN_VERSION=91000 train old 2 || fail "without cuDNN our own kernels do it"
grep -q 'attention: our own kernels: .*libcudnn.so.9 is of version 9.10' said || fail "it is not said who does it and why"

run=(mpirun -n 2)
train single 1 attention=cudnn model.heads=1 parallel.tensor=2 parallel.share_gpu=true ||
    fail "a rank without heads has no attention"
run=()

TK_CUDA_FAIL=cudnnBackendExecute:3:700 train lost 2 attention=cudnn
[[ $? == 8 ]] && grep -q 'GPU 0 (emulated GPU) has failed, as attention tells' said || fail "a GPU that failed is a bug"
TK_CUDA_FAIL=cudnnBackendExecute:3:2 train lost 2 attention=cudnn
[[ $? == 3 ]] && grep -q 'GPU 0 (emulated GPU): cuDNN: attention: ' said || fail "a GPU that is full is a bug"
exit $((failed > 0))
