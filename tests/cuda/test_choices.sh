#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A run on the emulated GPU keeps which algorithms do its products: going on gives the same bits even
# where others have become the fastest (STANDIN_CUBLASLT_FAST, tests/cuda/standin/cublaslt.h), and only so.
set -uo pipefail
RANKS=1
. "$(dirname "$0")/../support/small.sh"
emulated=$(dirname "$talkie")/emulated/talkie
[[ -x $emulated ]] || {
    echo "built without CUDA"
    exit 77
}

# Every run is called "run", in a directory of its own, so that its checkpoints can be equal as files.
train() { # train DIRECTORY FAST
    (cd "$1" && STANDIN_CUBLASLT_FAST=$2 "$emulated" train ../run.yaml device=cuda train.steps=4 \
        train.checkpoint_every=2 data.files=[../clips.h5]) >out 2>&1 || fail "training in $1 failed"
}
again() { # again DIRECTORY: where the run in straight/ was after its second step
    cp -r straight "$1"
    rm "$1/run/step-00000004.h5"
}
ends_alike() { cmp -s straight/run/step-00000004.h5 "$1/run/step-00000004.h5"; }

"$talkie" data world run.yaml -o clips.h5 >out 2>&1 || fail "no clips"
mkdir straight
train straight 4:1
grep -q 'shapes of matrix products timed' out || fail "nothing was timed"

again kept
train kept 5:1
grep -q 'timed' out && fail "what was kept is timed again"
ends_alike kept || fail "going on gives other bits"

again lost
rm lost/run/choices.txt
train lost 5:1
grep -q 'shapes of matrix products timed' out || fail "nothing was timed anew"
ends_alike lost && fail "other algorithms give the same bits: this test shows nothing"

echo "choices are kept"
