#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A policy that reads: what can be read in given pictures is refused before anything is made, what can be read
# in a clip before it is there; nothing of it stays. Where no text can be read, nothing is made.
set -euo pipefail
RANKS=1
draws=$(realpath "${BUILD:-build}")/tests/infer/filter/test_reading
. "$(dirname "$0")/../support/small.sh"

SENSE=read SENSED='to be read after second'
. "$root/tests/infer/sensing.sh"

sed -i 's/width: 16, height: 16/width: 96, height: 64/; s/video_channels: 8, audio_hop/video_channels: 64, audio_hop/
    s/video_channels: 8, audio_channels: 8}/video_channels: 64, audio_channels: 8}/' run.yaml
make_model
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
story late 'picture: sign.ppm' 60
refused_at_its_end late bomb

# What has nothing bad to be read is made.
policy tree
story given 'picture: sign.ppm'
"$talkie" sample given.yaml -o given "${by[@]}" >out 2>&1 || fail "an innocent clip is not made"

# A film that dissolves has fewer pictures than its shots: it is seen to its end.
echo '{checkpoint: run, sample: {steps: 1}, shots: [{seconds: 1, prompt: a lake}, {seconds: 1, prompt: a sea, dissolve: 0.5}]}' >short.yaml
"$talkie" sample short.yaml -o short "${by[@]}" >out 2>&1 || fail "a film that dissolves is not seen to its end"

# In a spool.
refused_in_a_spool given sign.ppm bomb
echo "read and refused"
