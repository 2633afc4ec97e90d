#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# The recipe makes clips, checks, weights that then learn to speak, and figures; run again, it makes nothing again but
# figures.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "$1" && sed 's/^/    /' "$work/said" && failed=$((failed + 1)); }

cat >"$work/small.yaml" <<END
base: $PWD/configs/tiny.yaml
world: {clips: 8, speech: false}
data: {check: [$work/run/check.h5]}
train: {steps: 3, check_every: 3, check_clips: 2}
eval: {clips: 1, shown: 12, pictures: 0}
END
cat >"$work/words.yaml" <<END
base: small.yaml
world: {speech: true}
END
cat >"$work/speech.yaml" <<END
base: words.yaml
END
recipe() {
    TALKIE=${TALKIE:-build/talkie} CONFIG=$work/small.yaml WORDS=$work/words.yaml SPEECH=$work/speech.yaml OUT=$work/run \
        MAKERS=1 RANKS=1 LINES=8 CLOSE=4 FULL=2 SHOTS=4 scripts/recipe.sh "$@" >"$work/said" 2>&1
}

recipe device=cpu || fail "the recipe ends with $?"
for file in clips.h5 check.h5 metrics.jsonl check.jsonl loss.png silent.safetensors words/{lines,close,full,check}.h5 \
    speech/{lines,shots,close,full,check}.h5 {words,speech}/metrics.jsonl world.safetensors eval.json; do
    [[ -s $work/run/$file ]] || fail "$file is not there"
done
for run in run run/words run/speech; do
    (($(grep -c '"step"' "$work/$run/check.jsonl") == 1)) || fail "$run: held-out losses were not taken"
done
grep -q 'nobody judges what is said' "$work/said" || fail "the second part's world does not speak" # sound of 8 kHz
touch -d 2020-01-01 "$work"/run/c*.h5 "$work"/run/words/*.h5 "$work"/run/speech/*.h5
recipe device=cpu train.steps=4 || fail "it does not go on"
[[ -z $(find "$work/run" -maxdepth 2 -name '*.h5' ! -name 'step-*' -newermt 2021-01-01) ]] || fail "clips were made again"
for run in run run/words run/speech; do
    (($(grep -c '"step"' "$work/$run/metrics.jsonl") == 4)) || fail "$run: it did not go on where it stopped"
done
exit $((failed > 0))
