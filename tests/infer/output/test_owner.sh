#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120; waits: mostly
# Two runs with one output: the second is refused before any work, by a message that names the first, and the
# first loses nothing. Who is dead owns nothing.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"

make_model
{
    echo '{checkpoint: run, seed: 3, sample: {steps: 2, window: 1}, shots: ['
    for i in 1 2 3 4 5 6; do echo "{seconds: 0.5, prompt: ball $i},"; done
    echo '{seconds: 0.5, prompt: the last}]}'
} >story.yaml
windows() { find . -path './clip.windows/*.window' | wc -l; }

# start SETTING...: a run that has a window and is not done, until it may go on.
start() {
    local had
    had=$(windows)
    "$talkie" sample story.yaml -o clip "$@" >first 2>&1 &
    run=$!
    for ((i = 0; i < 2000; i++)); do (($(windows) > had)) && break; sleep 0.01; done
    kill -STOP $run
    (($(windows) > had)) && [[ -e clip.windows/owner ]] || { cp first out && fail "no window is finished in time"; }
}

start sample.steps=40
had=$(windows)
code=0
"$talkie" sample story.yaml -o clip seed=4 >out 2>&1 || code=$?
[[ $code == 2 ]] || fail "a second run of another storyboard ends with $code"
grep -q "output: clip is being made by another run, of story.yaml: host .*, pid $run\\." out || fail "it does not name the first"
! grep -q 'at step' out || fail "it is refused after work"
[[ $(windows) == "$had" ]] || fail "it took windows of the first away"
kill -CONT $run
wait $run || { cp first out && fail "the first fails"; }
[[ -e clip.mp4 && ! -e clip.windows ]] || fail "the first leaves no clip, or windows beside it"

# What is finished is no reason to take away what another makes in its place.
start sample.steps=40 seed=5
had=$(windows)
"$talkie" sample story.yaml -o clip sample.steps=40 >out 2>&1 || fail "what is finished is made again, or refused"
grep -q 'finished already' out || fail "what is finished is made again"
[[ $(windows) == "$had" ]] || fail "a finished clip's run takes another's windows"

# A dead one's is taken over.
kill -KILL $run
wait $run 2>/dev/null || true
[[ -e clip.windows/owner ]] || fail "no trace of the dead one: this tests nothing"
"$talkie" sample story.yaml -o clip seed=6 >out 2>&1 || fail "a dead run's output is not taken over"
[[ ! -e clip.windows ]] || fail "something of the dead one is left"

# A later restart of the same Slurm job does not wait for the earlier one.
SLURM_JOB_ID=77 start sample.steps=40 seed=7
SLURM_JOB_ID=77 SLURM_RESTART_COUNT=1 "$talkie" sample story.yaml -o clip seed=7 sample.steps=40 >out 2>&1 ||
    fail "a restart of the same job is refused"
grep -q 'windows were finished by an earlier run' out || fail "the restart does not go on"
kill -KILL $run
echo "one output, one run"
