#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# What storyboards can give: a clip around keyframes, a picture to a sound, a sound to a picture, a part of
# a clip made anew, a cast that prompts name. What cannot be is told by its key, before anything is made.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
cat >board.yaml <<'YAML'
checkpoint: run
sample: {steps: 2, window: 1}
shots:
  - {seconds: 1, prompt: a ball}
  - {seconds: 0.5, prompt: Ada waves}
YAML
sample() { # output, options
    "$talkie" sample board.yaml output="$1" "${@:2}" >out 2>&1 || fail "cannot sample: ${*:2}"
}
sample film
# A second and a half of a tone, as a file of sound alone.
"$root/tests/support/tone.sh" 12000 >tone.wav

both() { # options: two seeds make two clips
    sample one "$@" seed=1
    sample two "$@" seed=2
    cmp -s one.mp4 two.mp4 && fail "nothing is made anew: $*"
    return 0
}
both picture=film.mp4
both sound=tone.wav
both 'keyframes=[{at: 0, picture: film.png}, {at: 1, picture: film.mp4}]'
both remix.clip=film.mp4 remix.from=0.5 remix.to=1
both remix.clip=film.mp4 remix.right=0.5
sample one 'cast=[{tag: face 1, file: film.png}, {tag: voice 1, file: tone.wav}]' 'shots[1].prompt=<face 1> waves'
grep -q warning out && fail "a voice whose face is named is not named"
cmp -s film.png one.png && fail "a cast changes nothing"
grep -q '"digest"' one.json || fail "nothing tells how the clip was made"

# The same with two ranks, and done already when asked for again.
. "$root/scripts/env.sh" 2
mpirun -n 2 "$talkie" sample board.yaml output=two sound=tone.wav seed=1 parallel.pipeline=2 >out 2>&1 ||
    fail "two ranks cannot make a picture to a sound"
mpirun -n 2 "$talkie" sample board.yaml output=two sound=tone.wav seed=1 >out 2>&1 || fail "no second time"
grep -q 'finished already' out || fail "a clip with its sound given is not known again"

refused() { # words of the message, options
    rm -f no.*
    "$talkie" sample board.yaml output=no "${@:2}" >out 2>&1 && fail "not refused: ${*:2}"
    grep -qF -- "$1" out || fail "not said: $1"
    compgen -G 'no.*' >/dev/null && fail "something was made: ${*:2}"
    return 0
}
refused 'nothing is left to make' sound=tone.wav picture=film.mp4
refused 'leave keyframes out' picture=film.mp4 'keyframes=[{at: 0, picture: film.png}]'
refused 'is not within the shots, which last 1.5 seconds' 'keyframes=[{at: 1.5, picture: film.png}]'
refused 'the same latent frame' 'keyframes=[{at: 0, picture: film.png}, {at: 0.4, picture: film.png}]'
refused 'keyframes[0]: no picture' 'keyframes=[{at: 1}]'
refused 'leave keyframes, sound and picture out' remix.clip=film.mp4 sound=tone.wav
refused 'is no part of the shots' remix.clip=film.mp4 remix.from=1.5
refused 'is no part of the frame' remix.clip=film.mp4 remix.left=0.5 remix.right=0.5
refused 'film.png has no sound' sound=film.png
refused 'tone.wav has no pictures' picture=tone.wav
refused 'command line: sound: tone.wav lasts 1.5 seconds, the shots 2.5' sound=tone.wav 'shots[1].seconds=1' \
    'shots=[{seconds: 1, prompt: a}, {seconds: 1, prompt: b}, {seconds: 0.5, prompt: c}]'
refused 'cast[0]: wants a tag' 'cast=[{tag: "dog ", file: film.png}]'
refused 'are both <face 1>' 'cast=[{tag: face 1, file: film.png}, {tag: face 1, file: tone.wav}]'
refused 'wants a tag' 'cast=[{file: film.png}]'
# Five mistakes are told at once, each where it stands.
cat >five.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
shots:
  - {seconds: 0.75, prompt: a lake, dissolve: 0.25}
  - {seconds: 0.75, prompt: a sea}
keyframes:
  - {picture: film.png, at: 9}
  - {at: 0, picture: gone.png}
cast:
  - {tag: face 1, file: film.png}
  - {file: gone.wav, tag: face 1}
YAML
"$talkie" sample five.yaml -o no >out 2>&1 && fail "five mistakes are taken"
for words in '4:47: shots[0].dissolve: no shot is before it' '7:29: keyframes[0].at: 9 is not within' \
    '8:22: keyframes[1].picture: ' '11:27: cast[1].tag: cast[0] and cast[1] are both' '11:12: cast[1].file: '; do
    grep -qF "five.yaml:$words" out || fail "not told in its place: $words: $(cat out)"
done
refused 'nowhere.wav' sound=nowhere.wav

# ---- seconds that no binary number is: of latent frames of 0.2 s three last more than 0.6, and 0.6 holds fewer than three
sed 's/fps: 4/fps: 10/' run.yaml >ten.yaml
{ "$talkie" data world ten.yaml -o ten.h5 && "$talkie" train ten.yaml data.files=ten.h5 train.out=ten; } >out 2>&1 ||
    fail "no model of latent frames of 0.2 s"
ten() { # shots and keyframes of pictures
    printf '%s\n' checkpoint=ten "shots=[$1]" "keyframes=[$2]"
}
mapfile -t behind < <(ten '{seconds: 0.6, prompt: a}' '{at: 0.6, picture: film.png}')
refused 'is not within the shots, which last 0.6 seconds' "${behind[@]}"
mapfile -t apart < <(ten '{seconds: 1, prompt: a}' '{at: 0.5, picture: film.png}, {at: 0.6, picture: film.png}')
sample one "${apart[@]}"
mapfile -t together < <(ten '{seconds: 1, prompt: a}' '{at: 0.6, picture: film.png}, {at: 0.7, picture: film.png}')
refused 'the same latent frame' "${together[@]}"
cat >four.yaml <<'YAML'
{checkpoint: ten, output: four, sample: {steps: 1}, shots: [{seconds: 0.6, prompt: one}, {seconds: 0.6, prompt: two},
  {seconds: 0.6, prompt: three}, {seconds: 0.6, prompt: four}]}
YAML
echo '{checkpoint: ten, output: anew, sample: {steps: 1}, remix: {clip: four.mp4, from: 1.8, prompt: new}}' >anew.yaml
{ "$talkie" sample four.yaml && "$talkie" sample anew.yaml; } >out 2>&1 || fail "no remix of the last of four shots"
tells anew.json 'shots[1].caption' '"two"' 'shots[2].caption' '"three"' 'shots[3].caption' '"new"'
