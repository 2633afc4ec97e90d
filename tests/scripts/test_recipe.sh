#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# The recipe makes clips, checks, weights and figures; run again, it makes nothing again but figures.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "$1" && sed 's/^/    /' "$work/said" && failed=$((failed + 1)); }

cat >"$work/small.yaml" <<END
base: $PWD/configs/tiny.yaml
world: {clips: 8}
data: {check: [$work/run/check.h5]}
train: {steps: 3, check_every: 3, check_clips: 2}
eval: {clips: 1, shown: 12, pictures: 0}
END
recipe() {
    TALKIE=${TALKIE:-build/talkie} CONFIG=$work/small.yaml OUT=$work/run MAKERS=1 RANKS=1 scripts/recipe.sh "$@" \
        >"$work/said" 2>&1
}

recipe device=cpu || fail "the recipe ends with $?"
for file in clips.h5 check.h5 metrics.jsonl check.jsonl loss.png world.safetensors eval.json; do
    [[ -s $work/run/$file ]] || fail "$file is not there"
done
(($(grep -c '"step"' "$work/run/check.jsonl") == 1)) || fail "held-out losses were not taken"
touch -d 2020-01-01 "$work/run/clips.h5" "$work/run/check.h5"
recipe device=cpu train.steps=4 || fail "it does not go on"
[[ -z $(find "$work/run" -name 'c*.h5' -newermt 2021-01-01) ]] || fail "clips were made again"
(($(grep -c '"step"' "$work/run/metrics.jsonl") == 4)) || fail "it did not go on where it stopped"
exit $((failed > 0))
