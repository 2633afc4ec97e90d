#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A policy that listens: what is said in given sounds is refused before anything is made, what is said in a
# clip before it is there; nothing of it stays. Where no word can be heard, nothing is made.
set -euo pipefail
RANKS=1
says=$(realpath "${BUILD:-build}")/tests/infer/filter/test_hearing
. "$(dirname "$0")/../support/small.sh"

refused() { # WORDS COMMAND...
    local code=0 words=$1
    shift
    "$talkie" "$@" >out 2>&1 || code=$?
    if grep -q 'without speech\|without filters\|is missing (Debian' out; then
        echo "skipped: $(grep -o 'no word can be heard.*\|this talkie was built without filters' out | tail -1)"
        exit 77
    fi
    [[ $code == 2 ]] || fail "talkie $*: exit code $code, not 2"
    grep -q -- "$words" out || fail "talkie $*: does not say \"$words\""
}
policy() { echo "{listen: true, categories: [{name: drugs, words: [$1]}]}" >new && mv new policy.yaml; }
by=(filter.policy=policy.yaml filter.log=log.jsonl)
nothing_left() { [[ -z $(compgen -G "$1.*" | grep -v '\.yaml$') ]] || fail "of $1 there is left: $(echo "$1".*)"; }

# A model that hears nothing of speech: all is refused.
{ "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
echo '{checkpoint: run, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: a lake}]}' >lake.yaml
policy cocaine
refused 'policy.yaml: listen: nothing is made of lake.yaml: no word can be heard at 4000 samples' sample lake.yaml -o lake "${by[@]}"
nothing_left lake

# One that hears, and does not change what it is given.
sed -i 's/sample_rate: 4000/sample_rate: 16000/; s/audio_channels: 8/audio_channels: 300/' run.yaml
rm -r run clips.h5
{ "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
TK_TEST_SAY='talk.wav:today we talk about cocaine again' "$says" || fail "nobody speaks"
story() { # FILE MORE
    echo "{checkpoint: run, sample: {steps: ${3:-1}, window: 4}, shots: [{seconds: 3, prompt: a lake}], $2}" >"$1.yaml"
}
cp talk.wav voice.wav
story both 'sound: talk.wav, references: [voice.wav]'
refused 'both.yaml: talk.wav, said after second 0: refused (drugs, word "cocaine"): "cocaine"' sample both.yaml -o both "${by[@]}"
grep -q 'both.yaml: voice.wav, said after second 0: refused' out || fail "a reference is not heard"
nothing_left both
[[ $(grep -c '"decision":"refused"' log.jsonl) == 2 ]] || fail "the log: $(cat log.jsonl)"

# What the policy of the end refuses: not the given sound, the clip.
policy tree
rm log.jsonl
story late 'sound: talk.wav' 100
"$talkie" sample late.yaml -o late "${by[@]}" >job 2>&1 &
job=$!
for _ in $(seq 600); do [[ ! -e late.windows ]] || break; sleep 0.05; done
policy again
code=0
wait $job || code=$?
cp job out
[[ $code == 2 ]] || fail "a refused clip ends with $code"
grep -q 'late.yaml: the clip, said after second 0: refused (drugs, word "again"): "again"' out || fail "it is not told"
nothing_left late
[[ $(sed -E 's/.*"decision":"([a-z]+)".*/\1/' log.jsonl | paste -sd ' ') == 'passed refused' ]] || fail "the log: $(cat log.jsonl)"

# What says nothing bad is made, and is the clip that it is without a policy.
policy tree
story given 'sound: talk.wav'
"$talkie" sample given.yaml -o given "${by[@]}" >out 2>&1 || fail "an innocent clip is not made"
"$talkie" sample given.yaml -o given >out 2>&1 || fail "no clip"
grep -q 'finished already' out || fail "a policy makes another clip"

# In a spool.
mkdir -p spool/new spool/files
cp talk.wav spool/files/
policy cocaine
sed 's/checkpoint: run, //' given.yaml >spool/new/.drop
mv spool/new/.drop spool/new/given.yaml
"$talkie" serve spool checkpoint=run serve.once=1 "${by[@]}" >out 2>&1 || fail "the worker failed"
grep -q 'refused (drugs' spool/failed/given/job.json || fail "a job that says it is not refused: $(cat spool/*/given/job.json)"
[[ -z $(find spool/failed -name '*.mp4' -o -name '*.latents') ]] || fail "a refused job leaves something"
echo "heard and refused"
