#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# A film of several clips: shots of them are kept to the bit, others are made beside them; what each clip
# was made from, and what was taken of it, is told to any depth; and what cannot be, with its place.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
cat >a.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
style: noir
shots:
  - {seconds: 0.5, prompt: a red ball}
  - {seconds: 1, prompt: a blue ball}
  - {seconds: 0.5, prompt: Ada waves}
YAML
cat >b.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
seed: 5
shots:
  - {seconds: 0.5, prompt: a green ball}
  - {seconds: 0.5, prompt: a crate}
YAML
cat >cut.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
style: anime
shots:
  - {clip: a.mp4, shot: 1}
  - {clip: b.mp4, shot: 1, prompt: a large crate}
  - {seconds: 0.5, prompt: the crate falls}
  - {clip: a.mp4, shot: 1, from: 0.5}
  - {clip: a.mp4, from: 1.5, seconds: 0.5}
  - {clip: b.mp4, shot: 0, keep: [sound]}
YAML
sample() { # storyboard, output, options
    "$talkie" sample "$1.yaml" -o "$2" "${@:3}" >out 2>&1 || fail "cannot sample: $*"
}
sample a a
sample b b

# ---- to the bit. A file of latents: rows and numbers of each at byte 24, rows as floats at 56; a latent
# frame lasts 0.5 seconds, with 5 rows of sound, and the last one of a track has a row more.
header() { od -An -v -t d8 -w32 -j 24 -N 32 "$1" | xargs; }
# rows FILE MODALITY FIRST N: their bytes.
rows() {
    local pictures sounds v a at=56
    read -r pictures sounds v a < <(header "$1")
    [[ $(stat -c %s "$1") == $((56 + 4 * (pictures * v + sounds * a))) ]] || echo "$1 has other rows" >&2
    if [[ $2 == v ]]; then
        tail -c +$((at + 4 * v * $3 + 1)) "$1" | head -c $((4 * v * $4))
    else
        tail -c +$((at + 4 * (v * pictures + a * $3) + 1)) "$1" | head -c $((4 * a * $4))
    fi
}
# kept FILE: of latent frames and sounds of cut.yaml those that are what they were taken of.
kept() {
    local names=() name of from m
    for name in 0:a:1 1:a:2 2:b:1 3:b:0 4:a:2 5:a:3 6:b:0; do
        IFS=: read -r at of from <<<"$name"
        for m in v a; do
            local each=$([[ $m == v ]] && echo 1 || echo 5)
            cmp -s <(rows "$1" $m $((at * each)) "$each") <(rows $of.latents $m $((from * each)) "$each") && names+=($m$at)
        done
    done
    echo "${names[*]}"
}
all='v0 a0 v1 a1 v2 a2 v4 a4 v5 a5 a6'
sample cut cut
[[ $(header cut.latents) == "7 36 $(header a.latents | cut -d' ' -f3-)" ]] || fail "other rows: $(header cut.latents)"
[[ $(kept cut.latents) == "$all" ]] || fail "the same are $(kept cut.latents)"
grep -q 'of a.mp4, from its latents: shot 1 kept as shot 0, 0.5 to 1 s of shot 1 as shot 3, 1.5 to 2 s as shot 4' out ||
    fail "it is not said what is taken of a.mp4"
grep -q 'of b.mp4, from its latents: shot 1 kept as shot 1, shot 0 as shot 5 (its sound)' out || fail "it is not said what is taken of b.mp4"
tells cut.json 'shots[0].caption' '"noir, a blue ball"' 'shots[1].caption' '"a large crate"' 'shots[2].caption' '"anime, the crate falls"' \
    'shots[3].caption' '"noir, a blue ball"' 'shots[4].caption' '"noir, Ada waves"' 'shots[3].seconds' 0.5
"$talkie" plan cut.yaml -o cut >out 2>&1 || fail "it cannot be planned"
grep -q '4 of 6 windows are given as a whole' out || fail "the plan does not say what is kept"
grep -q '            b.mp4, from its latents' out || fail "the plan does not name both clips"

# ---- in one window with all of it, on two ranks, and where made shots are others
sample cut wide sample.window=4
[[ $(kept wide.latents) == "$all" ]] || fail "in one window the same are $(kept wide.latents)"
mpirun -n 2 "$talkie" sample cut.yaml -o ranks parallel.pipeline=2 >out 2>&1 || fail "cannot sample on two ranks"
cmp -s cut.latents ranks.latents || fail "two ranks make another clip"
sample cut other seed=9
[[ $(kept other.latents) == "$all" ]] || fail "another seed keeps $(kept other.latents)"
cmp -s <(rows cut.latents v 3 1) <(rows other.latents v 3 1) && fail "nothing is made of shot 2"

# ---- what is made sees what is kept, and nothing needs to be made
sample cut seen 'shots[1].shot=0'
cmp -s <(rows cut.latents v 3 1) <(rows seen.latents v 3 1) && fail "a made shot does not see the one before it"
sample cut only 'shots=[{clip: b.mp4, shot: 1}, {clip: a.mp4, shot: 2}]'
cmp -s <(rows only.latents v 0 2) <(rows b.latents v 1 1; rows a.latents v 3 1) || fail "kept shots alone are others"

# ---- lineage: each clip, what was taken of it, and what was before it, whatever made it
cat >last.yaml <<'YAML'
checkpoint: run
sample: {steps: 1}
shots:
  - {clip: b.mp4, shot: 0}
  - {clip: cut.mp4, shot: 2}
YAML
sample last last
tells cut.json 'lineage[0].clip' '"a.mp4"' 'lineage[0].as' '[0,3,4]' 'lineage[0].taken' '[1,1,-1]' 'lineage[0].from' '[0.5,1.0,1.5]' \
    'lineage[0].to' '[1.5,1.5,2.0]' 'lineage[0].of' none 'lineage[0].mp4' "$("$json" a.json mp4.digest)" 'lineage[1].clip' '"b.mp4"' \
    'lineage[1].kept' '["both","sound"]' 'lineage[1].of' -1 'lineage[2]' none 'given.clips' '["a.mp4","b.mp4"]'
tells last.json 'lineage[0].clip' '"b.mp4"' 'lineage[1].clip' '"cut.mp4"' 'lineage[1].of' -1 'lineage[2].clip' '"a.mp4"' \
    'lineage[2].of' none 'lineage[2].as' '[0,3,4]' 'lineage[3].clip' '"b.mp4"' 'lineage[3].of' 1 'lineage[4]' none
cat >remix.yaml <<'YAML'
checkpoint: run
sample: {steps: 1}
remix: {clip: last.mp4, shots: [1]}
YAML
sample remix remix
tells remix.json 'lineage[0].clip' '"last.mp4"' 'lineage[1].clip' '"b.mp4"' 'lineage[1].of' none 'lineage[2].clip' '"cut.mp4"' \
    'lineage[2].of' 0 'lineage[3].clip' '"a.mp4"' 'lineage[3].of' none 'lineage[4].of' 2

# ---- a film of which nothing is known, and one whose latents are gone, are encoded
mkdir bare
cp b.mp4 bare/film.mp4
cp b.mp4 b.json bare
film='{clip: bare/film.mp4, from: 0.5, seconds: 0.5, prompt: a crate}'
sample cut film "shots=[$film, {seconds: 0.5, prompt: it falls}]"
grep -q 'of bare/film.mp4, from its film, encoded: 0.5 to 1 s kept as shot 0' out || fail "it is not said that the film is encoded"
sample cut known "shots=[{clip: bare/b.mp4, shot: 1}, {seconds: 0.5, prompt: it falls}]"
cmp -s <(rows film.latents v 0 1) <(rows known.latents v 0 1) || fail "the film is encoded in two ways"
tells known.json 'lineage[0].read' '"film"' 'shots[0].caption' '"a crate"'

# ---- what cannot be
refused() { # words of the message, options; all before anything is made
    local code=0
    "$talkie" sample cut.yaml -o no "${@:2}" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "exit code $code: ${*:2}"
    grep -qF -- "$1" out || fail "not said: $1"
    compgen -G 'no.*' >/dev/null && fail "something was made: ${*:2}"
    return 0
}
refused '3 is none of the 3 shots of a.mp4, which are counted from 0' 'shots[0].shot=3'
refused '1 seconds are not within that shot of a.mp4, which lasts 1' 'shots[0].from=1' 'shots[0].seconds=1'
refused '0.5 to 2 seconds are no part of that shot of a.mp4, which lasts 1' 'shots[3].seconds=1.5'
refused '1.5 to 3.5 seconds are no part of a.mp4, which lasts 2' 'shots[4].seconds=2'
refused 'which part of the clip? say shot: 0' 'shots[0].shot=-1'
refused 'shot without clip: which clip is it taken of?' 'shots[2].shot=1'
refused 'keep: "words" cannot be kept; sound or picture can' 'shots[1].keep=words'
refused 'remix first, and take shots of what comes of it' remix.clip=a.mp4 'remix.shots=[2]'
refused 'sound gives all of the sound, and this shot keeps its own' sound=b.mp4
refused 'lies in shots[0], which keeps the picture of its clip' 'keyframes=[{at: 0.5, picture: a.png}]'
refused 'nothing says where shot 1 lies in bare/film.mp4' 'shots[1].clip=bare/film.mp4'
refused 'says what is seen and heard in it' 'shots[4].clip=bare/film.mp4' 'shots[4].from=0'
refused 'is a file that cut.yaml writes' output=a
cat >cut.yaml <<'YAML'
checkpoint: run
shots:
  - {clip: a.mp4, shot: 5}
  - {clip: nowhere.mp4, shot: 0}
  - {clip: b.mp4, shot: 0, from: 2}
  - {seconds: 9, prompt: a crate}
  - {clip: a.mp4, shot: 0, keep: [sound]}
  - {clip: run.yaml, shot: 0}
YAML
refused 'cut.yaml:3:25: shots[0].shot: 5 is none of the 3 shots'
for place in '4:12: shots[1].clip: ' '5:34: shots[2].from: ' '6:15: shots[3].seconds: ' '8:12: shots[5].clip: '; do
    grep -qF "cut.yaml:$place" out || fail "not all that is wrong is told at once: $place"
done
[[ $(grep -c 'cut.yaml:[0-9]' out) == 5 ]] || fail "something is told that is not wrong"

# ---- clips that do not go together, and those that were changed
told() { # words, a change of the description of b.mp4
    cp b.json b.latents bare
    "$json" b.json "$2" >bare/b.json
    refused "$1" 'shots=[{clip: a.mp4, shot: 0}, {clip: bare/b.mp4, shot: 0}]'
}
told 'bare/b.mp4 has 32x16, and a.mp4 16x16: clips of one film are of one size' clip.width=32
told 'bare/b.mp4 has 5 frames a second, this checkpoint makes 4' clip.fps=5
told 'bare/b.mp4 has 8000 samples a second of 1 channels, this checkpoint makes 4000 of 1' clip.sample_rate=8000
told 'it was changed since' 'shots[1].seconds=1'
told 'is damaged, or another clip' latents.bytes=7
cp b.json bare
printf x | dd of=bare/b.latents bs=1 seek=100 conv=notrunc 2>/dev/null
refused 'bare/b.latents is damaged, or another' 'shots=[{clip: a.mp4, shot: 0}, {clip: bare/b.mp4, shot: 0}]'
