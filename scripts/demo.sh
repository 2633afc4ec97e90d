#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole way through: make data, train on 4 ranks (tensor 2 x pipeline 2), sample a three-shot
# clip with sound on 4 ranks, say where it is. A second run goes on where the first one stopped.
#
#     make demo                          sets everything up first
#     scripts/demo.sh [key=value ...]    options go to the training
#
# Environment: TALKIE (program, default build/talkie), RANKS (default 4).
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
RANKS=${RANKS:-4}
config=configs/demo.yaml
story=configs/storyboards/ball.yaml
out=runs/demo
data=$out/clips.h5
clip=clips/ball
begin=$SECONDS

# shellcheck source=scripts/env.sh
. scripts/env.sh "$RANKS"

step() { printf '\n== %s\n' "$1"; }

if ((RANKS % 4 == 0)); then
    layout=(parallel.tensor=2 parallel.pipeline=2)
else
    layout=(parallel.tensor="$RANKS")
fi

mkdir -p "$out" clips
if [[ ! -s $data ]]; then
    step "data: the world, filmed and encoded"
    mpirun -n "$RANKS" "$TALKIE" data world "$config" -o "$data"
fi

step "train: $RANKS ranks, ${layout[*]}"
mpirun -n "$RANKS" "$TALKIE" train "$config" "${layout[@]}" "$@"

step "sample: $RANKS ranks"
mpirun -n "$RANKS" "$TALKIE" sample "$story"

cat <<END

Done in $((SECONDS - begin)) seconds.
  clip            $clip.mp4
  contact sheet   $clip.png
  loss curve      $out/loss.png

What has it learned?   $TALKIE eval $out
Your own shots?        edit $story, then $TALKIE sample $story
END
