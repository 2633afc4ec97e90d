#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# Names in prompts and captions that stand for nothing are told: refused with their places where a storyboard
# writes them, warned of where a remix has them from its clip or an import from its captions; so is what is
# given and that nothing names.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
cat >board.yaml <<'YAML'
checkpoint: run
sample: {steps: 1, window: 1}
cast: [{tag: face 1, file: face.png}, {tag: voice 1, file: tone.wav}]
shots:
  - {seconds: 0.5, prompt: a ball}
  - {seconds: 0.5, prompt: <face 1> waves}
YAML
"$root/tests/support/tone.sh" 4000 >tone.wav
"$talkie" sample board.yaml cast=[] shots='[{seconds: 1, prompt: a ball}]' output=face >out 2>&1 || fail "no picture"

warned() { # how often, words
    (($(grep -c '^warning' out) == $1)) || fail "not $1 warnings"
    (($1 == 0)) || grep -qF -- "$2" out || fail "not said: $2"
}
"$talkie" sample board.yaml output=film >out 2>&1 || fail "cannot name who is given"
warned 0

"$talkie" sample board.yaml output=no 'shots[0].prompt=<face 2>' 'shots[1].prompt=@bo' >out 2>&1 && fail "not refused"
grep -qF 'command line: shots[0].prompt: <face 2> names a reference that is not given; there are <face 1> and <voice 1>.' out ||
    fail "a face of nobody is not told"
grep -qF 'command line: shots[1].prompt: @bo is not of cameo' out || fail "nobody's handle is not told with it"
compgen -G 'no.*' >/dev/null && fail "something was made"

# What is given and not named, told once, whatever the ranks.
. "$root/scripts/env.sh" 2
mpirun -n 2 "$talkie" sample board.yaml output=other 'shots[1].prompt=a dog' >out 2>&1 || fail "cannot sample"
warned 2 'board.yaml:3:14: cast[0].tag: <face 1> is given to all shots, and no prompt names it'

# A remix has prompts from its clip, which may name whom it does not give.
echo '{checkpoint: run, sample: {steps: 1}, remix: {clip: film.mp4, shots: [1]}}' >again.yaml
"$talkie" plan again.yaml >out 2>&1 || fail "cannot plan"
warned 1 'film.mp4: the prompt of its shot 1, which is made anew, names <face 1>, and that is not given; there is none.'
"$talkie" plan again.yaml 'remix.shots=[0]' >out 2>&1 || fail "cannot plan"
warned 0
"$talkie" plan again.yaml 'cast=[{tag: face 1, file: face.png}]' >out 2>&1 || fail "cannot plan"
warned 0

# An import's captions and lists.
import() { # caption, list
    echo "$1" >film.txt
    echo "$2" >film.references
    rm -f import.h5
    "$talkie" data import film.mp4 run.yaml import.min_seconds=0.5 import.clip_seconds=1 -o import.h5 >out 2>&1 || fail "cannot import"
}
import '<face 1> and Adam wave' $'<face 1>: face.png\n<voice 1>: tone.wav'
warned 0
import 'Ada, and <face 3>' $'<face 1> Ada: face.png\n<voice 1> Ada: tone.wav'
warned 1 'film.mp4: its caption names <face 3>, which no line of its .references gives'
import 'Adam waves' '<face 1> Ada: face.png'
warned 1 'film.mp4: its .references gives <face 1> for Ada, which its caption does not name'
