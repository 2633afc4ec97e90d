#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# talkie sample remix: shots of a clip made anew from its latents, the others kept to the bit; from its
# film where there are none; what it was made from, over generations; and what cannot be, told before
# anything is made.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
cat >first.yaml <<'YAML'
checkpoint: run
output: first
sample: {steps: 5}
shots:
  - {seconds: 0.5, prompt: a red ball}
  - {seconds: 0.5, prompt: a blue ball, remember: [0]}
  - {seconds: 0.5, prompt: Ada waves}
YAML
cat >second.yaml <<'YAML'
checkpoint: run
sample: {steps: 5}
seed: 7
remix: {clip: first.mp4, shots: [1], prompt: a green ball, strength: 0.6, keep: [sound]}
YAML
sample() { # storyboard, output, options
    "$talkie" sample "$1.yaml" output="$2" "${@:3}" >out 2>&1 || fail "cannot sample: $*"
}
sample first first
[[ -e first.latents ]] || fail "a clip's latents are not kept"

# A file of latents: rows of pictures and of sound and numbers of each at byte 24, the rows as floats at 56.
header() { od -An -v -t d8 -w32 -j 24 -N 32 "$1" | xargs; }
alike() { # A B PLACE_IN_A PLACE_IN_B BYTES
    cmp -s -i "$3:$4" -n "$5" "$1" "$2"
}
# same A B: "v0 v1 v2 a0 a1 a2", those of the three shots' pictures and sounds that are the same in both.
same() {
    local numbers loud video audio at=56 names=() name bytes file
    read -r _ _ numbers loud < <(header "$1")
    for file in "$1" "$2"; do
        [[ $(header "$file") == "3 16 $numbers $loud" && $(stat -c %s "$file") == $((56 + 4 * (3 * numbers + 16 * loud))) ]] ||
            echo "$file has other rows: $(header "$file")"
    done
    video=$((4 * numbers)) audio=$((20 * loud)) # of a shot; the last one's sound has a row more
    for name in v0:$video v1:$video v2:$video a0:$audio a1:$audio a2:$((audio + 4 * loud)); do
        bytes=${name#*:}
        alike "$1" "$2" $at $at "$bytes" && names+=("${name%:*}")
        at=$((at + bytes))
    done
    echo "${names[*]}"
}
kept() { # what is the same, clip, options
    sample second "$2" "${@:3}"
    [[ $(same first.latents "$2.latents") == "$1" ]] ||
        fail "${*:3}: the same are: $(same first.latents "$2.latents")"
}

# ---- kept spans are the same to the bit, the others are not
kept 'v0 v2 a0 a1 a2' second
grep -q 'of first.mp4, from its latents: shot 1 made anew from 0.6 of noise, sound kept' out ||
    fail "it does not say what it makes"
kept 'v0 v1 v2 a0 a2' other remix.keep=picture
kept 'v0 v2 a0 a2' other remix.keep=
kept 'v1 a1' other remix.keep= 'remix.shots=[2, 0]'
kept 'v0 v2 a0 a2' other remix.keep= sample.window=2
kept 'v0 a0' other remix.keep= remix.shots=auto remix.from=0.5 sample.window=2
kept 'v0 v2 a0 a1 a2' other remix.right=0.5
kept 'v0 v2 a0 a1 a2' other remix.keep= remix.right=0.9 # whose patches are all of the frame
. "$root/scripts/env.sh" 2
for layout in tensor pipeline; do
    rm -f other.*
    mpirun -n 2 "$talkie" sample second.yaml output=other parallel.$layout=2 >out 2>&1 || fail "$layout: cannot remix"
    [[ $(same first.latents other.latents) == 'v0 v2 a0 a1 a2' ]] || fail "$layout: kept spans differ"
done

# ---- a clip goes on behind its end and before its beginning, and is kept
cat >around.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
remix: {clip: first.mp4, at: 1}
shots:
  - {seconds: 1, prompt: it is dark}
  - {seconds: 0.5, prompt: a red ball}
  - {seconds: 0.5, prompt: a blue ball}
  - {seconds: 0.5, prompt: Ada waves}
  - {seconds: 0.5, prompt: it is dark again}
YAML
cp first.latents kept.latents
for film in latents film; do
    [[ $film == latents ]] || { rm first.latents && sample second other; }
    sample around around
    grep -q "from its $film.*: what lies around it made anew" out || fail "it does not say that it goes on"
    of=$([[ $film == film ]] && echo other || echo kept).latents
    read -r _ _ numbers loud < <(header $of)
    v=$((4 * numbers)) a=$((4 * loud)) # bytes of a row
    [[ $(header $of) == "3 16 $numbers $loud" && $(header around.latents) == "6 31 $numbers $loud" ]] || fail "other rows"
    alike around.latents $of $((56 + 2 * v)) 56 $v && alike around.latents $of $((56 + 4 * v)) $((56 + 2 * v)) $v ||
        fail "from its $film: other pictures"
    code=0
    alike around.latents $of $((56 + 3 * v)) $((56 + v)) $v || code=1 # the shot that other has made anew
    [[ $code == $([[ $film == film ]] && echo 1 || echo 0) ]] || fail "from its $film: another picture of shot 1"
    alike around.latents $of $((56 + 6 * v + 10 * a)) $((56 + 3 * v)) $((15 * a)) || fail "from its $film: another sound"
    for part in "0 $((2 * v))" "$((5 * v)) $v" "$((6 * v + 25 * a)) $((6 * a))"; do
        read -r at bytes <<<"$part"
        [[ $(tail -c +$((57 + at)) around.latents | head -c "$bytes" | tr -d '\0' | wc -c) -gt 0 ]] || fail "nothing is around it"
    done
done
mv kept.latents first.latents

# ---- a shot's own seed, camera and style; what guidance leads away from
sample first other 'shots[2].seed=5' 'shots[2].style=noir'
[[ $(same first.latents other.latents) == 'v0 v1 a0 a1' ]] || fail "a shot's seed changes others, or nothing"
sample first other style=bright 'shots[2].camera=close' 'shots[1].camera=wide' 'shots[1].style=noir'
for words in 'bright, a red ball' 'wide, noir: a blue ball' 'close, bright: Ada waves'; do
    grep -qF "\"caption\": \"$words\"" other.json || fail "no shot reads \"$words\""
done
sample first other negative=noise
[[ -z $(same first.latents other.latents) ]] || fail "a negative prompt changes nothing"

# ---- strength: the less, the nearer to what was there, with fewer steps
distance() { # of the pictures of shot 1 to those of the first clip
    local numbers
    read -r _ _ numbers _ < <(header "$1")
    floats() { od -An -v -t f4 -w4 -j $((56 + 4 * numbers)) -N $((4 * numbers)) "$1"; }
    paste <(floats first.latents) <(floats "$1") | awk '{ sum += ($1 - $2) ^ 2 } END { print int(1000 * sum) }'
}
before=0
for strength in 0.05 0.6 1; do
    sample second other remix.strength=$strength
    now=$(distance other.latents)
    ((now > before)) || fail "strength $strength: $now is not farther off than $before"
    before=$now
done
"$talkie" plan second.yaml >out 2>&1 || fail "it cannot be planned"
grep -q '2 of 3 windows are given as a whole' out || fail "the plan does not say what is kept"
grep -q 'rank 0, 3 steps a window' out || fail "the plan does not know the strength"

# ---- lineage: over generations, whatever made them, and of films that nothing is known of
cat >third.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
remix: {clip: second.mp4, shots: [0, 2], strength: 0.3}
YAML
sample third third
tells first.json lineage none
tells third.json 'shots[1].caption' '"a green ball"' 'shots[1].remember' '[0]' 'lineage[2]' none \
    'lineage[0].clip' '"second.mp4"' 'lineage[1].clip' '"first.mp4"' 'lineage[0].read' '"latents"' \
    'lineage[0].shots' '[0,2]' 'lineage[1].shots' '[1]' 'lineage[0].kept' '[]' 'lineage[1].kept' '["sound"]' \
    'lineage[0].strength' 0.3 'lineage[1].strength' 0.6 \
    'lineage[0].digest' "$("$json" second.json digest)" 'lineage[1].digest' "$("$json" first.json digest)" \
    'lineage[0].mp4' "$("$json" second.json mp4.digest)" 'lineage[1].mp4' "$("$json" first.json mp4.digest)"

# ---- without latents, and without anything that is known of it: its film is encoded
mkdir bare
cp first.mp4 first.json bare
sample second other remix.clip=bare/first.mp4
grep -q 'bare/first.latents is not there: the film of bare/first.mp4 is encoded' out || fail "it is not said that the film is encoded"
grep -q '"read": "film"' other.json || fail "the clip does not say that the film was encoded"
sample second again remix.clip=bare/first.mp4
rm bare/first.json
"$talkie" sample second.yaml output=no remix.clip=bare/first.mp4 >out 2>&1 && fail "shots that nobody says"
grep -q 'list them as shots' out || fail "it does not say that shots are to be listed"
{ cat second.yaml && sed -n '/^shots/,$p' first.yaml; } >listed.yaml
sample listed listed remix.clip=bare/first.mp4 remix.prompt=
[[ $(same other.latents listed.latents) == 'v0 v2 a0 a1 a2' ]] || fail "the film is encoded in two ways"
printf x >>bare/first.mp4
cp first.json bare
sample listed listed remix.clip=bare/first.mp4 seed=8
grep -q 'bare/first.json describes another film than bare/first.mp4 is now' out || fail "a film that was changed counts as the clip"
mpirun -n 2 "$talkie" plan listed.yaml remix.clip=bare/first.mp4 seed=8 >out 2>&1 || fail "cannot be planned"
[[ $(grep -c 'describes another film' out) == 1 ]] || fail "each rank warns of what all of them see"

# ---- what cannot be
refused() { # words of the message, options; all before anything is made
    rm -f no.*
    local code=0
    "$talkie" sample second.yaml output=no "${@:2}" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "exit code $code: ${*:2}"
    grep -qF -- "$1" out || fail "not said: $1"
    compgen -G 'no.*' >/dev/null && fail "something was made: ${*:2}"
    return 0
}
damaged() { # words, what happens to the latents of bare/first.mp4
    cp first.* bare
    "${@:2}"
    refused "$1" remix.clip=bare/first.mp4
}
turn() { printf x | dd of=bare/first.latents bs=1 seek="$1" conv=notrunc 2>/dev/null; }
damaged 'bare/first.latents is damaged, or another' turn 100
damaged 'bare/first.latents is damaged' turn 25
damaged 'bare/first.latents is no file of' turn 3
damaged 'bare/first.latents is damaged' truncate -s 900 bare/first.latents
damaged 'bare/first.latents is no file of' truncate -s 0 bare/first.latents
damaged 'bare/first.latents is damaged, or another' cp second.latents bare/first.latents
damaged 'bare/first.latents' sh -c 'rm bare/first.latents && mkdir bare/first.latents'
rmdir bare/first.latents
told() { # words, a change of the description, whether latents lie there
    cp first.* bare
    [[ ${3:-latents} == latents ]] || rm bare/first.latents
    "$json" first.json "$2" >bare/first.json
    refused "$1" remix.clip=bare/first.mp4
}
told 'does not say its shots' 'shots=[]'
told 'does not say its shots' 'shots[0].seconds="long"'
told 'does not say its shots' 'shots[1].remember=[1]'
told 'does not say its shots' 'shots[1].remember={}'
told 'does not say its frames' clip=7
told 'has 5 frames a second, this checkpoint makes 4' clip.fps=5
told 'does not hold frames of 32x16' clip.width=32
told 'more than 1000 remixes' "lineage=[{}$(printf ',{}%.0s' {1..999})]"
told 'is no length' 'shots[0].seconds=1e300' film
told 'lasts 1.5 seconds, the shots 2' 'shots[2].seconds=1' film
told 'bare/first.latents holds 1.5 seconds, and the shots that the description of bare/first.mp4 tells of last 1.25: it was changed since' \
    'shots[2].seconds=0.25'
told 'tells of last 2: it was changed' 'shots[2].seconds=1'
told 'tells of last 1e+300' 'shots[0].seconds=1e300'
cp first.* bare
for text in '' '[]' '{' "$(printf '[%.0s' {1..5000})"; do
    printf '%s' "$text" >bare/first.json
    refused 'list them as shots' remix.clip=bare/first.mp4
done
refused 'without guidance nothing leads away' negative=noise sample.guidance=1
refused 'nowhere.mp4' remix.clip=nowhere.mp4
refused 'run.yaml' remix.clip=run.yaml
refused 'bare' remix.clip=bare
refused '3 is none of the 3 shots of first.mp4' 'remix.shots=[3]'
refused 'stands there twice' 'remix.shots=[1, 1]'
refused 'nothing is left to make' 'remix.shots=[]'
refused 'what goes beyond it is made from noise alone' 'shots=[{seconds: 2, prompt: a}]' sample.window=2 'remix.shots=[0]'
refused '3 is none of the 3 shots' remix.at=3 "shots=[{seconds: 0.5, prompt: a}, {seconds: 0.5, prompt: b}, {seconds: 0.5, prompt: c}]"
refused 'list them, with those before it' remix.at=1
refused 'leave remix.from and remix.to out' remix.from=0.5
refused '"words" cannot be kept; sound or picture can' remix.keep=words
refused 'nothing is left to make' remix.keep=sound,picture
refused 'leave remix.left, right, top and bottom out' remix.keep=picture remix.right=0.5
refused 'remix.strength' remix.strength=0
refused 'remix.strength' remix.strength=1.5
refused '16x24 asked, and first.mp4 has 16x16' 'size=[16, 24]'
refused 'is a file that second.yaml writes' output=first
refused 'without remix.clip: which clip is made anew?' remix.clip=
cat >second.yaml <<'YAML'
checkpoint: run
size: [8, 8]
remix:
  clip: first.mp4
  shots: [1, 5]
YAML
refused 'second.yaml:2:7: size: 8x8 asked'
grep -q 'second.yaml:5:14: remix.shots[[]1[]]: 5 is none of the 3 shots' out || fail "not all that is wrong is told at once"
cat >second.yaml <<'YAML'
checkpoint: run
remix:
  clip: nowhere.mp4
  strength: 2
  keep: [words]
YAML
refused 'second.yaml:4:13: remix.strength'
grep -q 'second.yaml:5:10: remix.keep' out || fail "not all options that are wrong are told at once"
