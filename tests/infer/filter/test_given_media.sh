#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Pictures and sounds that a storyboard gives may be of anybody: by the policy they take the consent of somebody,
# a role, or to have been made here.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/cameo/lender.sh"

by=(filter.policy=policy.yaml filter.log=log.jsonl)
plan_of() { # FILE, WHOSE, keys
    echo "{checkpoint: run, sample: {steps: 1}, $3}" >"$1"
    chmod 644 "$1"
    chown "$2" "$1"
}
policy() { echo "{roles: [{name: staff, users: ['4242']}], categories: [{name: trees, words: [oak]}], $1}" >policy.yaml; }
refused() { # WORDS STORYBOARD OPTIONS
    fails 2 "$1" sample "$2" -o no "${by[@]}" "${@:3}"
    compgen -G 'no.*' >/dev/null && fail "what is refused leaves something: $1"
    return 0
}
made() { # STORYBOARD OUTPUT OPTIONS
    "$talkie" sample "$1" -o "$2" "${by[@]}" "${@:3}" >out 2>&1 || fail "$1 is not made"
}
decided() { # DECISION RULE FILE: by the log, which is begun anew
    grep -q "\"decision\":\"$1\".*\"rule\":\"$2\".*\"text\":\"$3\"" log.jsonl || { cp log.jsonl out; fail "the log does not say $1, $2, $3"; }
    rm log.jsonl
}
one='shots: [{seconds: 0.5, prompt: a ball}]'
two='shots: [{seconds: 0.5, prompt: a ball}, {seconds: 0.5, prompt: a ball}]'

# A policy that is not right refuses everything.
plan_of none.yaml 1002 "$one"
policy 'given: {pictures: role}'
refused 'given.role: missing: who may' none.yaml
policy 'given: {sounds: role, role: cooks}'
refused 'given.role: there is no role of that name' none.yaml
policy 'given: {pictures: log, role: staff}'
refused 'given.role: says who may, but given does not say role' none.yaml
policy 'given: {pictures: perhaps}'
refused 'given.pictures' none.yaml

# Whatever is given, in whatever place; all at once.
policy 'given: {pictures: role, sounds: refuse, role: staff}'
made none.yaml none
rm log.jsonl
plan_of key.yaml 1002 "keyframes: [{at: 0, picture: face.png}], sound: voice.wav, $two"
refused 'key.yaml: refused (given pictures, of which nobody is known to consent): face.png; name in cameo who lends a face.*role "staff"' key.yaml
grep -q 'key.yaml: refused (given sounds, of which nobody is known to consent): voice.wav' out || fail "the sound is not refused"
decided refused 'given sounds' voice.wav
for given in 'references: [face.png]' 'cast: [{tag: face 1, file: face.png}]' 'picture: plain.mp4' \
    'remix: {clip: plain.mp4, from: 0, to: 0.5}' 'shots: [{seconds: 0.5, prompt: a ball, references: [face.png]}]'; do
    mv plain.json away.json
    plan_of place.yaml 1002 "$given$([[ $given == shots* ]] || echo ", $one")"
    refused 'refused (given pictures' place.yaml
    mv away.json plain.json
done
# A manifest says alone whether a film is what was made here: where it does not hold, no JSON makes up for it.
mkdir authority
"$root/tests/support/authority.sh" authority
made none.yaml signed provenance.key=authority/key.pem provenance.chain=authority/chain.pem
plan_of signed.yaml 1002 "picture: signed.mp4, $one"
made signed.yaml seen
mdat=$(grep -abo mdat signed.mp4 | head -n 1) # "1234:mdat"
"$root/tests/support/flip.sh" signed.mp4 $((${mdat%:*} + 60)) 1
cp signed.json whole.json
"$json" whole.json mp4.digest=@signed.mp4 >signed.json
refused 'refused (given pictures.*signed.mp4' signed.yaml
"$talkie" plan key.yaml filter.policy=policy.yaml >out 2>&1 && fail "plan does not tell"
grep -q 'refused (given pictures' out || fail "plan does not say why"
rm log.jsonl

# A role, a policy that only logs, one that lets it pass, and none.
plan_of staff.yaml 4242 "keyframes: [{at: 0, picture: face.png}], $two"
made staff.yaml staff
decided allowed 'given pictures' face.png
policy 'given: {pictures: log}'
made key.yaml logged
decided logged 'given pictures' face.png
policy 'listen: false'
made key.yaml passed sample.steps=2
grep -q given log.jsonl && fail "a policy that does not speak of what is given rules it"

# What was made here: as its JSON says without a key of marks, by its mark where there is one.
policy 'given: {pictures: refuse, sounds: refuse}'
rm log.jsonl
plan_of ours.yaml 1002 "remix: {clip: plain.mp4, shots: [0]}"
made ours.yaml ours
decided 'made here' 'given pictures' plain.mp4
printf 'one key that nobody can guess' >key && chmod 600 key
refused 'refused (given pictures' ours.yaml watermark.key=key
plan_of long.yaml 1002 'shots: [{seconds: 1, prompt: a red ball}, {seconds: 1, prompt: a ball}, {seconds: 1, prompt: a blue ball}]'
made long.yaml marked watermark.key=key
cp marked.mp4 copy.mp4
plan_of marked.yaml 1002 "picture: copy.mp4, shots: [{seconds: 1, prompt: a ball}]"
rm log.jsonl
made marked.yaml of-marked watermark.key=key
decided 'made here' 'given pictures' copy.mp4

# Somebody who lends a face to this clip.
cameo enroll @ada face.png voice.wav consent.sign=registrar.pem
cameo grant @ada consent.users=[1002] consent.uses=[face] consent.until=2099-01-01 consent.sign=registrar.pem
plan_of lent.yaml 1002 "cameo: ['@ada:face'], keyframes: [{at: 0, picture: face.png}], shots: [{seconds: 0.5, prompt: <face 1> waves}]"
made lent.yaml lent "${lent[@]}"
decided consented 'given pictures' face.png
plan_of voice.yaml 1002 "cameo: ['@ada:face'], sound: voice.wav, $one"
refused 'refused (given sounds' voice.yaml "${lent[@]}"

# Everybody who is in a file consents to a remix: that speaks for each file that they are in.
cameo grant @ada consent.users=[1002] 'consent.uses=[face, voice, remix]' consent.until=2099-01-01 consent.sign=registrar.pem
for clip in one two; do
    cp lent.mp4 $clip.mp4
    echo x >>$clip.mp4 # not what its JSON describes any more, which still tells who is in it
    cp lent.json $clip.json
done
plan_of twice.yaml 1002 "picture: one.mp4, references: [two.mp4], $one"
rm -f log.jsonl
made twice.yaml twice "${lent[@]}"
for clip in one two; do
    grep -q "\"decision\":\"consented\".*\"text\":\"$clip.mp4\"" log.jsonl || { cp log.jsonl out; fail "nothing speaks for $clip.mp4"; }
done
echo "given with consent"
