#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipe of the model that ships, from nothing to weights and figures. A second run goes on where the first one
# stopped; what is there is not made again.
#
#     scripts/recipe.sh [key=value ...]    options go to both trainings
#
# With WORDS=configs/words.yaml and SPEECH=configs/speech.yaml there are two more parts, in which that model learns
# words, in silence, and then to say them in the world; the weights that ship have not gone through them yet. Words need
# many lines and hardly any picture: most of these clips are of 8 x 8 pixels, a tenth of the rows.
#
# Environment: TALKIE (program, default build/talkie), CONFIG (default configs/world.yaml), WORDS and SPEECH (see above,
# default none), OUT (where runs and clips go, default runs/world), MAKERS (ranks that make clips, default all cores),
# RANKS (ranks that train, default 1, a GPU for each), LINES, CLOSE, FULL (clips of the second part; the third has half
# as many lines and three times as many of the others), SHOTS (its dialogues).
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
CONFIG=${CONFIG:-configs/world.yaml}
WORDS=${WORDS:-}
SPEECH=${SPEECH:-}
OUT=${OUT:-runs/world}
MAKERS=${MAKERS:-$(nproc)}
RANKS=${RANKS:-1}
LINES=${LINES:-24000} CLOSE=${CLOSE:-160} FULL=${FULL:-80} SHOTS=${SHOTS:-3000}
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
    line=(codec.from="$weights" world.seconds=1.5 world.max_shots=1 world.things=0 world.strangers=0.2)
    small=(media.width=8 media.height=8)
    words=$OUT/words speech=$OUT/speech
    mkdir -p "$words" "$speech"
    step "data: lines in silence, with next to no picture; a few of all else"
    film "$WORDS" "$words/lines.h5" "${line[@]}" "${small[@]}" world.soundscapes=false world.clips="$LINES"
    film "$WORDS" "$words/close.h5" "${line[@]}" world.clips="$CLOSE"
    film "$WORDS" "$words/full.h5" codec.from="$weights" world.clips="$FULL"
    film "$WORDS" "$words/check.h5" "${line[@]}" "${small[@]}" world.soundscapes=false world.clips=64 world.seed=2

    step "train: words, $RANKS ranks"
    train_on "$WORDS" "$words" "$words/check.h5" "$words/lines.h5,$words/close.h5,$words/full.h5" \
        train.from="$weights" "$@"

    step "data: people who speak: lines to hear, dialogues, some close enough to see lips, more of all else"
    film "$SPEECH" "$speech/lines.h5" "${line[@]}" "${small[@]}" world.clips=$((LINES / 2)) world.seed=3
    film "$SPEECH" "$speech/shots.h5" codec.from="$weights" world.things=0 "${small[@]}" world.clips="$SHOTS" world.seed=3
    film "$SPEECH" "$speech/close.h5" "${line[@]}" world.clips=$((3 * CLOSE)) world.seed=3
    film "$SPEECH" "$speech/full.h5" codec.from="$weights" world.clips=$((3 * FULL)) world.seed=3
    film "$SPEECH" "$speech/check.h5" "${line[@]}" "${small[@]}" world.clips=64 world.seed=2

    step "train: speech, $RANKS ranks"
    train_on "$SPEECH" "$speech" "$speech/check.h5" \
        "$speech/lines.h5,$speech/shots.h5,$speech/close.h5,$speech/full.h5" train.from="$words" "$@"
    "$TALKIE" convert "$speech" -o "$OUT/world.safetensors"
fi

step "figures"
mpirun -n "$RANKS" "$TALKIE" eval "${SPEECH:-$CONFIG}" eval.checkpoint="$OUT/world.safetensors" -o "$OUT/eval.json"

cat <<END

Done in $((SECONDS - begin)) seconds.
  weights         $OUT/world.safetensors
  losses          $OUT/loss.png, $OUT/check.jsonl${SPEECH:+, those in $OUT/words and $OUT/speech}
  figures         $OUT/eval.json

Your own shots?   $TALKIE sample STORYBOARD.yaml checkpoint=$OUT/world.safetensors
END
