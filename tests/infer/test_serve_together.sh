#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240; waits: mostly
# A worker that has several jobs in hand: their windows share a stream, and each clip is that of talkie sample alone,
# also where others are refused, fail, are cancelled or wait for other weights, where somebody consents no longer, and
# where the worker is told to stop or killed and another goes on.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"

make_model
story() { # SEED SHOTS [MORE]
    local i
    echo "{seed: $1, ${3:-} sample: {steps: 2, window: 1}, shots: ["
    for ((i = 0; i < $2; i++)); do echo "{seconds: 0.5, prompt: ball $i of $1},"; done
    echo ']}'
}
shots=(0 2 9 4 9 3 6)
for job in 1 2 3 4 5 6; do
    story $job ${shots[job]} >job$job.yaml
    "$talkie" sample job$job.yaml checkpoint=run -o alone$job >out 2>&1 || fail "no clip of job $job alone"
done
echo '{seed: 8, remix: {clip: alone3.mp4, shots: [1, 2], strength: 0.5}, sample: {steps: 4, window: 1}}' >remix.yaml
"$talkie" sample remix.yaml checkpoint=run -o again >out 2>&1 || fail "no remix alone"
new_spool() { rm -rf spool && mkdir -p spool/new spool/files; }
put() { # NAME [UID], from standard input
    cat >spool/new/.job
    [[ $(id -u) != 0 || -z ${2:-} ]] || chown "$2" spool/new/.job
    mv spool/new/.job "spool/new/$1.yaml"
}
drop() { for job; do put "job$job" <"job$job.yaml"; done; }
# The film itself names the build that made it, and some are made by the one of the tests.
same() {
    local job of
    for job; do
        for of in ${of_clip:-latents png}; do
            cmp "alone$job.$of" "spool/done/job$job/job$job.$of" || fail "job $job is another clip than alone"
        done
    done
}
says() { grep -q -- "$2" "spool/$1/job.json" || { cat "spool/$1/job.json"; fail "$1 does not say $2"; }; }
empty() { [[ -z $(ls -A spool/{new,taking,waiting,running,workers} | grep -v :) ]] || fail "something is left"; }
held() { compgen -G 'spool/running/*,*' | wc -l; }
await() { # WORDS COMMAND...: until it holds
    local i words=$1
    shift
    for ((i = 0; i < 1000; i++)); do "$@" && return; sleep 0.02; done
    fail "$words"
}
hold() { (($(held) >= $1)); }
has_windows() { compgen -G "spool/running/*,$1,*/*.windows/*.window" >/dev/null; }

# Beside others: a bad job, one that is refused and one of somebody who may, a remix, one of other weights.
cat >policy.yaml <<'YAML'
roles: [{name: staff, users: ['4242']}]
categories:
  - {name: trees, words: [oak]}
  - {name: fish, action: role, role: staff, words: [cod]}
YAML
new_spool
cp alone3.* spool/files
cp -r run spool/files/other
drop 1 2 3
echo '{seed: 1, references: [none.mp4], shots: [{seconds: 0.5, prompt: a}]}' | put bad
story 1 2 'style: an oak,' | put oak
story 1 2 'style: a cod,' | put cod
story 1 2 'style: a cod,' | put staff 4242
story 1 2 'watermark: {key: key},' | put marked
put remix <remix.yaml
story 1 2 'checkpoint: other,' | put other
drop 4 5 6
"$talkie" serve spool checkpoint=run serve.once=1 serve.together=3 filter.policy=policy.yaml filter.log=log >out 2>&1 || fail "the worker failed"
of_clip=mp4 same 1 2 3 4 5 6
cmp again.mp4 spool/done/remix/remix.mp4 || fail "the remix is another clip than alone"
cmp alone1.mp4 spool/done/other/other.mp4 || fail "other weights that are the same make another clip"
says failed/bad 'none.mp4'
says failed/oak 'refused (trees'
says failed/cod 'refused (fish'
says failed/marked "worker's to say"
if [[ $(id -u) == 0 ]]; then
    [[ -s spool/done/staff/staff.mp4 ]] || fail "who may is refused"
    grep -q '"decision":"allowed".*"uid":4242' log || fail "the log: $(cat log)"
fi
[[ $(grep -c '"decision":"passed".*other' log) == 1 ]] || fail "a job that waited was not asked for once: $(cat log)"
grep -q '"done": 16,' spool/done/job2/job.json || fail "steps were miscounted"
! grep -q 'is tried alone' out || fail "a round failed"
empty

new_spool
drop 1 2 4
mpirun -n 2 "$talkie" serve spool checkpoint=run serve.once=1 serve.together=8 parallel.pipeline=2 >out 2>&1 || fail "two ranks failed"
[[ -s spool/done/job1/job1.mp4 && -s spool/done/job4/job4.mp4 ]] || fail "two ranks make no clips"
empty
drop 3 5
mpirun -n 2 "$talkie" serve spool checkpoint=run serve.once=1 serve.together=8 parallel.guidance=2 >out 2>&1 || fail "two ranks with a branch each failed"
same 3 5

# One is cancelled while it is made with others; then the worker is told to stop, another is killed, and the last goes on.
new_spool
drop 2 4 5
"$faulty" 0 slow 60 serve spool checkpoint=run serve.together=3 >out 2>&1 &
worker=$!
await "the hand is not full" hold 3
"$talkie" jobs spool jobs.cancel=job4 >/dev/null 2>&1 || fail "a job in hand cannot be cancelled"
await "a job in hand is not cancelled" test -d spool/cancelled/job4
kill -TERM $worker
code=0
wait $worker || code=$?
[[ $code == 75 || -d spool/done/job2 ]] || fail "stopped with jobs in hand it ends with $code"
[[ $(held) == 0 ]] || fail "jobs were not handed back"
drop 6
"$faulty" 0 slow 60 serve spool checkpoint=run serve.together=3 >out 2>&1 &
worker=$!
await "no window is made" has_windows job6
kill -KILL $worker
wait $worker || true
"$talkie" serve spool checkpoint=run serve.once=1 serve.together=2 >out 2>&1 || fail "the next worker failed"
same 2 5 6
says done/job6 '"tries": 2'
empty

# One whose windows are gone makes the round fail, and no other.
new_spool
drop 2 6
"$faulty" 0 slow 60 serve spool checkpoint=run serve.once=1 serve.together=3 >out 2>&1 &
worker=$!
await "no window is made" has_windows job2
rm -r spool/running/*,job2,*/*.windows
wait $worker || fail "the worker failed"
grep -q '2 jobs at once failed, each is tried alone' out || fail "the round did not fail"
grep -q '"tries": 1' spool/done/job6/job.json || fail "it counts as a try of another"
[[ -d spool/failed/job2 ]] || same 2
same 6
empty

# Who lends a face to one of them revokes that.
[[ $(id -u) == 0 ]] || exit 0
openssl genpkey -algorithm ed25519 -out registrar.pem 2>out
openssl pkey -in registrar.pem -pubout -out registrar.pub
"$root/tests/support/tone.sh" >voice.wav
cp alone1.png face.png
chown 1001 face.png voice.wav
lent=(consent.store=store consent.keys=keys consent.registrar=registrar.pub)
"$talkie" cameo enroll @ada face.png voice.wav consent.sign=registrar.pem "${lent[@]}" >out 2>&1 || fail "she is not enrolled"
new_spool
drop 2 5
story 7 9 'cameo: [ada],' | sed 's/ball 8 of 7/<face 1> waves/' | put hers 1001
"$faulty" 0 slow 60 serve spool checkpoint=run serve.once=1 serve.together=3 "${lent[@]}" >worker 2>&1 &
worker=$!
await "no window is made" has_windows hers
"$talkie" cameo revoke @ada "${lent[@]}" >out 2>&1 || fail "she cannot revoke"
wait $worker || { cp worker out; fail "the worker failed"; }
cp worker out
says failed/hers '@ada: was revoked'
[[ -z $(find spool/failed/hers -name '*.window' -o -name '*.mp4') ]] || fail "something of the clip is kept"
! grep -q 'is tried alone' out || fail "others were made alone for it"
same 2 5
empty
