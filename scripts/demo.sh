#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# First a clip of three shots from the weights that ship; then the whole way through: make data, train
# on 4 ranks (tensor 2 x pipeline 2), sample a three-shot clip with sound on 4 ranks; a page that shows
# both. A second run goes on where the first one stopped.
#
#     make demo                          sets everything up first
#     scripts/demo.sh [key=value ...]    options go to the training
#
# Environment: TALKIE (program, default build/talkie), RANKS (default 4).
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
RANKS=${RANKS:-4}
shipped=weights/world.safetensors
first=configs/storyboards/walk.yaml
config=configs/demo.yaml
story=configs/storyboards/ball.yaml
out=runs/demo
data=$out/clips.h5
page=clips/demo.html
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
sections=()
if [[ -e $shipped ]]; then
    step "sample: $shipped, $RANKS ranks"
    mpirun -n "$RANKS" "$TALKIE" sample "$first"
    sections+=(clips/walk "$(dirname "$shipped")" "From the weights that ship")
    scripts/page.sh "$page" "${sections[@]}"
    echo "after $((SECONDS - begin)) seconds: clips/walk.mp4, and the page $page"
else
    echo "$shipped is not here: the demo goes without its clip"
fi

if [[ ! -s $data ]]; then
    step "data: the world, filmed and encoded"
    mpirun -n "$RANKS" "$TALKIE" data world "$config" -o "$data"
fi

step "train: $RANKS ranks, ${layout[*]}"
mpirun -n "$RANKS" "$TALKIE" train "$config" "${layout[@]}" "$@"

step "sample: $RANKS ranks"
mpirun -n "$RANKS" "$TALKIE" sample "$story"
sections+=(clips/ball "$out" "From a model trained on this machine in minutes")
scripts/page.sh "$page" "${sections[@]}"

cat <<END

Done in $((SECONDS - begin)) seconds.
  all on a page   $page
  clip            clips/ball.mp4
  contact sheet   clips/ball.png
  loss curve      $out/loss.png

What has it learned?   $TALKIE eval $out
Your own shots?        edit $story, then $TALKIE sample $story
END
