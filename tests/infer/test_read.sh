#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A policy that reads: what can be read in given pictures is refused before anything is made, what can be read
# in a clip before it is there; nothing of it stays. Where no text can be read, nothing is made.
set -euo pipefail
RANKS=1
draws=$(realpath "${BUILD:-build}")/tests/infer/filter/test_reading
. "$(dirname "$0")/../support/small.sh"

refused() { # WORDS COMMAND...
    local code=0 words=$1
    shift
    "$talkie" "$@" >out 2>&1 || code=$?
    if grep -q 'without tesseract\|without filters\|is missing (Debian' out; then
        echo "skipped: $(grep -o 'no text can be read.*\|this talkie was built without filters' out | tail -1)"
        exit 77
    fi
    [[ $code == 2 ]] || fail "talkie $*: exit code $code, not 2"
    grep -q -- "$words" out || fail "talkie $*: does not say \"$words\""
}
policy() { echo "{read: true, categories: [{name: drugs, words: [$1]}]}" >new && mv new policy.yaml; }
by=(filter.policy=policy.yaml filter.log=log.jsonl)
nothing_left() { [[ -z $(compgen -G "$1.*" | grep -v '\.yaml$') ]] || fail "of $1 there is left: $(echo "$1".*)"; }

sed -i 's/width: 16, height: 16/width: 96, height: 64/; s/video_channels: 8, audio_hop/video_channels: 64, audio_hop/
    s/video_channels: 8, audio_channels: 8}/video_channels: 64, audio_channels: 8}/' run.yaml
{ "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
(cd "$root" && TK_TEST_DRAW="$dir/sign.ppm:BOMB" "$draws") || fail "nothing is drawn"
(cd "$root" && TK_TEST_DRAW="$dir/again.ppm:B0MB" "$draws") || fail "nothing is drawn"
story() { # FILE MORE
    echo "{checkpoint: run, sample: {steps: ${3:-1}, window: 4}, shots: [{seconds: 1, prompt: a lake}], $2}" >"$1.yaml"
}

# Given pictures, of all kinds; one that is there twice is told for each place.
policy bomb
story both 'picture: sign.ppm, references: [again.ppm]'
refused 'both.yaml: sign.ppm, to be read after second 0: refused (drugs, word "bomb"): "BOMB"' sample both.yaml -o both "${by[@]}"
grep -q 'both.yaml: again.ppm, to be read after second 0: refused' out || fail "a reference is not read"
nothing_left both
[[ $(grep -c '"decision":"refused"' log.jsonl) == 2 ]] || fail "the log: $(cat log.jsonl)"
story key 'keyframes: [{picture: sign.ppm, at: 0.5}]'
refused 'key.yaml: sign.ppm, to be read after second 0: refused' plan key.yaml "${by[@]}"

# What the policy of the end refuses: not the given picture, the clip.
policy tree
rm log.jsonl
story late 'picture: sign.ppm' 60
"$talkie" sample late.yaml -o late "${by[@]}" >job 2>&1 &
job=$!
for _ in $(seq 600); do [[ ! -e late.windows ]] || break; sleep 0.05; done
policy bomb
code=0
wait $job || code=$?
cp job out
[[ $code == 2 ]] || fail "a refused clip ends with $code"
grep -q 'late.yaml: the clip, to be read after second 0: refused (drugs, word "bomb")' out || fail "it is not told"
nothing_left late
[[ $(sed -E 's/.*"decision":"([a-z]+)".*/\1/' log.jsonl | paste -sd ' ') == 'passed refused' ]] || fail "the log: $(cat log.jsonl)"

# What has nothing bad to be read is made.
policy tree
story given 'picture: sign.ppm'
"$talkie" sample given.yaml -o given "${by[@]}" >out 2>&1 || fail "an innocent clip is not made"

# In a spool.
mkdir -p spool/new spool/files
cp sign.ppm spool/files/
policy bomb
sed 's/checkpoint: run, //' given.yaml >spool/new/.drop
mv spool/new/.drop spool/new/given.yaml
"$talkie" serve spool checkpoint=run serve.once=1 "${by[@]}" >out 2>&1 || fail "the worker failed"
grep -q 'refused (drugs' spool/failed/given/job.json || fail "a job that shows it is not refused: $(cat spool/*/given/job.json)"
[[ -z $(find spool/failed -name '*.mp4' -o -name '*.latents') ]] || fail "a refused job leaves something"
echo "read and refused"
