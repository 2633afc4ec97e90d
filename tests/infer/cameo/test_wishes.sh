#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Somebody who can reach neither store nor keys ends a cameo by a signed wish: while a clip is made, while a
# worker waits, and by `talkie cameo`; what is forged, or of an earlier time, ends nothing.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/cameo/lender.sh"

enroll() { cameo enroll @ada face.png voice.wav consent.sign=registrar.pem && cameo key @ada ada.pub; }
wish() { "$talkie" cameo wish @ada consent.sign="${1:-ada.pem}" >"wish" 2>out || fail "no wish is signed"; }
drop() { # by somebody who may do nothing else there
    mv wish "${1:-store}/wishes/.ada" && chown 1003 "${1:-store}/wishes/.ada" && mv "${1:-store}/wishes/.ada" "${1:-store}/wishes/ada"
}
openssl genpkey -algorithm ed25519 -out ada.pem 2>out
openssl pkey -in ada.pem -pubout -out ada.pub
fails 2 'is not enrolled\|nobody of that handle' cameo key @ada ada.pub "${lent[@]}"
cameo enroll @ada face.png voice.wav consent.sign=registrar.pem
fails 2 'who alone may give it a key' cameo key @ada ada.pub "${lent[@]}"
chown 1001 ada.pub
chmod 666 ada.pub
fails 2 'others than its owner may write' cameo key @ada ada.pub "${lent[@]}"
chmod 644 ada.pub
echo none >note
fails 2 'no public key of Ed25519' cameo key @ada note "${lent[@]}"
cameo key @ada ada.pub
fails 2 'usage: talkie cameo key @HANDLE PUBLIC consent.store=FOLDER' cameo key @ada "${lent[@]}"
fails 2 'consent.sign: missing: it takes the private key' cameo wish @ada
install -m 600 ada.pub public
fails 2 'no private key of Ed25519' cameo wish @ada consent.sign=public
fails 2 'ada.pub has mode 0644' cameo wish @ada consent.sign=ada.pub
fails 2 'ends before it begins' cameo wish @ada consent.sign=ada.pem consent.until=2001-01-01
"$talkie" cameo wish @ada consent.sign=ada.pem >/dev/full 2>out && fail "a wish that is not written counts as written"
grep -q 'the wish cannot be written: No space left' out || fail "a full disk is not told"
fails 2 'is no handle' cameo wish ../ada consent.sign=ada.pem
[[ $(stat -c %a store/wishes) == 1733 ]] || fail "others cannot drop a wish, or can read those there"

# Forged: nothing happens, and it is said.
wish other.pem
drop
cameo take
grep -q 'a wish is refused (ada): .*is not signed by the key of its owner' out || fail "a forged wish is not told"
[[ -e keys/ada.key && ! -e store/wishes/ada ]] || fail "a forged wish counts, or stays"

# While a clip is made: it ends before its next window.
cameo grant @ada consent.users=[1002] consent.until=2099-01-01 consent.sign=registrar.pem
story his.yaml 1002
"$talkie" sample his.yaml -o his "${lent[@]}" >out 2>&1 || fail "his clip is not made"
more=$(for i in $(seq 40); do echo "{seconds: 0.5, prompt: ball $i},"; done)
story long.yaml 1002 "$more"
"$talkie" sample long.yaml -o long "${lent[@]}" sample.steps=40 >job 2>&1 &
job=$!
for _ in $(seq 1200); do ! compgen -G 'long.windows/*.window' >/dev/null || break; sleep 0.05; done
wish
cp wish kept
drop
code=0
wait $job || code=$?
cp job out
[[ $code == 2 ]] || fail "the job ends with code $code"
grep -q '@ada: is revoked, as its owner wishes' out || fail "the wish is not told"
grep -q '@ada: was revoked' out || fail "the job does not say why it ends"
[[ ! -e long.windows && ! -e long.mp4 && ! -e his.latents && -e his.mp4 ]] || fail "something is kept that may not, or gone that may"
[[ ! -e keys/ada.key && ! -e store/people/ada/face && ! -e store/wishes/ada ]] || fail "the references are there, or the wish"
cameo log @ada
grep -q 'revoked .*by 1001.*: as its owner wishes' out || fail "the log does not tell whose wish it was"

# Replayed after she has enrolled again.
enroll
cp kept wish
drop
cameo list # which only looks
[[ -e store/wishes/ada ]] || fail "a list takes wishes up"
cameo take
grep -q 'of an earlier enrolment' out || fail "a wish of an earlier enrolment is not refused"
[[ -e keys/ada.key ]] || fail "a wish of an earlier enrolment counts"

# While a worker has nothing to do, or jobs that she is not in.
mkdir -p spool/new
"$talkie" serve spool checkpoint=run serve.poll=0.1 "${lent[@]}" >worker 2>&1 &
worker=$!
wish
drop
for _ in $(seq 1200); do [[ -e keys/ada.key || -e store/wishes/ada ]] || break; sleep 0.05; done
kill -TERM $worker
wait $worker || true
cp worker out
[[ ! -e keys/ada.key && ! -e store/wishes/ada ]] || fail "a worker that waits takes no wish up"
fails 2 '@ada: was revoked' sample his.yaml -o again "${lent[@]}"
echo "as she wished"
