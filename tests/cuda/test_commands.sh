#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# sample, eval and bench as whole commands on an emulated GPU: on one rank and on two, in graphs and
# without; the processor's figures, and the same clip to the bit in graphs.
set -uo pipefail
# shellcheck disable=SC2034
RANKS=2
. "$(dirname "$0")/../support/small.sh"
emulated=$(dirname "$talkie")/emulated/talkie
[[ -x $emulated ]] || {
    echo "built without CUDA"
    exit 77
}

# ends CODE COMMAND...
ends() {
    local want=$1 code=0
    shift
    "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || fail "$*: exit code $code, not $want"
}
said() { grep -qE "$1" out || fail "not said: $1"; }
two=(mpirun -n 2 "$emulated")
shared=(device=cuda parallel.share_gpu=true)

ends 0 "$talkie" data world run.yaml -o clips.h5
ends 0 "$talkie" train run.yaml
cat >story.yaml <<'YAML'
{checkpoint: run, sample: {steps: 3, window: 1}, shots: [{seconds: 1, prompt: a red ball},
  {seconds: 0.5, prompt: a blue crate}]}
YAML

ends 2 "$talkie" sample story.yaml device=cpu sample.graph=true
said 'sample\.graph=true needs device=cuda: device cpu has no graphs'
ends 0 "$emulated" sample story.yaml device=cuda output=asked
ends 0 "$emulated" sample story.yaml device=cuda output=graphs sample.graph=true
said 'graphs: 2 of 6 steps replayed \(33%\), 2 recorded, one for each window'
cmp asked.png graphs.png >out 2>&1 || fail 'in graphs the clip is another one'
ends 0 "$emulated" sample story.yaml device=cuda output=graphs
said 'finished already'
ends 0 "${two[@]}" sample story.yaml "${shared[@]}" output=shared sample.graph=true parallel.tensor=2
said 'tensor 2 x pipeline 1 x data 1'
said 'graphs: 2 of 6 steps replayed'
[[ -s shared.mp4 && -s shared.png ]] || fail 'no clip of two ranks'

# One rank alone cannot make its graph: one message, and nobody waits for it.
graph=(sample story.yaml "${shared[@]}" output=lost sample.graph=true parallel.tensor=2)
ends 3 mpirun -n 1 "$emulated" "${graph[@]}" : -n 1 env TK_CUDA_FAIL=cudaGraphInstantiate:1:2 "$emulated" "${graph[@]}"
said '^talkie: rank 1: GPU 0 \(emulated GPU\): making a graph of what was recorded'

# Jobs at once: the clips that each is alone. Where the GPU has no memory for two, they are made in turn.
for job in 1 2 3; do
    sed "s/red/$job/; s/^{/{seed: $job, /" story.yaml >job$job.yaml
    ends 0 "$emulated" sample job$job.yaml device=cuda output=alone$job
done
together() { # MIB
    rm -rf spool && mkdir -p spool/new
    for job in 1 2 3; do sed 's/checkpoint: run, //' job$job.yaml >spool/new/job$job.yaml; done
    TK_CUDA_MEMORY=$1 ends 0 "$emulated" serve spool checkpoint=run serve.once=1 serve.together=3 device=cuda log.level=verbose
    for job in 1 2 3; do
        cmp alone$job.latents spool/done/job$job/job$job.latents >>out 2>&1 || fail "job $job is another clip than alone"
    done
}
together 64
[[ $(grep -c 'waits for those in hand' out) == 0 ]] || fail 'jobs wait where there is memory'
together 2
said 'waits for those in hand: .*sampling shots.* needs [0-9.]+ MiB'

# The table of figures is all that standard output gets.
figures=(run.yaml eval.clips=2 eval.pictures=0 sample.steps=3)
"$talkie" eval "${figures[@]}" >host 2>out || fail 'eval fails'
"${two[@]}" eval "${figures[@]}" "${shared[@]}" sample.graph=true -o cuda.json >cuda 2>out || fail 'eval fails on GPUs'
said 'graphs: 4 of 12 steps replayed'
cmp host cuda >>out 2>&1 || fail 'figures are not those of the processor'

ends 0 "$emulated" bench run.yaml train.steps=9 device=cuda train.graph=true sample.graph=true
said '^memory +[0-9.]+ MiB of the pool at most on rank 0, 1\.000 of the'
said '^operators '
said '^sample .* ms a step, [0-9]+ times [0-9]+ rows'
said '^loader '
