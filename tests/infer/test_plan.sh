#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# talkie plan STORYBOARD: what will be made, of what rows, memory and work, and nothing is made.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"
make_model

board() { # WORD: the last prompt's
    echo "{checkpoint: run, sample: {steps: 1, window: 1.5}, shots: [{seconds: 0.5, prompt: Ada sits},"
    echo " {seconds: 0.5, prompt: Bo}, {seconds: 0.5, prompt: it}, {seconds: 0.5, prompt: $1}]}"
}
board Ada >story.yaml
board 'Ada!!' >longer.yaml
echo '{storyboards: [story.yaml, longer.yaml]}' >jobs.yaml
before=$(find . | sort)

plan() { # what it says, in `out`
    "$talkie" plan "$@" >out 2>&1 || fail "plan $* fails"
}
field() { # NAME FIELD of its line
    awk -v name="$1" -v field="$2" '$1 == name { print $field; exit }' out
}
least() { # A OP B, of numbers
    awk "BEGIN { exit !($1) }" || fail "not so: $1"
}

plan story.yaml
grep -q '4 shots in 2 windows of at most 1.5 seconds' out || fail "windows are not told"
grep -q 'clips/story.mp4' out || fail "the clip is not named"
grep -Eq '^3 .* 0 \(first with Ada\)' out || fail "memory is not told"
rows=$(field 3 2) flops=$(field work 2) memory=$(field memory 2)
least "$memory > 0"
least "$rows > 0 && $(field 3 3) > 0"
grep -q 'at least [0-9.e+-]* seconds for 2 seconds of clip' out || fail "the time is not told"

plan story.yaml sample.steps=4
least "$(field work 2) > 3.99 * $flops && $(field work 2) < 4.01 * $flops"
plan story.yaml sample.guidance=1
least "$(field 3 2) < $rows && $(field work 2) < 0.7 * $flops"
plan longer.yaml
least "$(field 3 2) == $rows + 2" # two more bytes of text, in one of the two documents
plan story.yaml parallel.tensor=2
grep -q '2 ranks for it' out || fail "the layout is not told"
least "$(field work 2) < 0.7 * $flops"
plan story.yaml parallel.guidance=2
grep -q 'guidance 2 x data 1: 2 ranks for it' out || fail "branches of guidance are not told"
least "$(field 3 2) == $rows && $(field work 2) < 0.7 * $flops"
plan story.yaml plan.machine="$root/configs/machines/h100.yaml"
grep -q '^time .* seconds\* for 2 seconds of clip' out || fail "the machine's time is not told"
plan jobs.yaml
[[ $(grep -c '^storyboard' out) == 2 ]] || fail "not all storyboards are planned"
mpirun -n 2 "$talkie" plan story.yaml >out 2>&1 || fail "two ranks cannot plan"
[[ $(grep -c '^storyboard' out) == 1 ]] || fail "each rank speaks"
plan run.yaml # a config is planned as ever
grep -q '^parameters' out || fail "a config is not planned"

refused() { # WORDS ARGUMENTS...
    local words=$1 code=0
    shift
    "$talkie" plan "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "plan $* ends with $code"
    grep -qF "$words" out || fail "plan $* does not say $words"
}
refused 'sample.stepz: no such option' story.yaml sample.stepz=3
refused 'nothing to share out' story.yaml parallel.guidance=2 sample.guidance=1
refused 'training has no branches' run.yaml parallel.guidance=2
refused 'parallel.guidance: 3' story.yaml parallel.guidance=3
refused 'nowhere' story.yaml checkpoint=nowhere
refused 'nowhere.yaml' nowhere.yaml
refused 'longest possible' story.yaml 'shots[3].seconds=5'
refused 'plan.machines: no such option' story.yaml plan.machines=x
refused 'plan.search: asks about a training' story.yaml plan.search=64 plan.frames=3
grep -q 'plan.frames: asks about a training' out || fail "of two such options one is told"
refused 'usage: talkie plan'
[[ $(find . | sort) == "$before"$'\n'./out || $(find . | sort) == "$before" ]] || fail "something was made"
