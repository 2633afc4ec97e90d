#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300; waits: mostly
# A sampling that is killed goes on at its last finished window, on any layout, and its clip is bit for
# bit that of one never stopped. What is left of it is bound to its storyboard, and goes with the end.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
export OMPI_MCA_odls_base_sigkill_timeout=0
WINDOWS=6

make_model
{
    echo '{checkpoint: run, seed: 3, sample: {steps: 2, window: 1}, shots: ['
    for ((i = 0; i < WINDOWS; i++)); do echo "{seconds: 0.5, prompt: ball $i},"; done
    echo '{seconds: 0.5, prompt: the last}]}'
} >story.yaml # the first window takes two shots, the others one after one more

finished() { # windows of clip $1
    find "$1.windows" -name '*.window' 2>/dev/null | wc -l
}

# until it has $2 windows, but for half of one
until_finished() {
    for ((i = 0; i < 5000; i++)); do
        (($(finished "$1") < $2)) || return 0
        sleep 0.02
    done
    fail "no window $2 is finished"
}

# cut_off CLIP WINDOWS [mpirun -n N] [SETTING...]: it is killed when it has so many. Its disk is slow, so that
# there is time for that.
cut_off() {
    local clip=$1 at=$2 run ranks=()
    shift 2
    [[ ${1:-} != mpirun ]] || { ranks=("${@:1:3}") && shift 3; }
    "${ranks[@]}" "$faulty" 0 slow 100 sample story.yaml "$@" -o "$clip" >out 2>&1 &
    run=$!
    until_finished "$clip" "$at"
    if ((${#ranks[@]})); then kill -KILL $(cat /proc/$run/task/*/children); else kill -KILL $run; fi
    wait $run && fail "$clip: it was done before it was killed"
    [[ ! -e $clip.mp4 ]] || fail "$clip: a killed run leaves a clip"
}

# resumed LAYOUT RANKS WINDOWS...: killed at each, and goes on.
resumed() {
    local layout=$1 at kept ranks=() set=()
    [[ $2 == 1 ]] || ranks=(mpirun -n "$2") set=("parallel.$layout=$2")
    shift 2
    "${ranks[@]}" "$talkie" sample story.yaml "${set[@]}" -o "$layout/straight" >out 2>&1 ||
        fail "$layout: a clip cannot be made"
    [[ ! -e $layout/straight.windows ]] || fail "$layout: windows outlive their clip"
    for at; do cut_off "$layout/clip" "$at" "${ranks[@]}" "${set[@]}"; done
    kept=$(finished "$layout/clip")
    ((kept >= at && kept < WINDOWS)) || fail "$layout: $kept windows are kept"
    "${ranks[@]}" "$talkie" sample story.yaml "${set[@]}" -o "$layout/clip" >out 2>&1 ||
        fail "$layout: it does not go on"
    grep -q "$layout/clip: $kept of $WINDOWS windows were finished by an earlier run" out ||
        fail "$layout: it does not say that it goes on"
    cmp "$layout/straight.mp4" "$layout/clip.mp4" || fail "$layout: the clip is another"
    cmp "$layout/straight.png" "$layout/clip.png" || fail "$layout: the contact sheet is another"
    [[ ! -e $layout/clip.windows ]] || fail "$layout: windows outlive their clip"
}
resumed alone 1 3
resumed pipeline 2 2
resumed tensor 2 3
resumed guidance 2 3
cmp alone/straight.mp4 guidance/straight.mp4 || fail "branches shared out make another clip"

# Damage is said, and the window made again, on ranks that take a branch each: the same bits.
cut_off damaged/clip 3
cp -r damaged other
file=$(find damaged/clip.windows -name '*-000001.window')
printf x | dd of="$file" bs=1 seek=300 conv=notrunc 2>/dev/null
mpirun -n 2 "$talkie" sample story.yaml -o damaged/clip parallel.guidance=2 >out 2>&1 || fail "damage stops it"
grep -q "window 2 of $WINDOWS is made again" out || fail "damage is not named"
cmp alone/straight.mp4 damaged/clip.mp4 || fail "a window made again is another"

# Of another seed nothing is taken.
"$talkie" sample story.yaml seed=4 -o other/clip >out 2>&1 || fail "another seed cannot be made"
grep -q 'windows in other/clip.windows were of another storyboard, checkpoint or seed' out ||
    fail "windows of another seed are not named"
! grep -q 'finished by an earlier run' out || fail "windows of another seed are taken"
! cmp -s alone/straight.mp4 other/clip.mp4 || fail "two seeds give one clip"

# Asked to stop: it ends at a step or a window's end, with code 75, and says how to go on.
"$faulty" 0 slow 100 sample story.yaml -o stopped/clip >out 2>&1 &
run=$!
until_finished stopped/clip 2
kill -TERM $run
code=0
wait $run || code=$?
[[ $code == 75 ]] || fail "asked to stop it ends with $code"
kept=$(finished stopped/clip)
grep -q "stopped on request; $kept of $WINDOWS windows are kept in stopped/clip.windows: run the same command" out ||
    fail "it does not say what is kept"
[[ -z $(find stopped -name '*.part*') && ! -e stopped/clip.mp4 ]] || fail "something is left half"
"$talkie" sample story.yaml -o stopped/clip >out 2>&1 || fail "it does not go on after it was stopped"
grep -q "$kept of $WINDOWS windows were finished" out || fail "windows kept are not taken"
cmp alone/straight.mp4 stopped/clip.mp4 || fail "the clip of a run that was stopped is another"
