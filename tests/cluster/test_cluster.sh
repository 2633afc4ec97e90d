#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 500; waits: mostly
# slurm/*.sbatch as shipped, on a real Slurm over five hosts: a job of 4 nodes x 2 ranks is stopped, preempted,
# slowed and loses nodes, and ends each time in the losses, bit for bit, of one that never was.
#
#     tests/cluster/test_cluster.sh [CASE... | all]     without any: those that fit into a minute and a half
#     make campaign                                     all of them
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/cluster/cluster.sh
. tests/cluster/cluster.sh
missing=$(cluster_missing)
[[ $missing ]] && { echo "skipped: $missing"; exit 77; }
cluster_enter "$@"
trap 'exit 143' INT TERM

root=$PWD steps=40 reference=reference
TALKIE=$(realpath "${TALKIE:-build/talkie}")
export TALKIE

fail() {
    echo "FAILED: $1"
    cluster_logs
    exit 1
}

# train NAME [SBATCH-ARGUMENT...] [-- KEY=VALUE...]: submits a run into $cluster_dir/work/NAME; its job is $job.
train() {
    local name=$1 sbatch=()
    shift
    while (($#)) && [[ $1 != -- ]]; do sbatch+=("$1") && shift; done
    (($#)) && shift
    job=$(cluster_submit --nodes=4 --ntasks-per-node=2 --output="$name.log" "${sbatch[@]}" "$root/slurm/train.sbatch" \
        "$root/configs/tiny.yaml" data.files=clips.h5 train.out="$name" train.steps=$steps train.checkpoint_every=5 \
        train.batch=8 train.microbatch=1 "$@") || fail "sbatch refuses $name"
}

at_step() { # NAME STEP: the run has come that far
    grep -q "^{\"step\":$2," "$1"/metrics.jsonl
}
reach() { cluster_until 30 at_step "$1" "$2" || fail "$1 does not reach step $2"; }

losses() { # of every step, to the last digit
    sed -nE 's/^\{"step":([0-9]+),("loss":.*,"grad_norm":[^,]*),.*/\1 \2/p' "$1/metrics.jsonl"
}

said() { # NAME WORDS: the run's log has them
    grep -q -- "$2" "$1.log" || fail "$1 does not say '$2'"
}

# ends NAME SECONDS RESTARTS: completed after so many restarts (a pattern), with the losses of $reference.
ends() {
    cluster_until "$2" cluster_finished "$job" || fail "$1 does not end"
    cluster_is "$job" JobState COMPLETED || fail "$1 ends as $(cluster_job "$job" JobState)"
    [[ $(cluster_job "$job" Restarts) == $3 ]] || fail "$1 was restarted $(cluster_job "$job" Restarts) times, not $3"
    [[ $(losses "$1" | wc -l) == "$steps" ]] || fail "$1 has not every step once"
    diff <(losses "$reference") <(losses "$1") || fail "$1 has other losses than a run never stopped"
    [[ -s $1/step-$(printf %08d $steps).h5 ]] || fail "$1 has no last checkpoint"
    cluster_until 30 cluster_empty || fail "$1 leaves ranks behind"
}

talkies() { # ranks now running
    readlink /proc/[0-9]*/exe | grep -cxF "$TALKIE"
}
cluster_empty() { [[ $(talkies) == 0 ]]; }

# ---- cases -------------------------------------------------------------------------------------

case_reference() {
    train reference
    ends reference 60 0
    said reference ' 1 thread a rank'
}

# Each rank has the cores the job asked for.
case_threads() {
    train threads --ntasks-per-node=1 --cpus-per-task=2 -- train.steps=2
    cluster_until 30 cluster_finished "$job" || fail 'threads does not end'
    said threads ' 2 threads a rank'
}

case_usr1() { # what Slurm sends ahead of the time limit
    train usr1
    reach usr1 10
    cluster_on hd scancel --signal=USR1 "$job"
    ends usr1 60 1
    said usr1 'stopped on request'
}

case_term() {
    train term
    reach term 10
    cluster_on hd scancel --signal=TERM "$job"
    ends term 60 1
    said term 'stopped on request'
}

case_preempted() {
    local low
    train preempted
    low=$job
    reach preempted 10
    job=$(cluster_submit -p high --nodes=5 --exclusive --output=high.log --wrap 'sleep 1')
    cluster_until 40 cluster_is "$job" JobState COMPLETED || fail 'the job of higher priority does not run'
    job=$low
    ends preempted 60 1
    said preempted 'stopped on request'
}

# Cancelled is cancelled, and the same command goes on.
case_cancelled() {
    train cancelled
    reach cancelled 10
    cluster_on hd scancel "$job"
    cluster_until 40 cluster_finished "$job" || fail 'cancelled does not end'
    cluster_until 30 cluster_empty || fail 'cancelled leaves ranks behind'
    cluster_is "$job" JobState CANCELLED || fail "a cancelled job is $(cluster_job "$job" JobState)"
    train cancelled
    ends cancelled 60 0
}

# 4 MB/s to one of the hosts. Each step brings it the gradients or weights of most ranks, 200 kB and more.
case_slow_link() {
    cluster_slow nn2 32mbit || fail 'tc cannot slow a link'
    train slow_link
    ends slow_link 90 0
    cluster_quick nn2
    sed -nE 's/.*"total":([0-9.e-]+).*/\1/p' slow_link/metrics.jsonl |
        awk '{ sum += $1 } END { exit sum < 0.05 * NR }' || fail 'the slow link slows nothing'
}

# A host behind a slow link is named before step 1, and the job ends with preflight's exit code.
case_preflight() {
    cluster_slow nn3 32mbit || fail 'tc cannot slow a link'
    PREFLIGHT=1 train preflight -- preflight.seconds=0.02 preflight.mib=1 preflight.memory=1 preflight.side=64
    cluster_until 90 cluster_finished "$job" || fail 'preflight does not end'
    cluster_quick nn3
    cluster_is "$job" JobState FAILED || fail "a slow host makes the job $(cluster_job "$job" JobState)"
    cluster_is "$job" ExitCode 1:0 || fail "preflight ends the job with $(cluster_job "$job" ExitCode), not 1:0"
    said preflight 'nn3.* of the median'
    [[ ! -e preflight ]] || fail 'a run was begun after all'
}

# lost NAME HOST: a job on nn1..nn4 loses that host, whose ranks run on, cut off but for the files. The others
# give way to a restart on the spare; the orphans find themselves fenced, say so and end.
lost() {
    train "$1"
    reach "$1" 10
    cluster_cut "$2"
    ends "$1" 90 1
    cluster_mend "$2"
    cluster_until 60 cluster_idle || fail "$2 does not come back"
    diff <(losses reference) <(losses "$1") || fail "orphans of $1 wrote after all"
}
case_lost_last() { lost lost_last nn4; }
case_lost_first() { # the host of rank 0, which owns the run, and of srun, which hears the orphans
    lost lost_first nn1
    said lost_first 'rank 0: fenced: another run has taken lost_first over'
    said lost_first 'rank 1: fenced'
}

# Slurm counts whole minutes.
case_time_limit() {
    train long_reference -- train.batch=1024
    reference=long_reference
    ends long_reference 400 0
    train time_limit --time=1 --signal=USR1@30 -- train.batch=1024
    ends time_limit 500 '[1-9]'
    said time_limit 'stopped on request'
    reference=reference
}

# A long step: between TERM and KILL (KillWait, here 8 s) there is time for it and its checkpoint.
case_cancelled_long() {
    train cancelled_long -- train.batch=256 train.steps=40
    reach cancelled_long 1
    cluster_on hd scancel "$job"
    cluster_until 40 cluster_finished "$job" || fail 'cancelled_long does not end'
    said cancelled_long 'stopped on request'
}

case_sampled() {
    local n
    for n in 0 1; do
        printf 'checkpoint: reference\nseed: %d\noutput: clip%d\nshots:\n  - seconds: 1\n    prompt: red ball\n' $n $n >board$n.yaml
    done
    job=$(cluster_submit --array=0-2 --nodes=2 --ntasks-per-node=2 --output=sampled-%a.log "$root/slurm/sample.sbatch" board0.yaml \
        board1.yaml sample.steps=2) || fail 'sbatch refuses the array'
    cluster_until 60 cluster_quiet || fail 'the array does not end'
    [[ -s clip0.mp4 && -s clip1.mp4 ]] || fail 'clips are missing'
    grep -q 'has no file' sampled-2.log || fail 'a job without a file is not told so'
}

served_windows() { [[ $(find served -name '*.window') ]]; }

# Two workers of a spool, told of their time limit amid their jobs: they hand them back, come again, and all clips
# are those of talkie sample.
case_served() {
    local n s
    mkdir -p served/new
    for n in 0 1 2; do
        {
            printf 'seed: %d\nsample: {steps: 8, window: 1}\nshots:\n' $n
            for s in 1 2 3 4 5 6 7 8; do printf '  - {seconds: 1, prompt: ball %d}\n' $s; done
        } >served/new/board$n.yaml
    done
    "$TALKIE" sample served/new/board1.yaml checkpoint=reference -o straight >served.log 2>&1 || fail 'no clip to compare'
    job=$(cluster_submit --array=0-1 --output=served-%a.log "$root/slurm/serve.sbatch" served checkpoint=reference \
        serve.lease=5 serve.poll=0.2) || fail 'sbatch refuses the workers'
    cluster_until 60 served_windows || fail 'no window is made'
    cluster_on hd scancel --signal=USR1 "$job"
    cluster_until 120 cluster_quiet || fail 'the workers do not end'
    cat served-*.log >served.log
    said served 'stopped on request'
    said served 'windows were finished by an earlier run'
    # Both were asked amid jobs. The first one's number is the array's too: asked by that alone, Slurm answers for all.
    [[ $(cluster_on hd scontrol show job "$job" -o | grep -c ' Restarts=1 ') == 2 ]] || fail 'not each worker came again, once'
    [[ $(ls served/done | xargs) == 'board0 board1 board2' ]] || fail "done are $(ls served/done | xargs)"
    cmp straight.mp4 served/done/board1/board1.mp4 || fail 'another clip than that of talkie sample'
    [[ -z $(ls -A served/running served/waiting served/workers | grep -v :) ]] || fail 'something is left in the spool'
}

cases=(threads preflight sampled served usr1 preempted cancelled slow_link lost_first)
if [[ $* == all ]]; then
    cases+=(term cancelled_long lost_last time_limit)
elif (($#)); then
    cases=("$@")
fi

cluster_up || fail 'the cluster does not come up'
cd "$cluster_dir/work" || exit 1
"$TALKIE" data world "$root/configs/tiny.yaml" -o clips.h5 >/dev/null 2>&1 || fail 'no clips'
for name in reference "${cases[@]}"; do
    begin=$SECONDS
    "case_$name"
    cluster_until 30 cluster_idle || fail "$name leaves hosts that are not idle"
    printf '%-14s ok  %3d s\n' "$name" $((SECONDS - begin))
done
