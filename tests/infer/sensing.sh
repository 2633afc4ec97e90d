# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced, after small.sh, by tests of policies that hear or read what is given and what is made.
#
#     SENSE=listen                # the policy's key
#     SENSED='said after second'  # how its messages say where
by=(filter.policy=policy.yaml filter.log=log.jsonl)

# refused WORDS COMMAND...: talkie refuses it and says so. A build that has not the sense is skipped.
refused() {
    local code=0 words=$1
    shift
    "$talkie" "$@" >out 2>&1 || code=$?
    if grep -q 'without speech\|without tesseract\|without filters\|is missing (Debian' out; then
        echo "skipped: $(grep -o 'no word can be heard.*\|no text can be read.*\|this talkie was built without filters' out | tail -1)"
        exit 77
    fi
    [[ $code == 2 ]] || fail "talkie $*: exit code $code, not 2"
    grep -q -- "$words" out || fail "talkie $*: does not say \"$words\""
}
policy() { echo "{$SENSE: true, categories: [{name: drugs, words: [$1]}]}" >new && mv new policy.yaml; } # word
nothing_left() { [[ -z $(compgen -G "$1.*" | grep -v '\.yaml$') ]] || fail "of $1 there is left: $(echo "$1".*)"; }

# refused_at_its_end STORYBOARD WORD: of a clip that the policy lets begin, and whose word it has when it is done.
refused_at_its_end() {
    local job code=0
    policy tree
    rm log.jsonl
    "$talkie" sample "$1.yaml" -o "$1" "${by[@]}" >job 2>&1 &
    job=$!
    for _ in $(seq 600); do [[ ! -e $1.windows ]] || break; sleep 0.05; done
    policy "$2"
    wait $job || code=$?
    cp job out
    [[ $code == 2 ]] || fail "a refused clip ends with $code"
    grep -q "$1.yaml: the clip, $SENSED 0: refused (drugs, word \"$2\")" out || fail "it is not told"
    nothing_left "$1"
    [[ $(sed -E 's/.*"decision":"([a-z]+)".*/\1/' log.jsonl | paste -sd ' ') == 'passed refused' ]] ||
        fail "the log: $(cat log.jsonl)"
}

# refused_in_a_spool STORYBOARD FILE WORD: as a job whose file it gives.
refused_in_a_spool() {
    mkdir -p spool/new spool/files
    cp "$2" spool/files/
    policy "$3"
    sed 's/checkpoint: run, //' "$1.yaml" >spool/new/.drop
    mv spool/new/.drop "spool/new/$1.yaml"
    "$talkie" serve spool checkpoint=run serve.once=1 "${by[@]}" >out 2>&1 || fail "the worker failed"
    grep -q 'refused (drugs' "spool/failed/$1/job.json" || fail "a job is not refused: $(cat spool/*/"$1"/job.json)"
    [[ -z $(find spool/failed -name '*.mp4' -o -name '*.latents') ]] || fail "a refused job leaves something"
}
