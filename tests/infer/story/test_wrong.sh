#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# All that is wrong with a storyboard, with several of them, and with a job of a spool is told at once, each with
# the place of its option, in the order of the file, by one rank; nothing is decoded, sampled or written before.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
"$root/tests/support/tone.sh" 4000 >tone.wav
{ printf 'P6\n16 16\n255\n' && head -c 768 /dev/zero; } >grey.ppm
echo 'no media' >words.txt

# A command line ends with 2 and says exactly these lines, in this order, told by how they begin.
says() { # LINES ARGUMENT...
    local code=0 line lines=$1
    shift
    "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "ends with $code, not with 2: $*"
    sed '/^-----/,$d; /^ *$/d; s/^talkie: //; s/^rank 0: //; s/^  *//' out >said
    while read -r line <&3 && read -r -d $'\n' told <&4; do
        [[ $told == "$line"* ]] || fail "'$told' stands where '$line' is wrong"
    done 3<<<"$lines" 4<said
    [[ $(wc -l <said) == $(wc -l <<<"$lines") ]] || fail "not the $(wc -l <<<"$lines") lines that are wrong"
}

cat >board.yaml <<'YAML'
checkpoint: run
size: [17, 16]
fps: 30
sample: {steps: 1, window: 1}
cameo: ["@nobody"]
sound: grey.ppm
references: [tone.wav, words.txt]
keyframes:
  - {at: 0, picture: tone.wav}
  - {at: 9, picture: nowhere.png}
empty_features: words.txt
output: clips/
shots:
  - {seconds: 2, prompt: a ball}
  - {seconds: 1, prompt: a box, features: words.txt}
  - {seconds: 0.5, prompt: a hat, remember: [0, 1], references: [nowhere.wav]}
YAML
wrong='board.yaml:2:7: size: 17x16
board.yaml:3:6: fps: 30
board.yaml:6:8: sound: grey.ppm has no sound
board.yaml:7:24: references[1]:
board.yaml:9:22: keyframes[0].picture: tone.wav has no pictures
board.yaml:10:10: keyframes[1].at: 9
board.yaml:10:22: keyframes[1].picture: cannot open nowhere.png
board.yaml:11:17: empty_features:
board.yaml:12:9: output:
board.yaml:14:15: shots[0].seconds: 2
board.yaml:15:43: shots[1].features:
board.yaml:16:45: shots[2].remember:
board.yaml:16:66: shots[2].references[0]: cannot open nowhere.wav
board.yaml: consent.store: missing'
says "$wrong" "$talkie" sample board.yaml
says "$wrong" "$talkie" plan board.yaml
says "$wrong" mpirun -n 2 "$talkie" sample board.yaml
[[ ! -e clips ]] || fail "something was written"

# Without its checkpoint what needs no model is told all the same; what an override gives has its place there.
says 'board.yaml:6:8: sound: grey.ppm has no sound
board.yaml:7:24: references[1]:
board.yaml:9:22: keyframes[0].picture: tone.wav
board.yaml:10:22: keyframes[1].picture: cannot open nowhere.png
board.yaml:12:9: output:
board.yaml:16:66: shots[2].references[0]: cannot open nowhere.wav
command line: checkpoint: no checkpoint at nowhere
board.yaml: consent.store: missing' "$talkie" sample board.yaml checkpoint=nowhere

# More media than a model is given at once; keys that are not there, where a clip would go to.
cat >many.yaml <<'YAML'
checkpoint: run
sample: {steps: 1, window: 1}
shots: [{seconds: 0.5, prompt: a}]
references: [tone.wav, tone.wav, tone.wav, tone.wav, tone.wav]
YAML
"$root/tests/support/tone.sh" 8000 >tone.wav
says 'many.yaml:4:13: references: 5 seconds of media are given to shots[0]; at most 4' "$talkie" plan many.yaml
cat >kept.yaml <<'YAML'
checkpoint: run
watermark: {key: nowhere.key}
output: run.yaml.mp4
sample: {steps: 1}
shots: [{seconds: 0.5, prompt: a, dissolve: 0.2}]
YAML
echo mine >run.yaml.mp4
says 'kept.yaml:2:18: watermark.key:
kept.yaml:3:9: output: cannot write run.yaml.mp4
kept.yaml:5:45: shots[0].dissolve: no shot is before it' "$talkie" sample kept.yaml
says 'kept.yaml:2:18: watermark.key:
kept.yaml:3:9: output: cannot write run.yaml.mp4' "$talkie" sample kept.yaml 'shots=[{seconds: 0.5, prompt: a}]'

# Of a list all storyboards, and which of them an override does not fit.
sed 's/dissolve: 0.2/fade_in: 9/' kept.yaml >other.yaml
echo 'storyboards: [kept.yaml, many.yaml, other.yaml]' >list.yaml
says 'kept.yaml:2:18: watermark.key:
kept.yaml:3:9: output: cannot write run.yaml.mp4
kept.yaml:5:45: shots[0].dissolve: no shot is before it
command line: fps: 7 asked, but this checkpoint'"'"'s codec makes 4 frames a second; leave fps out or give 4 (kept.yaml)
command line: fps: 7 asked, but this checkpoint'"'"'s codec makes 4 frames a second; leave fps out or give 4 (many.yaml)
other.yaml:2:18: watermark.key:
other.yaml:3:9: output: cannot write run.yaml.mp4
other.yaml:5:9: shots[0]: its 2 frames are too few
command line: fps: 7 asked, but this checkpoint'"'"'s codec makes 4 frames a second; leave fps out or give 4 (other.yaml)' \
    "$talkie" sample list.yaml fps=7
printf 'checkpoint: run\nshot: 1\n' >kept.yaml
printf 'checkpoint: run\nshots: [{second: 1}]\n' >other.yaml
says 'kept.yaml:2:1: shot:
kept.yaml: shots: missing
many.yaml:4:13: references: 5 seconds
other.yaml:2:10: shots[0].second: ' "$talkie" sample list.yaml

# What is wrong with options ends no round: all else that can be asked is told with it, and what depends on them is
# not. (A shot's length that is none hides what is wrong with the shots' places in windows, not files.)
cat >both.yaml <<'YAML'
checkpoint: run
fps: 30
sample: {steps: 0}
sound: grey.ppm
references: ["", words.txt]
keyframes: [{at: 99, picture: nowhere.png}]
output: clips/
shots:
  - {seconds: long, prompt: a ball}
  - {seconds: 9, prompt: a box, features: words.txt}
YAML
both='both.yaml:2:6: fps: 30
both.yaml:3:17: sample.steps: 0 is not a whole number
both.yaml:4:8: sound: grey.ppm has no sound
both.yaml:5:14: references[0]: is empty
both.yaml:5:18: references[1]: words.txt
both.yaml:6:31: keyframes[0].picture: cannot open nowhere.png
both.yaml:7:9: output:
both.yaml:9:15: shots[0].seconds: long is not a number
both.yaml:10:43: shots[1].features:'
says "$both"'
command line: seed: x is not a whole number' "$talkie" sample both.yaml seed=x
says "$both" mpirun -n 2 "$talkie" sample both.yaml
sed 's/seconds: long/seconds: 0.5/; s/steps: 0/steps: 1/' both.yaml >long.yaml
says 'long.yaml:2:6: fps: 30
long.yaml:4:8: sound: grey.ppm
long.yaml:5:14: references[0]: is empty
long.yaml:5:18: references[1]: words.txt
long.yaml:6:18: keyframes[0].at: 99
long.yaml:6:31: keyframes[0].picture: cannot open nowhere.png
long.yaml:7:9: output:
long.yaml:10:15: shots[1].seconds: 9
long.yaml:10:43: shots[1].features:' "$talkie" plan long.yaml
says "command line: plan.search: x is not a whole number
command line: plan.machine: cannot open
$both" "$talkie" plan both.yaml plan.search=x plan.machine=none.yaml

# Of a list what is wrong with it, each thing once, and with its storyboards, each of them.
cat >list.yaml <<'YAML'
storyboards: [many.yaml,
  none.yaml, "", both.yaml]
sample: {guidance: much}
YAML
says "list.yaml:2:3: storyboards[1]: cannot open none.yaml
list.yaml:2:14: storyboards[2]: is empty
list.yaml:3:20: sample.guidance: much is not a number
command line: seed: x is not a whole number
${both/both.yaml:10:43*/}both.yaml:10:43: shots[1].features:" "$talkie" sample list.yaml seed=x
printf 'checkpoint: run\nshots: [\n' >broken.yaml
says 'broken.yaml:3:1: not YAML
command line: sound: cannot open nowhere.wav' "$talkie" sample broken.yaml sound=nowhere.wav

# A job of a spool: what is not its to say; then, by its place, what it gives.
drop() { # NAME: the job, which fails for what is in `error`
    cp "$1.yaml" spool/new
    "$talkie" serve spool serve.once=1 checkpoint=run >out 2>&1 || fail "the worker ends with $?"
    [[ -e spool/failed/$1/job.json ]] || fail "job $1 did not fail"
    "$json" "spool/failed/$1/job.json" error >error
}
"$talkie" serve spool serve.once=1 checkpoint=run >out 2>&1 || fail "no spool"
cat >theirs.yaml <<'YAML'
takes: 2
sound: /etc/passwd
output: a/b
watermark: {key: mine}
shots: [{seconds: 0.5, prompt: a, references: [../../run.yaml]}]
YAML
drop theirs
for line in 'theirs.yaml:1:8: takes: ' 'theirs.yaml:2:8: sound: ' 'theirs.yaml:3:9: output: ' 'theirs.yaml:4:18: watermark.key: ' \
    'theirs.yaml:5:48: shots\[0\].references\[0\]: '; do
    grep -q "$line" error || fail "not told of a job: $line in $(cat error)"
done
cat >given.yaml <<'YAML'
size: [17, 16]
shots: [{seconds: 9, prompt: a}]
YAML
drop given
grep -q 'given.yaml:1:7: size: 17x16' error && grep -q 'given.yaml:2:19: shots\[0\].seconds: 9' error && ! grep -q running error ||
    fail "not all of a job is told: $(cat error)"
echo "all that is wrong is told at once"
