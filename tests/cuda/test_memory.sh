#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# An emulated GPU with too little memory: training says before its first step what it needs and what
# would fit, and that is true; sampling says the step, the operator and who holds the memory. All ranks
# end with code 3.
set -uo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"
emulated=$(dirname "$talkie")/emulated/talkie
[[ -x $emulated ]] || {
    echo "built without CUDA"
    exit 77
}
larger=(model.hidden=96 model.heads=4 model.head_dim=24 model.layers=4 model.ffn=256 train.batch=4
    train.microbatch=4)

# ends CODE MIB COMMAND...
ends() {
    local want=$1 code=0
    export TK_CUDA_MEMORY=$2
    shift 2
    "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || fail "$*: exit code $code, not $want"
}
said() { grep -qE "$1" out || fail "not said: $1"; }
train=(train run.yaml device=cuda train.resume=0 "${larger[@]}")

"$talkie" data world run.yaml -o clips.h5 >out 2>&1 || fail "no clips"
ends 3 22 "$emulated" "${train[@]}"
said 'training needs 2[0-9.]+ MiB of the device on rank 0 \(activations .*, weights 2\.5, gradients 2\.5, optimizer'
said '22\.0 of its 22\.0 MiB are free\. What would fit: train\.recompute=blocks \([0-9.]+ MiB\), train\.microbatch=1 \(17'
ends 0 20 "$emulated" "${train[@]}" train.microbatch=1
STANDIN_CUBLASLT_MEMORY=4 ends 3 20 "$emulated" "${train[@]}" train.microbatch=1
said 'training needs 17[0-9.]+ MiB .* 16\.0 of its 20\.0 MiB are free'
ends 3 6 "$emulated" "${train[@]}"
said 'No single option makes it fit'
ends 3 12 mpirun -n 2 "$emulated" "${train[@]}" parallel.share_gpu=true
said '^talkie: rank 0: training needs 1[0-9.]+ MiB .* 12\.0 of its 12\.0 MiB are free'

ends 0 64 "$emulated" "${train[@]}"
cat >story.yaml <<'YAML'
{checkpoint: run, size: [32, 32], sample: {steps: 2, window: 4}, shots: [{seconds: 2, prompt: a red ball},
  {seconds: 2, prompt: a blue crate}]}
YAML
sample=("$emulated" sample story.yaml device=cuda)
ends 3 7 "${sample[@]}"
said 'sampling shots\[0\] of story\.yaml needs [0-9.]+ MiB of the device on rank 0 \(activations .*, weights 2\.5, '
said '7\.0 of its 7\.0 MiB are free\. What would fit: sample\.window=2 \([0-9.]+ MiB\), '
ends 0 7 "${sample[@]}" sample.window=2
ends 3 2 mpirun -n 2 "${sample[@]}" parallel.share_gpu=true parallel.data=2
said '^talkie: rank 0: sampling shots\[0\] of story\.yaml needs .* No single option makes it fit'

echo "full devices say what is full"
