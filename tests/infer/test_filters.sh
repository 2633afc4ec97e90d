#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# A policy on the command line and in a worker of a spool: all that is refused is told with its place,
# nothing of it is made, and every decision is logged.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"

make_model
cat >policy.yaml <<'YAML'
roles: [{name: staff, users: ['4242']}]
categories:
  - {name: trees, words: [oak, elm*]}
  - {name: fish, action: role, role: staff, words: [cod]}
  - {name: birds, action: log, words: [raven]}
  - {name: people, people: [Ada Lovelace]}
YAML
by=(filter.policy=policy.yaml filter.log=log.jsonl)
refused() { # CODE COMMAND...: what it says, in `out`
    local want=$1 got=0
    shift
    "$@" >out 2>&1 || got=$?
    [[ $got == "$want" ]] || fail "$* ends with $got, not $want"
}
story() { # PROMPT PROMPT [MORE]
    printf 'checkpoint: run\nsample: {steps: 1}\n%s\nshots:\n' "${3:-}"
    printf '  - {seconds: 0.5, prompt: "%s"}\n' "$1" "$2"
}
decisions() { # FILE: in order
    sed -E 's/.*"decision":"([a-z]+)".*/\1/' "$1" | paste -sd ' '
}

# All of a storyboard's, with places; nothing is made, and what is logged says why.
story 'an o.a.k' 'Ada L0velace and a c0d' 'style: elms' >bad.yaml
refused 2 "$talkie" sample bad.yaml "${by[@]}" -o bad
! grep -q 'without filters' out || { echo "skipped: built without filters"; exit 77; }
grep -q 'bad.yaml:3:8: style: refused (trees, word "elm\*"): "elm"' out || fail "the style is not told"
grep -q 'bad.yaml:5:28: shots\[0\].prompt: refused (trees, word "oak"): "o.a.k"' out || fail "a prompt is not told"
grep -q 'bad.yaml:6:28: shots\[1\].prompt: refused (people, person "Ada Lovelace", who has not consented)' out || fail "a name is not told"
grep -q 'refused (fish, word "cod"): "c0d"' out || fail "a role is not asked for"
[[ $(grep -c refused out) == 4 ]] || fail "more is refused"
compgen -G 'bad*' | grep -vx bad.yaml && fail "a refused storyboard leaves files"
[[ $(decisions log.jsonl) == 'refused refused refused refused' ]] || fail "the log: $(cat log.jsonl)"

# talkie plan says the same and logs nothing.
rm log.jsonl
refused 2 "$talkie" plan bad.yaml filter.policy=policy.yaml
[[ $(grep -c refused out) == 4 ]] && grep -q '^storyboard' out || fail "plan does not tell"
story 'a meadow' 'a raven' >good.yaml
refused 0 "$talkie" plan good.yaml filter.policy=policy.yaml
grep -q 'nothing is refused of good.yaml' out || fail "plan does not tell that nothing is refused"
[[ ! -e log.jsonl ]] || fail "plan logs"

# On two ranks; a clip is made, and is the same clip as without a policy.
mpirun -n 2 "$talkie" sample good.yaml "${by[@]}" -o good >out 2>&1 || fail "nothing is made"
[[ $(decisions log.jsonl) == 'logged passed' ]] || fail "the log: $(cat log.jsonl)"
refused 0 "$talkie" sample good.yaml -o good
grep -q 'finished already' out || fail "a policy makes another clip"
mpirun -n 2 "$talkie" sample bad.yaml "${by[@]}" >out 2>&1 && fail "two ranks make it"
[[ $(grep -c 'refused (trees' out) == 2 ]] || fail "two ranks tell it otherwise"

# The list of many: all of them at once. On the command line, and over a base.
cp good.yaml other.yaml
echo '{storyboards: [bad.yaml, good.yaml, other.yaml]}' >jobs.yaml
refused 2 "$talkie" sample jobs.yaml "${by[@]}"
echo 'base: bad.yaml' >based.yaml
refused 2 "$talkie" sample based.yaml "${by[@]}"
grep -q 'bad.yaml:5:28' out || fail "the place in the base is not told"
refused 2 "$talkie" sample good.yaml "${by[@]}" 'shots[1].prompt=an oak' -o none
grep -q 'good.yaml: shots\[1\].prompt: refused' out || fail "an override is not looked at"
refused 2 "$talkie" sample good.yaml "${by[@]}" 'style=an o' 'shots[0].prompt=ak' -o none
grep -q 'style and prompt: refused' out || fail "what style and prompt say together is not looked at"

refused 2 "$talkie" sample good.yaml "${by[@]}" 'shots[1].style=an o' 'shots[1].prompt=ak' -o none
grep -q 'shots\[1\], style and prompt: refused' out || fail "what a shot's own style and its prompt say together is not looked at"
story 'a hill with an o' 'a' >split.yaml # a word over three prompts
echo '  - {seconds: 0.5, prompt: "k, and a lake"}' >>split.yaml
refused 2 "$talkie" sample split.yaml "${by[@]}" -o none
grep -q 'split.yaml: into shots\[2\].prompt: refused (trees, word "oak"): "o a k"' out || fail "what prompts say together is not looked at: $(cat out)"
[[ $(grep -c refused out) == 1 ]] || fail "it is told twice"

# A clip of ours whose captions are refused is no input.
story 'a meadow' 'a lake' >lake.yaml
refused 0 "$talkie" sample lake.yaml -o lake
sed -i 's/a lake/an oak/' lake.json
story 'a meadow' 'a hill' 'references: [lake.mp4]' >cites.yaml
refused 2 "$talkie" sample cites.yaml "${by[@]}" -o none
grep -q 'lake.mp4, its shot 1: refused' out || fail "a parent's caption is not looked at"
mkdir far
ln -s "$PWD/lake.mp4" far/way.mp4 # nor by another name, nor by its sheet
for cited in far/way.mp4 lake.png; do
    story 'a meadow' 'a hill' "references: [$cited]" >cites.yaml
    refused 2 "$talkie" sample cites.yaml "${by[@]}" -o none
    grep -q "$cited, its shot 1: refused" out || fail "a parent's caption is not looked at through $cited"
done

# What is no policy, or cannot be logged, refuses everything.
echo 'categories: [{name: a, words: [tree], action: burn}]' >broken.yaml
refused 2 "$talkie" sample good.yaml filter.policy=broken.yaml filter.log=log.jsonl -o none
grep -q 'broken.yaml:1:' out || fail "the place in the policy is not told"
refused 2 "$talkie" sample good.yaml filter.policy=nowhere.yaml filter.log=log.jsonl -o none
refused 2 "$talkie" sample good.yaml filter.policy=policy.yaml -o none
grep -q 'filter.log: missing' out || fail "no log is no matter"
refused 2 "$talkie" sample good.yaml filter.policy=policy.yaml filter.log=/dev/full -o none
[[ ! -e none.mp4 ]] || fail "something is made"

# A worker's policy is its own, and who asks is whose the file is.
drop() { # NAME UID
    mkdir -p spool/new spool/files
    sed '/^checkpoint/d' >spool/new/.drop
    if [[ $(id -u) == 0 ]]; then chown "$2" spool/new/.drop; fi
    mv spool/new/.drop "spool/new/$1.yaml"
}
says() { grep -q -- "$2" "spool/$1/job.json" || { cat "spool/$1/job.json"; fail "$1 does not say $2"; }; }
rm -f log.jsonl
story 'an oak' 'a hill' | drop oak 0
story 'a hill' 'a lake' | drop hill 0
story 'a cod' 'a lake' | drop cod 0
story 'a cod' 'a lake' | drop staff 4242
story 'a hill' 'a lake' 'filter: {policy: ""}' | drop empty 0
story 'an oak' 'a lake' 'filter: {policy: own.yaml}' | drop own 0
"$talkie" serve spool checkpoint=run serve.once=1 "${by[@]}" >out 2>&1 || fail "the worker failed"
says failed/oak 'oak.yaml:.*refused (trees'
says failed/cod 'refused (fish'
says failed/own "worker's to say"
[[ -s spool/done/hill/hill.mp4 && -s spool/done/empty/empty.mp4 ]] || fail "the innocent are not made"
if [[ $(id -u) == 0 ]]; then
    [[ -s spool/done/staff/staff.mp4 ]] || fail "those with a role are refused"
    grep -q '"decision":"allowed".*"uid":4242' log.jsonl || fail "the log: $(cat log.jsonl)"
fi
[[ -z $(find spool/failed -name '*.mp4') ]] || fail "a refused job leaves a clip"
# What a worker writes for a list is asked for by whose the list is, not by the worker.
if [[ $(id -u) == 0 ]]; then
    sed -i "s/'4242'/'0'/" policy.yaml
    story 'a cod' 'a lake' | sed '/^checkpoint/d' >spool/files/cod.yaml
    echo 'storyboards: [cod.yaml]' | drop others 4343
    echo 'storyboards: [cod.yaml]' | drop ours 0
    "$talkie" serve spool checkpoint=run serve.once=1 "${by[@]}" >out 2>&1 || fail "the worker failed"
    grep -qs 'refused (fish' spool/failed/cod-2/job.json || fail "the worker's role is a user's: $(find spool)"
    [[ -s spool/done/cod-3/cod-3.mp4 ]] || fail "a list of one with a role is refused: $(find spool)"
fi
refused 2 "$talkie" serve spool checkpoint=run serve.once=1 filter.policy=broken.yaml filter.log=log.jsonl
