#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# What lies beside a clip that is delivered: its master, its lists, its loudness. All of it or nothing,
# finished or not, somebody's own files left alone; marks and manifests with it.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model
cat >talk.yaml <<'YAML'
checkpoint: run
sample: {steps: 2, window: 3}
shots:
  - {seconds: 1, prompt: 'Ada says "hello"'}
  - {seconds: 1.5, prompt: nobody speaks}
  - {seconds: 1, prompt: 'Bo says "no", Ada says "yes"'}
YAML
said() { grep -qF -- "$1" out || fail "not said: $1"; }
refused() { # words, options; nothing is left
    local code=0
    "$talkie" sample talk.yaml -o no/no "${@:2}" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "exit code $code: ${*:2}"
    said "$1"
    ! compgen -G 'no/*' >/dev/null || fail "something was made: ${*:2}"
}
refused '"mp3" is none of master, edl and srt' film.files=mp3
refused 'edl stands there twice' 'film.files=[edl,edl]'
refused 'film.loudness' film.loudness=5
refused 'film.loudness' film.loudness=loud
sample() { "$talkie" sample talk.yaml "$@" >out 2>&1 || fail "cannot sample: $*"; }

# ---- without any of it a clip is what it always was
sample -o bare
[[ $(echo bare.*) == 'bare.json bare.latents bare.mp4 bare.png' ]] || fail "it leaves $(echo bare.*)"
! grep -q '"loudness"\|"master"' bare.json || fail "bare.json tells of what there is not"

# ---- all of it
sample -o clips/talk 'film.files=[master,edl,srt]' film.loudness=-23
said 'LUFS and is at -2'
[[ $(ls -A clips | tr '\n' ' ') == 'talk.edl talk.json talk.latents talk.mkv talk.mp4 talk.png talk.srt ' ]] ||
    fail "there is $(ls -A clips)"
cmp bare.latents clips/talk.latents || fail "how it is delivered changes what is made"
cat >expected.srt <<'SRT'
1
00:00:00,000 --> 00:00:01,000
hello

2
00:00:02,500 --> 00:00:02,980
no

3
00:00:02,980 --> 00:00:03,500
yes

SRT
cmp clips/talk.srt expected.srt || fail "$(cat clips/talk.srt)"
grep -q '^003  TALK     B     C        00:00:02:02 00:00:03:02 00:00:02:02 00:00:03:02$' clips/talk.edl || fail "$(cat clips/talk.edl)"
for part in master:mkv edl:edl srt:srt; do
    tells clips/talk.json "${part%:*}.file" "\"talk.${part#*:}\"" "${part%:*}.bytes" "$(stat -c %s "clips/talk.${part#*:}")"
done
tells clips/talk.json loudness.asked -23.0
grep -Eq '"lufs": -2(2\.[89]|3\.[01])' clips/talk.json || fail "$(grep lufs clips/talk.json)"
all=('film.files=[master,edl,srt]' film.loudness=-23)

# ---- it is finished: lists that somebody went on with are theirs, and what is gone is made again
echo '* mine' >>clips/talk.edl
sample -o clips/talk "${all[@]}"
said 'finished already'
grep -q mine clips/talk.edl || fail "somebody's list is gone"
code=0
"$talkie" sample talk.yaml -o clips/talk "${all[@]}" seed=5 >out 2>&1 || code=$?
[[ $code == 2 ]] || fail "a list that was changed is written over: $code"
said 'clips/talk.edl: it is there already'
rm clips/talk.edl clips/talk.mkv
sample -o clips/talk "${all[@]}"
[[ -s clips/talk.mkv && -s clips/talk.edl ]] || fail "what was gone is not made again"

# ---- a run that was killed between the lists and the description: what it would write is no one else's
rm clips/talk.json
sample -o clips/talk "${all[@]}"
[[ -s clips/talk.json ]] || fail "a killed run's clip is not made again"
rm clips/talk.json
echo '* mine' >>clips/talk.edl
code=0
"$talkie" sample talk.yaml -o clips/talk "${all[@]}" >out 2>&1 || code=$?
[[ $code == 2 ]] || fail "a list that was changed is written over where nothing describes it: $code"
rm clips/talk.edl
sample -o clips/talk "${all[@]}"

# ---- asked for no longer: ours go, what somebody made of them stays
echo 'my words' >clips/talk.srt
sample -o clips/talk film.files=master
[[ ! -e clips/talk.edl && -s clips/talk.mkv && $(cat clips/talk.srt) == 'my words' ]] || fail "there is $(ls -A clips)"
sample -o clips/talk
[[ ! -e clips/talk.mkv ]] || fail "the master is still there"

# ---- what cannot be: nothing of it is made, what was there stays
mkdir clips/other.mkv
code=0
"$talkie" sample talk.yaml -o clips/other "${all[@]}" >out 2>&1 || code=$?
[[ $code == 2 && $(echo clips/other.*) == clips/other.mkv ]] || fail "exit code $code, $(echo clips/other.*)"
rmdir clips/other.mkv
cp clips/talk.mp4 clips/other.mkv
"$talkie" sample talk.yaml -o clips/other "${all[@]}" >out 2>&1 && fail "somebody's film is written over"
cmp clips/talk.mp4 clips/other.mkv || fail "somebody's film is another"
"$talkie" plan talk.yaml "${all[@]}" >out 2>&1 || fail "it cannot be planned"

# ---- dissolves and fades: in the film, its lists and its description, not in what is made
mixed=('shots[1].dissolve=0.5' 'shots[0].fade_in=0.25' 'shots[2].fade_out=0.5')
sample -o bare "${mixed[@]}" 'film.files=[edl,srt]'
said 'bare.latents: nothing is sampled'
cmp bare.latents clips/talk.latents || fail "a dissolve changes what is made"
tells bare.json clip.frames 12 clip.samples 12000 'shots[1].seconds' 1.5 'shots[1].start' 1.0 'shots[1].at' 0.5 'shots[2].at' 2.0
cat >expected.edl <<'EDL'
001  BARE     B     C        00:00:00:00 00:00:00:02 00:00:00:00 00:00:00:02
* FROM CLIP NAME: bare.mp4
* COMMENT: SHOT 0: Ada says "hello"
* COMMENT: FADE IN 1 FRAMES
002  BARE     B     C        00:00:00:02 00:00:00:02 00:00:00:02 00:00:00:02
002  BARE     B     D    002 00:00:01:00 00:00:02:02 00:00:00:02 00:00:02:00
EDL
sed -n '4,9p' bare.edl | cmp - expected.edl || fail "$(cat bare.edl)"
grep -q '^00:00:00,000 --> 00:00:00,750$' bare.srt || fail "$(cat bare.srt)"
cat >after.yaml <<'YAML'
checkpoint: run
sample: {steps: 2, window: 3}
remix: {clip: bare.mp4, shots: [2], prompt: it is dark}
YAML
"$talkie" sample after.yaml -o after >out 2>&1 || fail "a film with a dissolve cannot be gone on from"
tells after.json clip.frames 14
cmp -s bare.latents after.latents && fail "nothing was made anew"
refused 'shots[0].dissolve: no shot is before it' 'shots[0].dissolve=0.5'
refused 'its 6 frames are too few' 'shots[1].dissolve=0.75' 'shots[2].dissolve=0.75'
refused 'it dissolves already' 'shots[1].dissolve=0.25' 'shots[1].fade_in=0.25'
refused 'dissolves out of it already' 'shots[1].dissolve=0.25' 'shots[0].fade_out=0.25'
refused 'dissolve' 'shots[1].dissolve=6'

# ---- a master is marked as the MP4 is; the manifest is the MP4's alone, and holds
mkdir keys
"$root/tests/support/authority.sh" keys
printf 'a key that nobody can guess' >key && chmod 600 key
sample -o marked 'shots[0].seconds=2' watermark.key=key film.files=master film.loudness=-20 \
    provenance.key=keys/key.pem provenance.chain=keys/chain.pem
"$talkie" verify marked.mp4 watermark.key=key >out 2>&1 || fail "the MP4 is not as it was made"
"$talkie" verify marked.mkv watermark.key=key >out 2>&1 || fail "the master is not marked"
said 'marked.mkv: manifest: none'
