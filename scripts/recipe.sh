#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipe of the model that ships, from nothing to weights and figures. A second run goes on where the first one
# stopped; what is there is not made again.
#
#     scripts/recipe.sh [key=value ...]    options go to both trainings
#
# With SPEECH=configs/speech.yaml there is a second part, in which that model learns to speak; the weights that ship have
# not gone through it yet. Words need many lines and hardly any picture: most of its clips are of 8 x 8 pixels, a
# tenth of the rows.
#
# Environment: TALKIE (program, default build/talkie), CONFIG (default configs/world.yaml), SPEECH (see above, default
# none), OUT (where runs and clips go, default runs/world), MAKERS (ranks that make clips, default all cores), RANKS
# (ranks that train, default 1, a GPU for each), LINES, CLOSE, FULL (clips of the second part).
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
CONFIG=${CONFIG:-configs/world.yaml}
SPEECH=${SPEECH:-}
OUT=${OUT:-runs/world}
MAKERS=${MAKERS:-$(nproc)}
RANKS=${RANKS:-1}
LINES=${LINES:-24000} CLOSE=${CLOSE:-500} FULL=${FULL:-150}
begin=$SECONDS

# shellcheck source=scripts/env.sh
. scripts/env.sh "$((MAKERS > RANKS ? MAKERS : RANKS))"

step() { printf '\n== %s\n' "$1"; }

# Unless they are there: film CONFIG FILE [key=value ...]
film() { [[ -s $2 ]] || mpirun -n "$MAKERS" "$TALKIE" data world "$1" -o "$2" "${@:3}"; }

# train_on CONFIG RUN CHECK FILES [key=value ...]
train_on() {
    mpirun -n "$RANKS" "$TALKIE" train "$1" train.out="$2" data.check="[$3]" data.files="[$4]" "${@:5}"
}

mkdir -p "$OUT"
step "data: the world, filmed and encoded; clips of another world, to check with"
film "$CONFIG" "$OUT/clips.h5"
film "$CONFIG" "$OUT/check.h5" codec.from="$OUT/clips.h5" world.seed=2 world.clips=64

step "train: $RANKS ranks"
train_on "$CONFIG" "$OUT" "$OUT/check.h5" "$OUT/clips.h5" "$@"
weights=$OUT/world.safetensors
[[ -z $SPEECH ]] || weights=$OUT/silent.safetensors
"$TALKIE" convert "$OUT" -o "$weights"

if [[ -n $SPEECH ]]; then
    step "data: people who speak: lines to hear, some close enough to see lips, a few of all else"
    mkdir -p "$OUT/speech"
    said=(codec.from="$weights" world.seconds=1.5 world.max_shots=1 world.things=0 world.strangers=0.2)
    small=("${said[@]}" media.width=8 media.height=8)
    film "$SPEECH" "$OUT/speech/lines.h5" "${small[@]}" world.clips="$LINES"
    film "$SPEECH" "$OUT/speech/close.h5" "${said[@]}" world.clips="$CLOSE"
    film "$SPEECH" "$OUT/speech/full.h5" codec.from="$weights" world.clips="$FULL"
    film "$SPEECH" "$OUT/speech/check.h5" "${small[@]}" world.clips=64 world.seed=2

    step "train: to speak, $RANKS ranks"
    train_on "$SPEECH" "$OUT/speech" "$OUT/speech/check.h5" \
        "$OUT/speech/lines.h5,$OUT/speech/close.h5,$OUT/speech/full.h5" train.from="$weights" "$@"
    "$TALKIE" convert "$OUT/speech" -o "$OUT/world.safetensors"
fi

step "figures"
mpirun -n "$RANKS" "$TALKIE" eval "${SPEECH:-$CONFIG}" eval.checkpoint="$OUT/world.safetensors" -o "$OUT/eval.json"

cat <<END

Done in $((SECONDS - begin)) seconds.
  weights         $OUT/world.safetensors
  losses          $OUT/loss.png, $OUT/check.jsonl${SPEECH:+, those in $OUT/speech}
  figures         $OUT/eval.json

Your own shots?   $TALKIE sample STORYBOARD.yaml checkpoint=$OUT/world.safetensors
END
