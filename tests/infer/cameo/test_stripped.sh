#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# A clip that somebody is in, without its JSON and its manifest, encoded anew or with words of somebody else's
# beside it, is known by its mark: who is in it is asked for as before, and may have revoked.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/cameo/lender.sh"

plan_of() { # FILE, WHOSE, keys
    echo "{checkpoint: run, sample: {steps: 1}, $3}" >"$1"
    chmod 644 "$1"
    chown "$2" "$1"
}
sample() { "$talkie" sample "$@" "${lent[@]}" >out 2>&1 || fail "cannot sample $*"; }
refused() { # WORDS STORYBOARD
    fails 2 "$1" sample "$2" -o no "${lent[@]}" watermark.key=key "${@:3}"
    compgen -G 'no.*' >/dev/null && fail "what is refused leaves something: $1"
    return 0
}
grant() { cameo grant @ada consent.users=[1002] "consent.uses=[$1]" consent.until=2099-01-01 consent.sign=registrar.pem; }
printf 'one key that nobody can guess' >key && chmod 600 key
printf 'another that nobody can guess' >other && chmod 600 other
three='shots: [{seconds: 1, prompt: a red ball}, {seconds: 1, prompt: a ball}, {seconds: 1, prompt: a blue ball}]'

cameo enroll @ada face.png voice.wav consent.sign=registrar.pem
grant 'face, voice'
plan_of own.yaml 1002 "cameo: [ada], $three"
plan_of nobody.yaml 1002 "$three"
sample own.yaml -o first watermark.key=key
sample nobody.yaml -o nobody watermark.key=key
says=$(sed -n 's/.*"payload": "000000000000\(....\)".*/\1/p' first.json)
[[ $(grep -c "\"mark\":\"$says\"" store/people/ada/log) == 2 ]] || fail "her log does not tell the clip's mark where it is used and made"
cameo log @ada

# Its JSON is gone: the mark tells, where its key is at hand; where not, that is said.
mkdir bare
cp first.mp4 bare/film.mp4
plan_of film.yaml 1002 "remix: {clip: bare/film.mp4, from: 0, to: 1}, $three"
sample film.yaml -o unasked
grep -q 'bare/film.mp4: nothing tells who is in it, and its mark is not looked up: watermark.key' out || fail "it is not said that no mark was looked for"
refused '@ada: does not consent to remix (@ada is in bare/film.mp4, which this goes on from)' film.yaml
sample film.yaml -o unasked watermark.key=other
[[ $(grep -c '"handle"' unasked.json) == 0 ]] || fail "a mark of another key tells of somebody"

# Words of somebody else's beside it change nothing.
sed '/"cameos"/,/\]/d' first.json >bare/film.json
grep -q '"handle"' bare/film.json && fail "the words tell of her"
refused '@ada: does not consent to remix' film.yaml
rm bare/film.json

# Encoded anew and smaller; its sound alone.
if command -v ffmpeg >/dev/null; then
    ffmpeg -v error -nostdin -i first.mp4 -vf scale=iw/2:ih/2 -crf 28 bare/small.mkv 2>out || fail "ffmpeg"
    plan_of small.yaml 1002 "picture: bare/small.mkv, $three"
    refused '@ada: does not consent to remix (@ada is in bare/small.mkv' small.yaml

    # Five marks at once can be found and not be read: nobody knows who is in that.
    for says in 5a0f 9c61 f0f0; do sample nobody.yaml -o m$says watermark.key=key watermark.payload=$says; done
    ffmpeg -v error -nostdin -i first.mp4 -i nobody.mp4 -i m5a0f.mp4 -i m9c61.mp4 -i mf0f0.mp4 -filter_complex \
        '[0:v][1:v][2:v][3:v][4:v]mix=inputs=5[v];[0:a][1:a][2:a][3:a][4:a]amix=inputs=5[a]' -map '[v]' -map '[a]' \
        -crf 10 bare/five.mp4 2>out || fail "ffmpeg"
    plan_of five.yaml 1002 "picture: bare/five.mp4, $three"
    refused 'bare/five.mp4: it is a clip of ours, by its mark, which is too weak to say which' five.yaml
fi

# Nobody was in this one.
cp nobody.mp4 bare/nobody.mp4
plan_of free.yaml 1002 "remix: {clip: bare/nobody.mp4, from: 0, to: 1}, $three"
sample free.yaml -o free watermark.key=key
[[ $(grep -c '"handle"' free.json) == 0 ]] || fail "somebody is told to be in a clip of nobody"

# With consent it is made, told of in her log, and what is made of it is known as well.
grant 'face, voice, remix'
sample film.yaml -o second watermark.key=key
grep -q '"handle": "ada"' second.json || fail "the remix does not tell who is in it"
cameo log @ada
grep -q "made .*by 1002.*: $dir/second$" out || fail "her log does not tell of the remix"
cp second.mp4 bare/second.mp4
plan_of third.yaml 1003 "remix: {clip: bare/second.mp4, from: 0, to: 1}, $three"
refused '@ada: does not consent to a use by 1003 (@ada is in bare/second.mp4' third.yaml

# A log that its owner has spoiled hides nobody else's, and hides its own clips from that line on alone.
cameo enroll @bo face.png voice.wav consent.sign=registrar.pem
sed -i '1s/enrolled/enrolleD/' store/people/bo/log
refused '@ada: does not consent to a use by 1003' third.yaml
grep -q '@bo: does not hold' out || fail "a log that does not hold is not told"

# Revoked: of no film of hers.
cameo revoke @ada
for old in film third; do refused '@ada: was revoked' $old.yaml; done
echo "known by its mark"
