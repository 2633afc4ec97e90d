#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipe of the model that ships, from nothing to weights and figures. A second run goes on where the first one
# stopped; what is there is not made again.
#
#     scripts/recipe.sh [key=value ...]    options go to the training
#
# With CONFIG=configs/speech.yaml it makes one that also speaks. Words need many lines and hardly any picture, so beside whole
# clips there are LINES of a second and a half on 8 x 8 pixels, a small part of the rows, from the first step on: a
# model that learned them after its pictures forgot those (docs/world.md).
#
# With FROM=weights.safetensors it goes on from those instead of from nothing, on clips made by their codec.
# CONFIG=configs/cuts.yaml FROM=weights/world.safetensors OUT=runs/cuts teaches the model that ships to cut where it is
# asked to.
#
# Environment: TALKIE (program, default build/talkie), CONFIG (default configs/world.yaml), OUT (where runs and clips go,
# default runs/world), CLIPS (whole clips in all, default world.clips of the config), LINES (in all, default 0), PARTS (default
# 1; with more, clips and lines are made in so many parts, and training begins on the first while the others are made: where
# a GPU is lent by the minute), MAKERS (ranks that make clips, default all cores), RANKS (ranks that train, default 1, a GPU
# for each).
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
CONFIG=${CONFIG:-configs/world.yaml}
OUT=${OUT:-runs/world}
CLIPS=${CLIPS:-} LINES=${LINES:-0} PARTS=${PARTS:-1} FROM=${FROM:-}
MAKERS=${MAKERS:-$(nproc)}
RANKS=${RANKS:-1}
begin=$SECONDS
if ((PARTS > 1)) && [[ -z $CLIPS ]]; then
    echo "PARTS=$PARTS needs CLIPS, whole clips in all: say CLIPS=60000" >&2
    exit 2
fi

# shellcheck source=scripts/env.sh
. scripts/env.sh "$((MAKERS > RANKS ? MAKERS : RANKS))"

step() { printf '\n== %s\n' "$1"; }

# Unless it is there: film FILE [key=value ...]. The codec is that of FROM, or fitted on the first one's clips.
film() {
    local codec=(codec.from="${FROM:-$OUT/clips.h5}")
    [[ -n $FROM || $1 != "$OUT/clips.h5" ]] || codec=()
    [[ -s $1 ]] || mpirun -n "$MAKERS" "$TALKIE" data world "$CONFIG" -o "$1" "${codec[@]}" "${@:2}"
}

# Other parts show other worlds. Adds what it made to the files.
film_part() { # PART
    local part=$1 name='' seed=() count=()
    ((part == 1)) || { name=-$part && seed=(world.seed="$((part + 10))"); }
    [[ -z $CLIPS ]] || count=(world.clips=$((CLIPS / PARTS)))
    film "$OUT/clips$name.h5" "${count[@]}" "${seed[@]}"
    files+=,$OUT/clips$name.h5
    ((LINES == 0)) && return
    film "$OUT/lines$name.h5" world.clips=$((LINES / PARTS)) world.seconds=1.5 world.max_shots=1 world.things=0 \
        media.width=8 media.height=8 world.seed="$((part + 1000))"
    files+=,$OUT/lines$name.h5
}

begin_training() { # [key=value ...]
    mpirun -n "$RANKS" "$TALKIE" train "$CONFIG" train.out="$OUT" data.check="[$OUT/check.h5]" data.files="[${files#,}]" \
        ${FROM:+train.from="$FROM"} train.changes=allow "$@" &
    trainer=$!
}

# Ends this script if the training failed.
end_training() {
    local code=0
    wait "$trainer" || code=$?
    trainer=
    ((code == 0)) || exit "$code"
}

# Asks the training to stop, unless it has ended. mpirun's exit code does not tell then how its ranks did: what is wrong
# will be wrong again when it goes on.
stop_training() {
    if kill "$trainer" 2>/dev/null; then
        wait "$trainer" || true
        trainer=
    else
        end_training
    fi
}

files='' trainer=
trap '[[ -z $trainer ]] || kill "$trainer"' EXIT
mkdir -p "$OUT"
step "data: the world, filmed and encoded; clips of another world, to check with"
film_part 1
film "$OUT/check.h5" world.seed=2 world.clips=64
for ((part = 2; part <= PARTS; part++)); do
    if [[ -s $OUT/clips-$part.h5 && (-s $OUT/lines-$part.h5 || $LINES == 0) ]]; then
        film_part "$part"
        continue
    fi
    step "train on what is there, ranks: $RANKS; data, part $part of $PARTS"
    begin_training "$@"
    film_part "$part"
    stop_training
done

step "train, ranks: $RANKS"
begin_training "$@"
end_training
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
