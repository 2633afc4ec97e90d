# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tests of signed clips, after tests/support/small.sh: keys/ of an authority, first.mp4 that is
# signed and child.mp4 that was made from it, signed too.

mkdir keys
"$root/tests/support/authority.sh" keys
by=(provenance.key=keys/key.pem provenance.chain=keys/chain.pem)
"$talkie" data world run.yaml -o clips.h5 >out 2>&1 || fail "the data cannot be made"
"$talkie" train run.yaml >out 2>&1 || fail "training fails"
cat >first.yaml <<'YAML'
checkpoint: run
shots: [{seconds: 1, prompt: a red ball}]
sample: {steps: 1}
YAML
cat >child.yaml <<'YAML'
checkpoint: run
shots: [{seconds: 1, prompt: a blue ball}]
sample: {steps: 1}
remix: {clip: first.mp4, from: 0.5}
YAML
for clip in first child; do
    "$talkie" sample $clip.yaml -o $clip.mp4 "${by[@]}" >out 2>&1 || fail "$clip.mp4 is not made"
done
