#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A policy that listens: what is said in given sounds is refused before anything is made, what is said in a
# clip before it is there; nothing of it stays. Where no word can be heard, nothing is made.
set -euo pipefail
RANKS=1
says=$(realpath "${BUILD:-build}")/tests/infer/filter/test_hearing
. "$(dirname "$0")/../support/small.sh"

SENSE=listen SENSED='said after second'
. "$root/tests/infer/sensing.sh"

# A model that hears nothing of speech: all is refused.
make_model
echo '{checkpoint: run, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: a lake}]}' >lake.yaml
policy cocaine
refused 'policy.yaml: listen: nothing is made of lake.yaml: no word can be heard at 4000 samples' sample lake.yaml -o lake "${by[@]}"
nothing_left lake

# One that hears, and does not change what it is given.
sed -i 's/sample_rate: 4000/sample_rate: 16000/; s/audio_channels: 8/audio_channels: 300/' run.yaml
rm -r run clips.h5
make_model
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
story late 'sound: talk.wav' 100
refused_at_its_end late again

# What says nothing bad is made, and is the clip that it is without a policy.
policy tree
story given 'sound: talk.wav'
"$talkie" sample given.yaml -o given "${by[@]}" >out 2>&1 || fail "an innocent clip is not made"
"$talkie" sample given.yaml -o given >out 2>&1 || fail "no clip"
grep -q 'finished already' out || fail "a policy makes another clip"

# In a spool.
refused_in_a_spool given talk.wav cocaine
echo "heard and refused"
