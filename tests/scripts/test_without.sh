#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Builds that do without media, speech, letters, signatures, cameos or filters: each is linked without the libraries
# of it, says what it is for, refuses what it cannot do before any work, and makes what needs none of it.
set -euo pipefail
[[ -z ${SAN:-} ]] || { echo "skipped: they are linked from objects without sanitizers"; exit 77; }
build=$(realpath "${BUILD:-build}")
made=$(make BUILD="$build" without)
if grep -E '^  (cc|nvcc)  ' <<<"$made" | grep -vE '/(version|none|deaf|blind)\.c$'; then echo "what is there was compiled anew"; exit 1; fi
RANKS=1
. "$(dirname "$0")/../support/small.sh"
{ "$talkie" data world run.yaml -o clips.h5 world.speech=false && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
echo '{checkpoint: run, sample: {steps: 1}, shots: [{seconds: 0.5, prompt: a ball}]}' >board.yaml
echo '{categories: [{name: trees, words: [oak]}]}' >policy.yaml

without() { # SETTING COMMAND...: its exit code
    local code=0
    "$build/without/$1" "${@:2}" >out 2>&1 || code=$?
    echo $code
}
refuses() { # SETTING COMMAND...
    [[ $(without "$@") == 2 ]] || fail "without $1: talkie ${*:2} is not refused"
    grep -q "without .*make $1=0" out || fail "without $1: talkie ${*:2} does not say what is missing"
    compgen -G 'no*' >/dev/null && fail "without $1: talkie ${*:2} leaves $(compgen -G 'no*')"
    return 0
}
for setting in MEDIA SPEECH LETTERS PROVENANCE CAMEO FILTERS; do
    [[ $(without $setting --help) == 0 && $(without $setting sample --help) == 0 ]] || fail "without $setting: no help"
    [[ $(without $setting data info clips.h5) == 0 ]] || fail "without $setting: a clip file cannot be read"
    [[ $setting == MEDIA || $(without $setting sample board.yaml -o "$setting") == 0 ]] || fail "without $setting: no clip"
done
for setting in LETTERS PROVENANCE CAMEO FILTERS; do cmp SPEECH.mp4 $setting.mp4 || fail "without $setting: another clip"; done

refuses MEDIA sample board.yaml -o no.mp4
refuses MEDIA data import run.yaml SPEECH.mp4 -o no.h5
refuses SPEECH data world run.yaml -o no.h5 world.speech=true media.sample_rate=16000
refuses PROVENANCE sample board.yaml -o no.mp4 provenance.key=key.pem provenance.chain=chain.pem
refuses PROVENANCE verify SPEECH.mp4
refuses CAMEO sample board.yaml -o no.mp4 cameo=[ada] consent.store=store
refuses CAMEO cameo list consent.store=store
refuses FILTERS sample board.yaml -o no.mp4 filter.policy=policy.yaml filter.log=log
echo '{categories: [{name: trees, words: [oak]}], read: true}' >policy.yaml
refuses LETTERS sample board.yaml -o no.mp4 filter.policy=policy.yaml filter.log=log
echo '{categories: [{name: trees, words: [oak]}], listen: true}' >policy.yaml
refuses SPEECH sample board.yaml -o no.mp4 filter.policy=policy.yaml filter.log=log
