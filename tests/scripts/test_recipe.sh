#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# The recipe makes clips and lines of speech, in parts while it trains, checks, weights and figures; run again, it makes
# nothing again but figures.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
more=20 # steps after the first stop
fail() { echo "$1" && sed 's/^/    /' "$work/said" && failed=$((failed + 1)); }

cat >"$work/small.yaml" <<END
base: $PWD/configs/tiny.yaml
data: {check: [$work/run/check.h5]}
train: {steps: 1000000, check_every: 1000000, check_clips: 2, checkpoint_every: 1000000}
eval: {clips: 1, shown: 12, pictures: 0}
END
# While the second part is made, training goes on until it is asked to stop, however slow that is; then so many steps
# more as a file says.
talkie=$(realpath "${TALKIE:-build/talkie}")
cat >"$work/talkie" <<END
#!/bin/sh
case "\$1 \$*" in
"train "*clips-2*)
    at=\$(ls $work/run | sed -n 's/^step-0*\([1-9][0-9]*\)\.h5\$/\1/p' | tail -n 1)
    echo \$((at + \$(cat $work/more))) >$work/steps
    exec $talkie "\$@" train.steps=\$(cat $work/steps)
    ;;
esac
exec $talkie "\$@"
END
chmod +x "$work/talkie"
recipe() {
    TALKIE=$work/talkie CONFIG=$work/small.yaml OUT=$work/run MAKERS=1 RANKS=1 CLIPS=16 LINES=16 PARTS=2 \
        scripts/recipe.sh "$@" >"$work/said" 2>&1
}

recipe device=cpu train.lr=-1 && fail "a training that fails does not end it"
# It may ask a training to stop that is failing just then, and find out in the last one.
! grep -q '^== figures' "$work/said" || fail "it went on after a training that failed"
[[ ! -e $work/run/world.safetensors ]] || fail "weights came of a training that failed"

rm -f "$work/run/clips-2.h5" "$work/run/lines-2.h5"
echo $more >"$work/more"
recipe device=cpu || fail "the recipe ends with $?"
for file in clips.h5 lines.h5 clips-2.h5 lines-2.h5 check.h5 metrics.jsonl check.jsonl loss.png world.safetensors eval.json; do
    [[ -s $work/run/$file ]] || fail "$file is not there"
done
grep -q 'stopped on request after step' "$work/said" || fail "the training did not stop to take in the second part"
steps=$(cat "$work/steps")
((steps > more)) || fail "it stopped before its first step"
(($(grep -c '"step"' "$work/run/metrics.jsonl") == steps)) || fail "it took other than $steps steps"
(($(grep -c '"step"' "$work/run/check.jsonl") == 1)) || fail "held-out losses were not taken"
grep -q 'nobody judges what is said' "$work/said" || fail "its world does not speak" # sound of 8 kHz
grep -q ' 32 clips' "$work/said" || fail "the last steps were not taken on all four files"

touch -d 2020-01-01 "$work"/run/*.h5
echo 1 >"$work/more"
recipe device=cpu || fail "it does not go on"
[[ -z $(find "$work/run" -maxdepth 1 -name '*.h5' ! -name 'step-*' -newermt 2021-01-01) ]] || fail "clips were made again"
(($(grep -c '"step"' "$work/run/metrics.jsonl") == steps + 1)) || fail "it did not go on where it stopped"

cat >"$work/cuts.yaml" <<END
base: small.yaml
model: {shots: numbered}
world: {cuts: any}
train: {steps: 2}
data: {check: [$work/cuts/check.h5]}
END
TALKIE=$talkie CONFIG=$work/cuts.yaml OUT=$work/cuts FROM=$work/run/world.safetensors MAKERS=1 RANKS=1 CLIPS=4 \
    scripts/recipe.sh device=cpu >"$work/said" 2>&1 || fail "it does not go on from weights"
grep -q 'its learned rows begin as in a new model' "$work/said" || fail "it did not begin with those weights"
[[ -s $work/cuts/world.safetensors && -s $work/cuts/eval.json ]] || fail "it made none"
exit $((failed > 0))
