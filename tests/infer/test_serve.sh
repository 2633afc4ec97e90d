#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300; waits: mostly
# A worker of a spool, alone and of two ranks: clips are those of talkie sample, bad jobs fail alone and
# say why, a job that does not fit is left, a stopped worker hands its job back, and a killed one's is
# done by the next.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"

make_model
story() { # seed, more
    echo "{seed: $1, ${2:-} sample: {steps: 2}, shots: [{seconds: 0.5, prompt: a red ball}]}"
}
drop() { # NAME, from standard input
    mkdir -p spool/new
    cat >spool/new/.drop && mv spool/new/.drop "spool/new/$1.yaml"
}
says() { grep -q -- "$2" "spool/$1/job.json" || { cat "spool/$1/job.json"; fail "$1 does not say $2"; }; }

"$talkie" serve not/there/yet serve.once=1 >out 2>&1 || fail "no spool is made in a folder that is not there"
[[ -d not/there/yet/new ]] || fail "a new spool has no place for jobs"
mkdir -p spool/files
cp clips.h5 outside.h5
story 3 >three.yaml
"$talkie" sample three.yaml checkpoint=run -o straight >out 2>&1 || fail "no clip"
# What a clip says of itself makes it again.
"$json" straight.json options | sed 's/^"//; s/"$//; s/\\n/\n/g; s/\\"/"/g' >again.yaml
"$talkie" sample again.yaml -o again >out 2>&1 || fail "the options that a clip tells are none"
cmp straight.mp4 again.mp4 || fail "the options that a clip tells make another clip"
story 3 'job: {priority: 1},' | drop three
story 4 | drop four
story 3 'film: {files: [edl]},' | drop listed
story 5 'references: [../../outside.h5],' | drop leaves
story 5 'output: /tmp/x,' | drop away
story 5 'checkpoint: none,' | drop lacks
story 5 'cameo: [ada],' | drop stranger
story 5 'output: job,' | drop named
story 5 'output: job.mp4,' | drop suffixed
story 5 'output: "..",' | drop hidden
story 5 'output: "red\e[31m\u009b1m",' | drop steers
story 5 "output: $(printf 'n%.0s' $(seq 245))," | drop endless
story 5 'output: a.part-b,' | drop passing
drop foreign <<'YAML'
seed: 5
watermark: {strength: 0.1}
parallel: {threads: 0, guidance: 2}
serve: {together: 1, memory: 5}
train: {steps: 9}
model: {hidden: 192, layers: 3}
shots: [{seconds: 0.5, prompt: a red ball}]
YAML
echo 'shots: [{seconds: 0.5' | drop half
mkdir -p spool/files/set # a list: the storyboard of three, one that says less than its list, and none
cp three.yaml spool/files/set/more.yaml
echo '{seed: 3, shots: [{seconds: 0.5, prompt: a red ball}]}' >spool/files/less.yaml
echo '{sample: {steps: 2}, job: {priority: 2}, storyboards: [set/more.yaml, less.yaml, none.yaml]}' | drop evening
"$talkie" serve spool checkpoint=run serve.once=1 >out 2>&1 || fail "the worker failed"
cmp straight.mp4 spool/done/three/three.mp4 || fail "another clip than talkie sample's"
[[ -s spool/done/four/four.png && -s spool/done/four/four.json ]] || fail "no clip of four"
says done/three '"state": "done"'
grep -q "\"storyboard\": \"$PWD/spool/done/three/three.yaml\"" spool/done/three/three.json || fail "the clip's JSON has another storyboard"
grep -q "output: [^a-z]*$PWD/spool/done/three/three[^a-z]" spool/done/three/three.json || fail "the clip's JSON has another output"
[[ -z $(grep -rl running/ spool/done --include=*.json) ]] || fail "a finished clip names a path that is no more"
for name in more less; do
    cmp straight.mp4 spool/done/$name/$name.mp4 || fail "$name of a list is another clip"
    says done/$name '"list": "evening"'
done
says done/evening '"unit": "jobs"'
says failed/none 'cannot use'
says failed/leaves 'outside of the spool'
says failed/away "without '/'"
says failed/lacks 'none'
says failed/stranger 'stranger.yaml:1:18: cameo: its worker was started without consent.store'
says failed/named 'give another name'
says failed/suffixed 'what its job.json tells is the job'
says failed/hidden "begins with '.'"
says failed/steers 'characters that steer a terminal'
says failed/endless 'has 245 bytes; the name of a job.s clip has at most 160'
says failed/passing 'is in names of temporaries'
says failed/half 'half.yaml:'
says failed/foreign "foreign.yaml:2:23: watermark.strength: is the worker's to say"
says failed/foreign "foreign.yaml:3:34: parallel.guidance: is the worker's to say"
says failed/foreign "foreign.yaml:4:30: serve.memory: is the worker's to say"
says failed/foreign 'foreign.yaml:5:16: train.steps: no clip is made by it'
says failed/foreign 'foreign.yaml:6:30: model.layers: no clip is made by it'
! grep -qE 'threads|together|hidden' spool/failed/foreign/job.json || fail "what says nothing is refused"
[[ $(grep -c 'at step 1' out) == 1 ]] || fail "the model was opened more than once"
[[ -z $(ls -A spool/running spool/waiting spool/taking spool/workers | grep -v :) ]] || fail "something is left"

# A worker that died between a clip and its job's end, and between the files of one: what was kept of the first goes
# with the next worker, which makes the other.
mkdir spool/done/three/three.windows
touch spool/done/three/three.windows/0123456789abcdef-000000.window
mv spool/done/three spool/waiting/1,20260101-000000,three,1
rm spool/done/listed/listed.json
mv spool/done/listed spool/waiting/1,20260101-000000,listed,1
"$talkie" serve spool checkpoint=run serve.once=1 >out 2>&1 || fail "the worker failed"
cmp straight.mp4 spool/done/three/three.mp4 || fail "a clip that is finished is another one"
[[ ! -e spool/done/three/three.windows ]] || fail "a finished clip keeps windows"
[[ -s spool/done/listed/listed.json ]] || fail "a list of shots of a worker that was killed is taken for somebody's"

# Two ranks; then too little memory.
story 3 | drop two
mpirun -n 2 "$talkie" serve spool checkpoint=run serve.once=1 parallel.tensor=2 >out 2>&1 || fail "two ranks failed"
[[ -s spool/done/two/two.mp4 ]] || fail "no clip of two ranks"
story 3 | drop branches
story 3 | sed 's/steps: 2/steps: 2, guidance: 1/' | drop branch
mpirun -n 2 "$talkie" serve spool checkpoint=run serve.once=1 parallel.guidance=2 >out 2>&1 || fail "two ranks failed"
cmp straight.mp4 spool/done/branches/branches.mp4 || fail "another clip of two ranks with a branch each"
grep -q 'nothing to share out .* left to others' spool/waiting/*,branch,*/job.json || fail "a job without guidance is not left with the reason"
story 3 | drop large
sed -i 's/seed: 3/seed: 3, size: [256, 256]/' spool/new/large.yaml
"$talkie" serve spool checkpoint=run serve.once=1 serve.memory=1 >out 2>&1 || fail "the worker failed"
grep -q 'serve.memory .* left to others' spool/waiting/*,large,*/job.json || fail "a job that does not fit is not left with the reason"
"$talkie" serve spool checkpoint=run serve.once=1 >out 2>&1 || fail "the worker failed"
[[ -s spool/done/large/large.mp4 && -s spool/done/branch/branch.mp4 ]] || fail "what was left is not done by another"

# Stopped in a job, killed in it, and cancelled in it.
{
    echo '{seed: 3, sample: {steps: 2, window: 1}, shots: ['
    for i in 1 2 3 4 5 6; do echo "{seconds: 0.5, prompt: ball $i},"; done
    echo '{seconds: 0.5, prompt: the last}]}'
} >long.yaml
"$talkie" sample long.yaml checkpoint=run -o long >out 2>&1 || fail "no long clip"
drop long <long.yaml
windows() { find spool -name '*.window' | wc -l; }
for signal in TERM KILL; do
    before=$(windows)
    "$faulty" 0 slow 100 serve spool checkpoint=run serve.lease=2 >out 2>&1 &
    worker=$!
    for ((i = 0; i < 1000 && $(windows) <= before; i++)); do sleep 0.02; done
    kill -$signal $worker
    code=0
    wait $worker || code=$?
    [[ $signal == KILL || $code == 75 ]] || fail "stopped with a job at hand it ends with $code"
    [[ $signal == KILL || -e $(echo spool/waiting/*,long,*) ]] || fail "the job was not handed back"
    (($(windows) > before)) || fail "no window is kept"
done
"$talkie" serve spool checkpoint=run serve.once=1 >out 2>&1 || fail "the worker failed"
grep -q 'windows were finished by an earlier run' out || fail "it did not go on at its last window"
cmp long.mp4 spool/done/long/long.mp4 || fail "another clip after a kill"
says done/long '"tries": 2'

# A full disk (files of more than 6 KiB are none here) fails one job in some seconds, not all that wait in a
# moment, and leaves no windows that nobody goes on from.
story 3 'job: {tries: 2},' | drop full
(trap '' XFSZ && ulimit -f 6 && exec "$talkie" serve spool checkpoint=run serve.once=1) >out 2>&1 || fail "the worker failed"
grep -q 'no job is claimed for 1 seconds' out || fail "it claims the next job at once"
grep -q 'no job is claimed for 2 seconds' out || fail "it does not wait longer the second time"
grep -q '0 jobs done, 1 failed' out || fail "tries are counted as jobs"
says failed/full 'disk full'
[[ -z $(find spool/failed/full -name '*.window*' -o -name '*.part*') ]] || fail "a failed job keeps windows"

# Nor where their files alone are too long to be copied.
for name in wide wider; do
    { story 3 'job: {tries: 100},' && seq -f '# remark %g, which makes it long' 1000; } | drop $name
done
: >out # or what the last one said is read for this one's
(trap '' XFSZ && ulimit -f 6 && exec "$talkie" serve spool checkpoint=run serve.once=1) >out 2>&1 &
worker=$!
for ((i = 0; i < 1000; i++)); do
    grep -q 'jobs done' out && break
    grep -q 'no job is claimed for 2 seconds' out && kill -TERM $worker && break
    sleep 0.02
done
wait $worker && fail "it ends as if nothing waited"
[[ -e $(echo spool/waiting/*,wide,*) && -e $(echo spool/waiting/*,wider,*) ]] || fail "a full disk fails all that wait in a moment"
rm -rf spool/waiting/*,wide,* spool/waiting/*,wider,*

drop cut <long.yaml
"$faulty" 0 slow 100 serve spool checkpoint=run serve.once=1 >out 2>&1 &
worker=$!
for ((i = 0; i < 1000; i++)); do [[ -e $(echo spool/running/*,cut,*) ]] && break; sleep 0.02; done
"$talkie" jobs spool jobs.cancel=cut >told 2>&1 || { cat told; fail "a running job cannot be cancelled"; }
wait $worker || fail "the worker failed"
[[ -e spool/cancelled/cut/cut.yaml && ! -e spool/cancel/cut && ! -e spool/cancelled/cut/cut.mp4 ]] || fail "cut is not cancelled"
says cancelled/cut 'cancelled on request'
# A job whose end cannot be written down ends no worker, which goes on with it when it can.
drop held <long.yaml
"$faulty" 0 slow 100 serve spool checkpoint=run serve.once=1 serve.poll=0.1 >out 2>&1 &
worker=$!
for ((i = 0; i < 1000; i++)); do grep -qs '"running"' spool/running/*,held,*/job.json && break; sleep 0.02; done
held=$(echo spool/running/*,held,*)
until mkdir "$held/job.json" 2>/dev/null; do rm -f "$held/job.json"; done
touch spool/cancel/held
for ((i = 0; i < 1000; i++)); do grep -q 'cannot write .*job.json' out && break; sleep 0.02; done
rmdir "$held/job.json"
wait $worker || fail "a job whose end cannot be written down ends its worker"
[[ -e spool/cancelled/held/held.yaml ]] || fail "held is not cancelled"

# Nor does a spool that cannot be looked at for a while end one.
"$talkie" serve spool checkpoint=run serve.poll=0.1 serve.lease=100 >out 2>&1 &
worker=$!
for ((i = 0; i < 1000; i++)); do [[ -e $(echo spool/workers/*/heartbeat) ]] && break; sleep 0.02; done
beat=$(echo spool/workers/*/heartbeat)
ln -sf /dev/full "$beat"
for ((i = 0; i < 1000; i++)); do grep -q 'no job is claimed for 1 seconds' out && break; sleep 0.02; done
rm -f "$beat"
story 3 | drop after
for ((i = 0; i < 1000; i++)); do [[ -e spool/done/after ]] && break; sleep 0.02; done
kill -TERM $worker || fail "a spool that cannot be looked at ends its worker"
wait $worker || fail "the worker failed"
grep -q 'heartbeat: disk full' out || fail "it does not say what it rests for"
cmp straight.mp4 spool/done/after/after.mp4 || fail "another clip behind a rest"

"$talkie" jobs spool >out 2>&1 || fail "no table"
grep -Eq '^cut +cancelled ' out && grep -Eq '^three +done +1 ' out || fail "the table does not tell what became of them"
