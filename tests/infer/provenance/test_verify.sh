#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# talkie verify as a person uses it: exit codes and words; and keys that are refused before any work.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/provenance/clips.sh"

expect() { # CODE TEXT WORDS...: what talkie answers
    local code=0
    "$talkie" "${@:3}" >out 2>&1 || code=$?
    [[ $code == "$1" ]] || fail "talkie ${*:3}: exit code $code, not $1"
    grep -qF -- "$2" out || fail "talkie ${*:3} does not say \"$2\""
}

expect 0 'manifest: valid' verify child.mp4
expect 0 'manifest: trusted' verify child.mp4 provenance.anchors=keys/root.pem -o report.json
grep -q '"state": "trusted"' report.json || fail "the report says something else"
grep -q '"title": "first.mp4"' report.json || fail "the report does not name the clip that this one was made from"
"$talkie" verify child.mp4 >out 2>&1
grep -q 'from first.mp4 (componentOf)' out || fail "the clip that it was made from is not named"
grep -q 'from step-00000001.h5 (inputTo, c2pa.types.model): step 1' out || fail "the model is not named"
grep -q 'from first.mp4 (componentOf): 0.5 s to the end made anew from noise' out || fail "what was changed of it is not told"

# What was changed over generations, out of the manifests alone.
cat >grandchild.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
remix: {clip: child.mp4, shots: [0], strength: 0.5, keep: [picture]}
YAML
"$talkie" sample grandchild.yaml -o grandchild.mp4 "${by[@]}" >out 2>&1 || fail "grandchild.mp4 is not made"
mkdir alone && cp grandchild.mp4 alone
expect 0 'from child.mp4 (componentOf): shot 0 made anew from 0.5 of noise, picture kept' verify alone/grandchild.mp4 \
    provenance.anchors=keys/root.pem -o lineage.json
grep -q '    from first.mp4 (componentOf): 0.5 s to the end made anew from noise' out || fail "the first clip is not told of"
of=manifest.lineage
tells lineage.json "$of[0].remix" '{"ingredient":1,"change":"shot 0 made anew from 0.5 of noise, picture kept","strength":"0.5","kept":"picture","shots":[0]}'
child=$("$json" lineage.json "$of[0].ingredients[1].manifest")
tells lineage.json "$of[$child].title" '"child.mp4"' "$of[$child].remix.strength" '"1"' "$of[$child].remix.shots" '[]'
made_from=$("$json" lineage.json "$of[$child].remix.ingredient")
first=$("$json" lineage.json "$of[$child].ingredients[$made_from].manifest")
tells lineage.json "$of[$first].title" '"first.mp4"' "$of[$first].remix" null
digest() { sha256sum "$1" | sed 's/ .*//'; }
tells lineage.json "$of[0].latents" "\"$(digest grandchild.latents)\"" "$of[$child].latents" "\"$(digest child.latents)\""
# Latents that the description names and the signed manifest does not.
mkdir forged && cp child.mp4 forged && cp grandchild.latents forged/child.latents
"$json" child.json "latents=$("$json" grandchild.json latents)" >forged/child.json
expect 2 'forged/child.latents is not the file that the signed manifest of forged/child.mp4 names' \
    sample grandchild.yaml -o no.mp4 remix.clip=forged/child.mp4
# Shots of several clips: what was taken of each, and what it was made from itself.
cat >cut.yaml <<'YAML'
checkpoint: run
sample: {steps: 1}
shots: [{clip: first.mp4, from: 0.5, seconds: 0.5}, {seconds: 0.5, prompt: it rolls}, {clip: child.mp4, shot: 0}]
YAML
"$talkie" sample cut.yaml -o alone/cut.mp4 "${by[@]}" >out 2>&1 || fail "cut.mp4 is not made"
expect 0 'from first.mp4 (componentOf): 0.5 to 1 s kept as shot 0' verify alone/cut.mp4 provenance.anchors=keys/root.pem -o cut.json
grep -q '    from child.mp4 (componentOf): shot 0 kept as shot 2' out || fail "not all clips are told of that shots were taken of"
grep -q '      from first.mp4 (componentOf): 0.5 s to the end made anew from noise' out || fail "what they were made from is not told"
tells cut.json "$of[0].remix" null "$of[0].taken[0].ingredient" 1 "$of[0].taken[0].as" '[0]' "$of[0].taken[1].ingredient" 2 \
    "$of[0].taken[1].as" '[2]' "$of[0].taken[2]" none "$of[$child].taken" '[]'
expect 2 'shots[2].clip: forged/child.latents is not the file that the signed manifest of forged/child.mp4 names' \
    sample cut.yaml -o no.mp4 'shots[2].clip=forged/child.mp4'
# A film that was changed since it was signed, and a description that was changed with it.
rm -r forged && mkdir forged && cp child.latents forged && cp child.mp4 forged
printf x | dd of=forged/child.mp4 bs=1 seek=$(($(wc -c <child.mp4) - 100)) conv=notrunc 2>/dev/null
"$json" child.json mp4.digest=@forged/child.mp4 >forged/child.json
expect 2 'forged/child.mp4 was changed since it was signed, whatever its description says: forged/child.latents is not what it shows' \
    sample grandchild.yaml -o no.mp4 remix.clip=forged/child.mp4

# The same of one that something was put behind, so that its boxes do not add up.
cp child.mp4 forged && printf xyz >>forged/child.mp4
"$json" child.json mp4.digest=@forged/child.mp4 "mp4.bytes=$(wc -c <forged/child.mp4)" >forged/child.json
expect 2 'forged/child.mp4 was changed since it was signed, whatever its description says: forged/child.latents is not what it shows' \
    sample grandchild.yaml -o no.mp4 remix.clip=forged/child.mp4
expect 1 'assertion.bmffHash.mismatch: the file does not end with a box' verify forged/child.mp4 -o torn.json
tells torn.json manifest.state '"invalid"' 'manifest.lineage[0].title' '"child.mp4"'
head -c -1 child.mp4 >torn.mp4
expect 1 'assertion.bmffHash.mismatch: the file does not end with a box' verify torn.mp4
head -c 1000 child.mp4 >torn.mp4
expect 1 'general.error: the file ends within its manifest' verify torn.mp4

expect 1 'signingCredential.untrusted' verify child.mp4 provenance.anchors=keys/itself.pem
expect 1 'has no manifest' verify "$root/tests/media/big-buck-bunny.mp4"
expect 2 'no MP4 file' verify clips.h5
expect 2 'gone.mp4' verify gone.mp4
expect 2 'holds no certificate' verify child.mp4 provenance.anchors=run.yaml
expect 2 'provenance.anchors: cannot open gone.pem' verify "$root/tests/media/big-buck-bunny.mp4" provenance.anchors=gone.pem
expect 2 'provenance.anchors: keys is a directory' verify child.mp4 provenance.anchors=keys
expect 2 'it is there already' verify child.mp4 -o run.yaml
cp child.mp4 turned.mp4
printf x | dd of=turned.mp4 bs=1 seek=$(($(wc -c <turned.mp4) - 100)) conv=notrunc 2>/dev/null
expect 1 'assertion.bmffHash.mismatch' verify turned.mp4 -o turned.json
grep -q '"state": "invalid"' turned.json || fail "the report says something else"

# A clip whose manifest does not hold is named with that, and lends its manifest to none.
"$talkie" sample child.yaml -o late.mp4 "${by[@]}" remix.clip=turned.mp4 >out 2>&1 || fail "late.mp4 is not made"
expect 0 'its manifest did not hold: assertion.bmffHash.mismatch' verify late.mp4

# Before any work, with nothing left behind.
refused() { # TEXT OPTIONS...
    expect 2 "$1" sample first.yaml -o refused.mp4 "${@:2}"
    [[ -z $(compgen -G 'refused*') ]] || fail "refused, and left something"
    [[ $(grep -c 'sample  ' out) == 0 ]] || fail "refused after the work"
}
refused 'given together' provenance.key=keys/key.pem
refused 'given together' provenance.chain=keys/chain.pem
refused 'is not the key of the first certificate' provenance.key=keys/other.pem provenance.chain=keys/chain.pem
refused 'has expired' provenance.key=keys/key.pem provenance.chain=keys/expired.pem
refused 'gone.pem' provenance.key=gone.pem provenance.chain=keys/chain.pem
refused 'provenance.chain: cannot open missing.pem' provenance.key=gone.pem provenance.chain=missing.pem watermark.{key=none,payload=xyz}
for words in 'provenance.key: .*gone.pem' 'watermark.key: .*none' 'watermark.payload: xyz: '; do
    grep -q "command line: $words" out || fail "not all that is wrong with keys is told at once: $words"
done
refused 'has expired' provenance.key=keys/other.pem provenance.chain=keys/expired.pem
grep -q 'is not the key of the first certificate' out || fail "a key that is another's is not told with its chain"
expect 2 'has expired' serve none serve.once=1 provenance.key=gone.pem provenance.chain=keys/expired.pem watermark.key=none filter.policy=gone.yaml filter.log=log parallel.data=2
for words in 'provenance.key: ' 'watermark.key: ' 'filter.policy: ' 'parallel.data: '; do
    grep -q "command line: $words" out || fail "a worker does not tell at once all that is wrong: $words"
done
[[ ! -e none ]] || fail "a worker that is refused makes a spool"
refused 'command line: provenance.chain: cannot open gone.pem' provenance.key=keys/key.pem provenance.chain=gone.pem
refused 'command line: provenance.chain: certificate 2 of keys/broken.pem did not issue' provenance.key=keys/key.pem \
    provenance.chain=keys/broken.pem
chmod 644 keys/other.pem
refused 'provenance.key: keys/other.pem has mode 0644: others than its owner may read it; chmod 600 keys/other.pem' \
    provenance.key=keys/other.pem provenance.chain=keys/chain.pem

# A finished clip is made anew where it is to be signed and was not.
"$talkie" sample first.yaml -o plain.mp4 >out 2>&1 || fail "plain.mp4 is not made"
expect 0 'finished already' sample first.yaml -o plain.mp4
expect 1 'has no manifest' verify plain.mp4
"$talkie" sample first.yaml -o plain.mp4 "${by[@]}" >out 2>&1 || fail "plain.mp4 is not signed"
expect 0 'manifest: valid' verify plain.mp4
expect 0 'finished already' sample first.yaml -o plain.mp4 "${by[@]}"

# A clip whose storyboard's name is no UTF-8 is read all the same.
cp first.yaml $'caf\xe9.yaml'
"$talkie" sample $'caf\xe9.yaml' "${by[@]}" >out 2>&1 || fail "a clip of a name that is no UTF-8 is not made"
expect 0 'caf?.mp4, made by talkie' verify $'clips/caf\xe9.mp4' -o named.json
grep -q '"file": "clips/caf?.mp4"' named.json || fail "the report does not name the clip"

# In a spool the worker signs; a job may not say by whose key.
mkdir -p spool/new
{ cat first.yaml; echo 'provenance: {key: keys/key.pem, chain: keys/chain.pem}'; } >spool/new/own.yaml
sed "s,run$,$PWD/run," first.yaml >spool/new/signed.yaml
"$talkie" serve spool serve.once=1 serve.open=1 "${by[@]}" >out 2>&1 || true
grep -q "own.yaml:[0-9]*:19: provenance.key: is the worker's to say" out || fail "a job names a key"
expect 2 'has expired' serve spool serve.once=1 provenance.key=keys/key.pem provenance.chain=keys/expired.pem
clip=$(find spool -name 'signed*.mp4')
[[ $clip ]] || fail "the worker made no clip"
expect 0 'manifest: valid' verify "$clip"
