#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300; waits: mostly
# A clip that was stopped halfway, and whose storyboard is another when it is gone on with, keeps the windows
# that are made of the same: their own words, noise and given rows, and all that they are given of earlier
# ones. It comes out as it does from nothing, bit for bit.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
export OMPI_MCA_odls_base_sigkill_timeout=0
WINDOWS=6 KEPT=5

make_model
{
    echo '{checkpoint: run, seed: 3, sample: {steps: 2, window: 1}, shots: ['
    for ((i = 0; i < WINDOWS; i++)); do echo "{seconds: 0.5, prompt: ball $i},"; done
    echo '{seconds: 0.5, prompt: the last}]}'
} >story.yaml # the first window takes two shots, the others one after the one before it
printf 'P6\n16 16\n255\n' >red.ppm
for ((i = 0; i < 256; i++)); do printf '\377\0\0'; done >>red.ppm

# half CLIP [SETTING...]: it is killed when it lacks one window. Its disk is slow, so that there is time for that.
half() {
    "$faulty" 0 slow 100 sample $story.yaml -o "$1" "${@:2}" >out 2>&1 &
    local run=$! i
    for ((i = 0; i < 5000; i++)); do
        [[ $(find "$1.windows" -name '*.window' 2>/dev/null | wc -l) -lt $KEPT ]] || break
        sleep 0.02
    done
    kill -KILL $run
    wait $run && fail "$1: it was done before it was killed"
    rm -f "$1".windows/*-00000$KEPT.window*
}

# keeps COUNT SETTING...: so many of the windows are kept if it is gone on with these.
n=0
keeps() {
    local count=$1 said=none
    shift
    n=$((n + 1))
    cp -r "$half.windows" $n.windows
    "${layout[@]}" "$talkie" sample $story.yaml "$@" ${layout:+parallel.pipeline=2} -o $n >out 2>&1 || fail "$*: it does not go on"
    said=$(sed -nE 's/.*: ([0-9]+) of [0-9]+ windows were finished by an earlier run.*/\1/p' out)
    [[ ${said:-0} == "$count" ]] || fail "$*: of the windows ${said:-0} are kept, not $count"
    if ((count < KEPT)); then
        grep -q "$((KEPT - count)) windows in $n.windows were of another storyboard" out || fail "$*: what is removed is not told"
    else
        ! grep -q 'they are removed' out || fail "$*: something is removed"
    fi
    ((count == 0)) || "$talkie" sample $story.yaml "$@" -o straight >out 2>&1 || fail "$*: it cannot be made from nothing"
    ((count == 0)) || cmp straight.latents $n.latents || fail "$*: it is another clip than from nothing"
    [[ $1 == film.* ]] || ! cmp -s plain.latents $n.latents || fail "$*: it changes nothing"
    rm -r $n.*
}
"$talkie" sample story.yaml -o plain >out 2>&1 || fail "it cannot be made"
story=story half=clip layout=()
half clip

# ---- of one shot: its window, and those that are given of it
keeps $KEPT 'shots[6].prompt=another one'
keeps 3 'shots[4].prompt=another one'
keeps 3 'shots[4].prompt=another one' 'shots[5].remember=[0]' 'shots[6].remember=[5]' # others than were made
keeps 2 'shots[3].seed=9'
keeps $KEPT 'shots[6].references=[red.ppm]'
keeps 4 'keyframes=[{at: 2.6, picture: red.ppm}]'
keeps $KEPT 'keyframes=[{at: 3.1, picture: red.ppm}]'
keeps 3 'shots[4].seconds=1'

# ---- of the whole
keeps 0 seed=4
keeps 0 negative=noise
keeps 0 sample.steps=3
keeps $KEPT film.loudness=-23
layout=(mpirun -n 2)
keeps 3 'shots[4].prompt=another one'
layout=()

# ---- windows that ask for others than the one before them: a change goes past them
tree=('shots[3].remember=[0]' 'shots[4].remember=[0]' 'shots[5].remember=[2]' 'shots[6].remember=[]')
half tree "${tree[@]}"
half=tree
keeps 4 "${tree[@]}" 'shots[4].prompt=another one'
keeps 3 "${tree[@]}" 'shots[2].prompt=another one'

# ---- of a remix: what is made of it, and what is kept
echo '{checkpoint: run, sample: {steps: 4, window: 1}, remix: {clip: plain.mp4, shots: [1, 4], prompt: x, strength: 0.5}}' >remix.yaml
story=remix half=remixed
half remixed
keeps 2 'remix.shots=[1, 5]' # the sound of the shot before one that is made goes on into what is
