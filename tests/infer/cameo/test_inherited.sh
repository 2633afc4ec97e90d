#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Who goes on from a clip that people are in needs their consent to a remix, in whatever way it is gone on
# from and however many clips later; and latents of such clips go with the consent.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/cameo/lender.sh"
mkdir authority
"$root/tests/support/authority.sh" authority
by=(provenance.key=authority/key.pem provenance.chain=authority/chain.pem)

sample() { "$talkie" sample "$@" "${lent[@]}" >out 2>&1 || fail "cannot sample $*"; }
refused() { # WORDS STORYBOARD options
    fails 2 "$1" sample "$2" -o no "${lent[@]}" "${@:3}"
    compgen -G 'no.*' >/dev/null && fail "what is refused leaves something: $1"
    return 0
}
plan_of() { # FILE, WHOSE, keys
    echo "{checkpoint: run, sample: {steps: 1}, $3}" >"$1"
    chmod 644 "$1"
    chown "$2" "$1"
}
grant() { cameo grant @ada consent.users=[1002] "consent.uses=[$1]" consent.until=2099-01-01 consent.sign=registrar.pem; }
enroll() { cameo enroll @ada face.png voice.wav consent.sign=registrar.pem; }
remix=', shots: [{seconds: 0.5, prompt: she waves}]'
shows() { # N: of the clips in shown/, whatever the time of their files is
    touch shown/*
    "$talkie" gallery shown -o site consent.store=store >out 2>&1 || fail "no gallery"
    grep -q "^site: $1 clip" out || fail "a gallery does not show $1 of the clips"
}

enroll
grant 'face, voice'
story own.yaml 1002
sample own.yaml -o first "${by[@]}"
plan_of remix.yaml 1002 'remix: {clip: first.mp4, shots: [0]}'

# ---- without consent to a remix: whatever of the clip is given, in whatever place, all said at once
refused '@ada: does not consent to remix (@ada is in first.mp4, which this goes on from)' remix.yaml
fails 2 'consent.store: missing: @ada is in first.mp4' sample remix.yaml -o no
plan_of taken.yaml 1002 'shots: [{clip: plain.mp4, shot: 0}, {clip: first.mp4, shot: 0}, {seconds: 0.5, prompt: she waves}]'
refused '@ada: does not consent to remix (@ada is in first.mp4, which this goes on from)' taken.yaml
plan_of both.yaml 1002 'cameo: [bo], remix: {clip: first.mp4, shots: [0]}'
refused '@bo: nobody of that handle.*@ada: does not consent to remix' both.yaml
for given in 'sound: first.mp4' 'picture: first.mp4' 'references: [first.mp4]' 'references: [first.png]' \
    'keyframes: [{at: 0, picture: first.png}]' 'cast: [{tag: face 1, file: first.png}]'; do
    plan_of given.yaml 1002 "$given$remix"
    refused '@ada: does not consent to remix' given.yaml
done

# ---- either of the JSON and the manifest is enough, and one that cannot be read is no way round
mkdir bare
cp first.mp4 bare
plan_of bare.yaml 1002 "remix: {clip: bare/first.mp4, shots: [0]}$remix"
refused '@ada is in bare/first.mp4' bare.yaml
mdat=$(grep -abo mdat bare/first.mp4 | head -n 1) # "1234:mdat"
"$root/tests/support/flip.sh" bare/first.mp4 $((${mdat%:*} + 60)) 1 # its manifest does not hold any more
refused '@ada is in bare/first.mp4' bare.yaml
cp plain.mp4 bare/first.mp4
cp first.json bare
refused '@ada is in bare/first.mp4' bare.yaml
for change in cameos=7 'cameos[0].handle="../ada"' 'cameos[0].handle='; do
    "$json" first.json "$change" >bare/first.json
    refused 'a cameo is in it, and whose cannot be read' bare.yaml
done
rm bare/first.json bare/first.mp4
ln -s ../first.mp4 bare
refused '@ada is in bare/first.mp4' bare.yaml
rm bare/first.mp4
cp plain.mp4 bare/first.mp4
sample bare.yaml -o bare/of-nobody # a film that nobody is in

# ---- with it: made, told in her log and in what is made, and so on for what is made from that
grant remix
sample remix.yaml -o second "${by[@]}"
tells second.json 'cameos[0].handle' '"ada"' 'cameos[0].from' '"first.mp4"' 'cameos[1]' none
[[ $("$json" second.json 'cameos[0].paper') != "$("$json" first.json 'cameos[0].paper')" ]] ||
    fail "the remix tells of the consent to the first clip"
"$talkie" verify second.mp4 -o report.json >out 2>&1 || fail "the remix is not signed"
[[ $(grep -o 'cameo of a clip that this one goes on from' report.json | wc -l) == 1 ]] || fail "its manifest does not tell who is in it"
refused '@ada: does not consent to face, voice' own.yaml
plan_of hers.yaml 1003 'remix: {clip: second.mp4, shots: [0]}'
refused '@ada: does not consent to a use by 1003' hers.yaml
plan_of own-remix.yaml 1001 'remix: {clip: second.mp4, shots: [0]}'
sample own-remix.yaml -o owners
sample taken.yaml -o taken
tells taken.json 'cameos[0].handle' '"ada"' 'cameos[0].from' '"first.mp4"' 'cameos[1]' none
plan_of third.yaml 1002 'remix: {clip: second.mp4, shots: [0]}'
sample third.yaml -o third
grant 'face, voice, remix'
plan_of again.yaml 1002 "cameo: [ada], remix: {clip: third.mp4, shots: [0]}$remix"
sample again.yaml -o fourth
mkdir shown
cp first.mp4 second.mp4 shown
shows 2 # one by a consent in whose place another stands by now
cameo log @ada
for clip in second taken third fourth; do
    for event in used made; do
        [[ $(grep -c "$event .*by 1002.*: $dir/$clip$" out) == 1 ]] || fail "the log does not tell once that $clip is $event"
    done
done

# ---- revoked: latents go, of this person's clips alone, and nothing is gone on from
cp first.latents kept.latents
printf x >>fourth.latents
more=$(for i in $(seq 40); do echo "{seconds: 0.5, prompt: ball $i},"; done)
plan_of long.yaml 1002 "references: [first.mp4], shots: [$more]"
"$talkie" sample long.yaml -o long "${lent[@]}" sample.steps=40 sample.window=1 >job 2>&1 &
job=$!
for _ in $(seq 600); do ! compgen -G 'long.windows/*.window' >/dev/null || break; sleep 0.05; done
cameo revoke @ada
code=0
wait $job || code=$?
[[ $code == 2 && ! -e long.windows && ! -e long.mp4 ]] || fail "a clip with somebody who revoked is gone on with, or kept: $(cat job)"
grep -q '@ada: was revoked.*(@ada is in first.mp4, which this goes on from)' job || fail "the job does not say why it ends"
for clip in first second taken third owners; do
    [[ ! -e $clip.latents && -e $clip.mp4 && -e $clip.json ]] || fail "$clip: its latents are there, or the clip is not"
    # The clip that is being made finds out as well: one of the two is first.
    grep -q "$dir/$clip.latents is removed" out job || fail "nobody says that $clip.latents is removed"
    grep -q "$dir/$clip.mp4  made" out || fail "$clip is not listed"
done
[[ -e plain.latents && -e kept.latents && -e fourth.latents ]] || fail "files of others are removed"
grep -q "$dir/fourth.latents is left: it is not the file" out || fail "what is left is not told"
cp kept.latents first.latents
for old in remix taken third own-remix; do refused '@ada: was revoked' $old.yaml; done
[[ ! -e first.latents ]] || fail "latents that were put back are kept"

# ---- revoked while a window is written: that is the reason, not that its folder is gone
shows 0
enroll
grant 'face, voice'
shows 0 # what she revoked does not come back
[[ $(grep -c '@ada, who is in it, has revoked since, and enrolled anew' out) == 2 ]] || fail "it is not told why"
"$faulty" 0 slow 2000 sample own.yaml -o late "${lent[@]}" >job 2>&1 &
job=$!
for _ in $(seq 1200); do ! compgen -G 'late.windows/*.window*' >/dev/null || break; sleep 0.05; done
cameo revoke @ada
code=0
wait $job || code=$?
[[ $code == 2 && ! -e late.mp4 ]] || fail "a window is written of somebody who revoked, or that is not why it ends: $(cat job)"
grep -q '@ada: was revoked' job || fail "the job does not say why it ends: $(cat job)"

# ---- revoked while a clip is written, and by a command that died in between
enroll
grant 'face, voice, remix'
printf '#!/bin/sh\n[ "$1" != made ] || rm keys/ada.key\n' >ends.sh
chmod +x ends.sh
sample own.yaml -o first "${by[@]}" sample.steps=1 consent.hook=./ends.sh
grep -q 'first.mp4 was being written when: .*@ada: was revoked' out || fail "it is not told that she revoked"
[[ -e first.mp4 && ! -e first.latents ]] || fail "latents of a clip are kept that was being written"
cameo revoke @ada
enroll
grant 'face, voice, remix'
sample own.yaml -o first sample.steps=1
rm keys/ada.key
[[ -e first.latents ]] || fail "there are no latents"
refused '@ada: was revoked' remix.yaml
[[ ! -e first.latents ]] || fail "a revocation that was cut short leaves latents"
echo "inherited and purged"
