#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Takes and drafts: which clips are made from which noise; a take that is chosen keeps its bits, and what
# is only delivered otherwise is not sampled again.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
cat >talk.yaml <<'YAML'
checkpoint: run
sample: {steps: 8, window: 2}
seed: 5
shots:
  - {seconds: 1, prompt: a red ball}
  - {seconds: 1, prompt: a blue ball}
YAML
said() { grep -qF -- "$1" out || fail "not said: $1"; }
sample() { "$talkie" sample talk.yaml "$@" >out 2>&1 || fail "cannot sample: $*"; }
other() { ! cmp -s "$1" "$2" || fail "$1 and $2 are the same"; }
# It was sampled, for a reason.
sampled() { ! grep -qF 'nothing is sampled' out || fail "it is not sampled: $*"; }

# ---- takes: of seeds that follow each other, dealt out to ranks
. "$root/scripts/env.sh" 2
mpirun -n 2 "$talkie" sample talk.yaml takes=3 >out 2>&1 || fail "no takes"
said '3 clips made'
[[ $(cd clips && echo *.mp4) == 'talk.take1.mp4 talk.take2.mp4 talk.take3.mp4' ]] || fail "there is $(ls clips)"
tells clips/talk.take1.json seed 5
tells clips/talk.take3.json seed 7
other clips/talk.take1.latents clips/talk.take2.latents
sample -o alone seed=7
cmp alone.latents clips/talk.take3.latents || fail "a take is not what its seed makes"
sample takes=3
said '0 clips made, 3 finished before'

# ---- one is chosen: its bits, without sampling, also once the options that it is delivered with are others
sample takes=3 take=3
said 'clips/talk.take3.latents: nothing is sampled'
cmp clips/talk.latents clips/talk.take3.latents || fail "the take that was chosen is another"
tells clips/talk.json seed 7
sample take=3
said 'finished already'
rm clips/talk.take3.*
printf 'a key that nobody can guess' >key && chmod 600 key
sample take=3 film.files=edl watermark.key=key film.loudness=-23
said 'clips/talk.latents: nothing is sampled'
cmp clips/talk.latents alone.latents || fail "to deliver it otherwise changes it"
[[ -s clips/talk.edl ]] || fail "no list"

# ---- what is another clip, or not as it was, is made
sample take=2 'shots[1].prompt=a green ball'
sampled 'another prompt'
sample take=3
sampled 'another clip lies there'
printf x | dd of=clips/talk.latents bs=1 seek=100 conv=notrunc 2>/dev/null
sample take=3 film.files=srt
said 'is not what the clip'
sampled 'damaged latents'
cmp clips/talk.latents alone.latents || fail "what was damaged is not made anew"
sample -o bare sample.latents=0
sample -o bare sample.latents=0 film.files=edl
sampled 'latents that are not kept'
"$talkie" plan talk.yaml take=3 film.files=edl >out 2>&1 || fail "it cannot be planned"
said 'lie in clips/talk.latents already'
"$talkie" plan talk.yaml takes=2 >out 2>&1 || fail "takes cannot be planned"
said 'clips/talk.take2.mp4'

# ---- drafts: fewer steps, beside the clip
sample draft=1 takes=2
said '4/4 steps'
[[ $(cd clips && echo *.draft.mp4) == 'talk.take1.draft.mp4 talk.take2.draft.mp4' ]] || fail "there is $(ls clips)"
tells clips/talk.take2.draft.json draft true seed 6
sample -o less sample.steps=2 seed=6
cmp less.latents clips/talk.take2.draft.latents || fail "a draft is not what fewer steps make"

# ---- lists of storyboards; what cannot be
printf 'storyboards: [talk.yaml, other.yaml]\ncheckpoint: run\n' >list.yaml
sed 's/seed: 5/takes: 2/; s/steps: 8/steps: 1/' talk.yaml >other.yaml
"$talkie" sample list.yaml sample.steps=1 >out 2>&1 || fail "a list with takes"
said '3 clips made'
[[ -e clips/other.take1.mp4 && -e clips/other.take2.mp4 && ! -e clips/other.mp4 ]] || fail "there is $(ls clips)"
refused() { # words, options
    local code=0
    "$talkie" sample talk.yaml -o no "${@:2}" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "exit code $code: ${*:2}"
    said "$1"
}
refused 'take: 4 is none of the 3 takes' takes=3 take=4
refused 'takes' takes=100
refused 'takes' takes=-1
refused 'draft' draft=maybe
mkdir -p spool/new
cp other.yaml spool/new/many.yaml
"$talkie" serve spool checkpoint=run serve.once=1 serve.open=1 serve.poll=0.05 >out 2>&1 || fail "the spool is not served"
grep -q 'drop one for each' spool/failed/many/job.json || fail "a job of takes: $(cat spool/failed/many/job.json)"
