#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipe of the model that ships, from nothing to weights and figures. A second run goes on where the first one
# stopped; what is there is not made again.
#
#     scripts/recipe.sh [key=value ...]    options go to the training
#
# Environment: TALKIE (program, default build/talkie), CONFIG (default configs/world.yaml; another may say "base:"), OUT (its run directory and
# that of its clips, default runs/world), MAKERS (ranks that make clips, default all cores), RANKS (ranks that train,
# default 1, a GPU for each).
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
CONFIG=${CONFIG:-configs/world.yaml}
OUT=${OUT:-runs/world}
MAKERS=${MAKERS:-$(nproc)}
RANKS=${RANKS:-1}
begin=$SECONDS

# shellcheck source=scripts/env.sh
. scripts/env.sh "$((MAKERS > RANKS ? MAKERS : RANKS))"

step() { printf '\n== %s\n' "$1"; }

mkdir -p "$OUT"
if [[ ! -s $OUT/clips.h5 ]]; then
    step "data: the world, filmed and encoded"
    mpirun -n "$MAKERS" "$TALKIE" data world "$CONFIG" -o "$OUT/clips.h5"
fi
if [[ ! -s $OUT/check.h5 ]]; then
    step "data: clips of another world, to check with"
    mpirun -n "$MAKERS" "$TALKIE" data world "$CONFIG" -o "$OUT/check.h5" codec.from="$OUT/clips.h5" \
        world.seed=2 world.clips=64
fi

step "train: $RANKS ranks"
mpirun -n "$RANKS" "$TALKIE" train "$CONFIG" train.out="$OUT" data.files="[$OUT/clips.h5]" \
    data.check="[$OUT/check.h5]" "$@"

step "weights"
"$TALKIE" convert "$OUT" -o "$OUT/world.safetensors"

step "figures"
mpirun -n "$RANKS" "$TALKIE" eval "$CONFIG" eval.checkpoint="$OUT/world.safetensors" -o "$OUT/eval.json"

cat <<END

Done in $((SECONDS - begin)) seconds.
  weights         $OUT/world.safetensors
  losses          $OUT/loss.png, $OUT/check.jsonl
  figures         $OUT/eval.json

Your own shots?   $TALKIE sample STORYBOARD.yaml checkpoint=$OUT/world.safetensors
END
