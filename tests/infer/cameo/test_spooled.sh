#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# What strangers bring to a spool: latents of somebody's clip beside a film that nobody is in, with a description
# that fits, unsigned or signed by a key of their own, are gone on from by no worker that asks for consent.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/cameo/lender.sh"
for who in authority strangers; do
    mkdir $who
    "$root/tests/support/authority.sh" $who
done
by=(provenance.key=authority/key.pem provenance.chain=authority/chain.pem)
theirs=(provenance.key=strangers/key.pem provenance.chain=strangers/chain.pem)
mkdir -p spool/new spool/files

drop() { # NAME WHOSE KEYS
    echo "{$3}" >"spool/new/.$1"
    chmod 644 "spool/new/.$1"
    chown "$2" "spool/new/.$1"
    mv "spool/new/.$1" "spool/new/$1.yaml"
}
serve() { "$talkie" serve spool checkpoint=run serve.once=1 "$@" >out 2>&1 || fail "the worker failed"; }
fails_with() { # JOB WORDS
    [[ -e spool/failed/$1/job.json ]] || { find spool/done >out; fail "$1 is made"; }
    grep -q -- "$2" "spool/failed/$1/job.json" || { cp "spool/failed/$1/job.json" out; fail "$1 does not say $2"; }
    [[ -z $(find "spool/failed/$1" -name '*.mp4') ]] || fail "$1 leaves a film"
}
taken() { echo "shots: [{clip: $1.mp4, shot: 0}]"; }

# Her own clip, and one of a stranger's that nobody is in.
cameo enroll @ada face.png voice.wav consent.sign=registrar.pem
story own.yaml 1001
"$talkie" sample own.yaml -o own "${lent[@]}" "${by[@]}" sample.steps=1 >out 2>&1 || fail "no clip of hers"
echo '{checkpoint: run, seed: 7, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: a ball}]}' >ball.yaml
"$talkie" sample ball.yaml -o plain >out 2>&1 || fail "no plain clip"
"$talkie" sample ball.yaml -o signed "${theirs[@]}" >out 2>&1 || fail "no clip that a stranger signs"
"$talkie" sample ball.yaml -o here "${by[@]}" >out 2>&1 || fail "no clip from here"

# Put together: what it says fits, and who is in it nobody sees.
for name in plain signed here; do
    cp $name.{mp4,json,latents} spool/files
    cp $name.mp4 spool/files/with-$name.mp4
    cp own.latents spool/files/with-$name.latents
    "$json" $name.json latents.digest=@own.latents >spool/files/with-$name.json
done
for name in plain signed with-plain with-signed with-here here; do drop "$name" 1002 "$(taken $name)"; done
serve "${lent[@]}" "${by[@]}"
for name in plain signed with-plain; do fails_with $name "$name.latents: what is in it nobody can tell, since $name.mp4 is not signed by this worker"; done
for name in with-signed with-here; do fails_with $name "is not the file that the signed manifest of $name.mp4 names"; done
[[ -s spool/done/here/here.mp4 ]] || fail "a clip of this worker's is not gone on from"
cmp -s here.latents spool/done/here/here.latents || fail "what is kept of it is not the same to the bit"
rm spool/files/{plain,signed}.latents # the films themselves are anybody's
for name in plain signed; do drop "film-$name" 1002 "$(taken $name)"; done
serve "${lent[@]}" "${by[@]}"
[[ -s spool/done/film-plain/film-plain.mp4 && -s spool/done/film-signed/film-signed.mp4 ]] || fail "a film is not encoded"

# A worker that signs nothing knows none; one that asks nobody is told whom to believe by who runs it.
drop unsigned 1002 "$(taken here)"
serve "${lent[@]}"
fails_with unsigned 'is not signed by this worker (provenance.key)'
drop believed 1002 "$(taken here)"
serve
[[ -s spool/done/believed/believed.mp4 ]] || fail "a worker that asks for nothing goes on from no latents"
echo "nobody gets in by latents"
