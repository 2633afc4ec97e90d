#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# talkie preflight on ranks that are alike, and on emulated GPUs of which one is slow, computes wrongly
# or is behind a slow link (tests/cuda/standin/standin.h, cublaslt.h, nccl.h). Parts of the median are far from
# what a busy machine makes of them.
set -uo pipefail
RANKS=4
. "$(dirname "$0")/../../support/small.sh"
emulated=$(dirname "$talkie")/emulated/talkie

# preflight CODE RANKS PROGRAM WORDS...
preflight() {
    local want=$1 ranks=$2 program=$3 code=0
    shift 3
    mpirun -n "$ranks" "$program" preflight run.yaml "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || fail "preflight $*: exit code $code, not $want"
}
in_a_try() { # COMMAND WORDS...
    for _ in 1 2 3 4 5 6; do
        "$@" && return
    done
    fail "in none of six tries: $*"
}
# alike RANKS PROGRAM WORDS...: nothing is found of ranks that are alike.
alike() {
    local ranks=$1 program=$2
    shift 2
    mpirun -n "$ranks" "$program" preflight run.yaml "$@" >out 2>&1 && grep -q '^found .*nothing slow' out
}
found() { grep -q "^found .*$1" out || fail "not found: $1"; }
absent() { ! grep -q "^found .*$1" out || fail "wrongly found: $1"; }

"$talkie" data world run.yaml -o clips.h5 >out 2>&1 || fail "no clips"

# One rank; and several that are alike, with a report.
"$talkie" preflight run.yaml device=cpu >out 2>&1 || fail "one rank alone"
found "nothing slow"
in_a_try alike 4 "$talkie" device=cpu -o report.json
grep -q '"talkie-preflight"' report.json || fail "no report"
[[ $(grep -c '"clock_ahead"' report.json) == 4 ]] || fail "not every rank is in the report"
for figure in product copy upload download files sum near; do
    [[ $(grep -c "\"$figure\": {" report.json) == 4 ]] || fail "$figure is not measured on every rank"
done
# A file that is no report is left alone, before anything is measured.
preflight 2 2 "$talkie" device=cpu -o run.yaml
grep -q 'run.yaml' out || fail "the file is not named"
preflight 2 2 "$talkie" device=cpu data.files=[clips.h5,nowhere.h5]
grep -q 'rank 1: .*nowhere.h5' out || fail "a missing file is not named"

# Every rank on a host of its own: links are between hosts.
if unshare --uts true 2>/dev/null; then
    mpirun -n 3 unshare --uts bash -c \
        'hostname "nn$OMPI_COMM_WORLD_RANK" && exec "$0" preflight run.yaml device=cpu' "$talkie" >out 2>&1 ||
        fail "ranks on hosts of their own"
    grep -q '3 hosts' out || fail "hosts are not told apart"
    grep -q ' far$' out || fail "links between hosts are not measured"
fi

[[ -x $emulated ]] || {
    echo "without CUDA: on the host alone"
    exit 0
}
gpus=(device=cuda parallel.share_gpu=true)
in_a_try alike 3 "$emulated" "${gpus[@]}" train.precision=bf16

# One slow, one wrong, one behind a slow link, and nobody else. Bits do not depend on times.
export TK_CUDA_SLOW=1:20 STANDIN_CUBLASLT_WRONG=2 STANDIN_NCCL_SLOW=2:3:250
slow_are_named() {
    preflight 1 4 "$emulated" "${gpus[@]}" preflight.slow=0.15
    found "rank 2 on [^ ]*: a matrix product gives other bits"
    absent "rank [013] on [^ ]*: a matrix product gives"
    grep -q '^found .*rank 1 on [^ ]*: matrix products at 0.[01]' out &&
        ! grep -q '^found .*rank [023] on [^ ]*: matrix products at' out &&
        grep -q '^found .*the link between rank 2 on [^ ]* and rank 3 on [^ ]*: messages within the host at 0.[01]' out &&
        ! grep -q '^found .*the link between rank 3' out
}
in_a_try slow_are_named

echo "preflight names what is slow or wrong"
