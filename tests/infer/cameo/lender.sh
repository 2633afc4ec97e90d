# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tests of cameos, after tests/support/small.sh: a model, face.png and voice.wav of user 1001, the
# keys of a registrar and of somebody else, and words for what these tests do.

[[ $(id -u) == 0 ]] || { echo "skipped: only root can make files of other users"; exit 77; }

fails() { # CODE WORDS COMMAND...
    local code=0 want=$1 words=$2
    shift 2
    "$talkie" "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || fail "talkie $*: exit code $code, not $want"
    grep -q -- "$words" out || fail "talkie $*: does not say \"$words\""
}
lent=(consent.store=store consent.keys=keys consent.registrar=registrar.pub)
cameo() { "$talkie" cameo "$@" "${lent[@]}" >out 2>&1 || fail "talkie cameo $* fails"; }
story() { # FILE, WHOSE, more
    echo "{checkpoint: run, seed: 3, cameo: [ada], sample: {steps: 2, window: 1}, shots: [${3:-}{seconds: 0.5, prompt: <face 1> waves}]}" >"$1"
    chmod 644 "$1"
    chown "$2" "$1"
}

make_model
echo '{checkpoint: run, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: a face}]}' >plain.yaml
"$talkie" sample plain.yaml -o plain >out 2>&1 || fail "no clip"
mv plain.png face.png
"$root/tests/support/tone.sh" >voice.wav
chown 1001 face.png voice.wav
for key in registrar other; do
    openssl genpkey -algorithm ed25519 -out $key.pem 2>out
    openssl pkey -in $key.pem -pubout -out $key.pub
done
