#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A policy refuses prompts that name people, but for those whose cameo is lent to the clip: to this user,
# face and voice, and as long as it is.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
[[ $(id -u) == 0 ]] || { echo "skipped: only root can make files of other users"; exit 77; }

lent=(consent.store=store consent.keys=keys consent.registrar=registrar.pub)
by=("${lent[@]}" filter.policy=policy.yaml filter.log=log.jsonl)
story() { # FILE WHOSE CAMEO PROMPT
    echo "{checkpoint: run, seed: 3, cameo: $3, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: $4}]}" >"$1.yaml"
    chmod 644 "$1.yaml"
    chown "$2" "$1.yaml"
}
refused() { # WORDS COMMAND...
    local code=0 words=$1
    shift
    "$talkie" "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "talkie $*: exit code $code, not 2"
    grep -q -- "$words" out || fail "talkie $*: does not say \"$words\""
}
made() { "$talkie" sample "$1.yaml" -o "$1" "${by[@]}" >out 2>&1 || fail "$1 is not made"; }
grant() { "$talkie" cameo grant @ada consent.until=2099-01-01 consent.sign=registrar.pem "${lent[@]}" "$@" >out 2>&1 || fail "no grant"; }
decisions() { sed -E 's/.*"decision":"([a-z]+)".*/\1/' log.jsonl | paste -sd ' '; }

make_model
echo 'categories: [{name: names, people: [Ada Oak @ada, A. Oak @ada, Bo Elm @bo, Carl Fir]}]' >policy.yaml
story others 1001 '[]' 'Ada Oak and Bo Elm and Carl Fir wave'
"$talkie" plan others.yaml "${by[@]}" >out 2>&1 || true
! grep -q 'without filters' out || { echo "skipped: built without filters"; exit 77; }

# Who is in no cameo is refused, whether they might consent or not; so they are without cameos at all.
refused 'person "Ada Oak", who has not consented: cameo does not name @ada, face and voice): "Ada Oak"' plan others.yaml "${by[@]}"
grep -q 'person "Bo Elm", who has not consented: cameo does not name @bo' out || fail "Bo Elm is not told"
grep -q 'person "Carl Fir", who has not consented): "Carl Fir"' out || fail "Carl Fir is not told"
code=0
"$talkie" cameo list "${lent[@]}" >out 2>&1 || code=$?
! grep -q 'without cameos' out || { echo "skipped: built without cameos"; exit 77; }

echo '{checkpoint: run, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: a face}]}' >plain.yaml
"$talkie" sample plain.yaml -o plain >out 2>&1 || fail "no clip"
cp plain.png face.png
"$root/tests/support/tone.sh" >voice.wav
chown 1001 face.png voice.wav
openssl genpkey -algorithm ed25519 -out registrar.pem 2>out
openssl pkey -in registrar.pem -pubout -out registrar.pub
"$talkie" cameo enroll @ada face.png voice.wav "${lent[@]}" consent.sign=registrar.pem >out 2>&1 || fail "nobody enrolls"

# Hers to name; nobody else's, and nobody else.
story own 1001 '[ada]' 'A. 0ak <face 1> waves'
made own
[[ $(decisions) == 'consented passed' ]] || fail "the log: $(cat log.jsonl)"
story half 1001 '["@ada:voice"]' 'Ada Oak talks'
refused 'cameo does not name @ada, face and voice' sample half.yaml -o half "${by[@]}"
story two 1001 '[ada]' 'Ada Oak and Carl Fir wave'
refused 'person "Carl Fir", who has not consented)' sample two.yaml -o two "${by[@]}"
! grep -q 'Ada Oak",' out || fail "who consents is refused"
story his 1002 '[ada]' 'Ada Oak <face 1> waves'
refused '@ada: serves its owner alone, not 1002' sample his.yaml -o his "${by[@]}"
grant consent.users=[1002] consent.uses=[face]
refused '@ada: does not consent to voice' sample his.yaml -o his "${by[@]}"
[[ -z $(compgen -G 'h*.mp4' || compgen -G 'two.mp4') ]] || fail "what is refused leaves a clip"

# Granted, they are his to name as well: on the command line, and in a spool as far as the job is his.
grant consent.users=[1002]
made his
mkdir -p spool/new
for who in 1002 1003; do
    sed 's/checkpoint: run, //' his.yaml >spool/new/.drop
    chmod 644 spool/new/.drop
    chown $who spool/new/.drop
    mv spool/new/.drop spool/new/of$who.yaml
done
"$talkie" serve spool checkpoint=run serve.once=1 "${by[@]}" >out 2>&1 || fail "the worker failed"
[[ -s spool/done/of1002/of1002.mp4 ]] || fail "his job is refused: $(cat spool/*/of1002/job.json)"
grep -q 'does not consent to a use by 1003' spool/failed/of1003/job.json || fail "a stranger's job is not refused"

# Revoked, they are nobody's.
"$talkie" cameo revoke @ada "${lent[@]}" >out 2>&1 || fail "she cannot revoke"
refused '@ada: was revoked' sample own.yaml -o again "${by[@]}"
echo "named, where they lend themselves"
