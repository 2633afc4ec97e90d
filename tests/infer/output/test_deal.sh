#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# Storyboards are dealt out: while one replica works far longer than the communicator's time-out, the
# others make all the rest and wait for it. One that is stopped meanwhile is found, and named. What is
# made does not depend on who made it.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
export TALKIE_COMM_TIMEOUT=2
LONG=5 # seconds that the long storyboard takes

board() { # name, seed, steps, shots: each fills the window
    local shots
    shots=$(for ((i = 0; i < $4; i++)); do echo -n '{seconds: 1, prompt: a ball}, '; done)
    echo "{checkpoint: run, seed: $2, sample: {steps: $3, window: 1}, shots: [${shots%, }]}" >"$1.yaml"
}
make_model
for i in 1 2 3 4; do board "short$i" "$i" 2 1; done
board timed 9 3000 1
"$talkie" sample timed.yaml >out 2>&1 || fail "a clip cannot be made"
rate=$(sed -nE 's/^sample .* ([0-9]+)(\.[0-9]+)?\/s .*/\1/p' out | tail -n 1)
board long 5 1000 $((1 + rate * LONG / 1000))
echo '{checkpoint: run, storyboards: [short1.yaml, short2.yaml, short3.yaml, short4.yaml]}' >short.yaml
echo '{checkpoint: run, storyboards: [long.yaml, short1.yaml, short2.yaml, short3.yaml, short4.yaml]}' >jobs.yaml

made_by_0() { grep -c 'seconds of clip in' out || true; } # other ranks do not say what they made

# One rank alone, for comparison.
"$talkie" sample short.yaml >out 2>&1 || fail "one rank fails"
mv clips alone
"$talkie" eval run eval.clips=3 sample.steps=2 -o alone.json >out 2>&1 || fail "eval on one rank fails"

mpirun -n 2 "$talkie" sample jobs.yaml >out 2>&1 || fail "healthy ranks were given up"
made=$(made_by_0)
[[ $made == 1 || $made == 4 ]] || fail "rank 0 made $made clips: whoever has the long one makes no other"
grep -q '5 clips made' out || fail "not all were made"
for i in 1 2 3 4; do
    cmp "alone/short$i.mp4" "clips/short$i.mp4" || fail "a clip depends on who made it"
done
mpirun -n 2 "$talkie" eval run eval.clips=3 sample.steps=2 -o both.json >out 2>&1 || fail "eval fails"
cmp alone.json both.json || fail "figures depend on who measured"

# Again, and the long one is so long that it is not done while this machine is quicker than it was; when the short ones are
# done, the rank that works is stopped.
rm -r clips
board long 5 1000 $((1 + 6 * rate * LONG / 1000))
mpirun -n 2 "$talkie" sample jobs.yaml >out 2>&1 &
run=$!
for ((i = 0; i < 400 && $(ls clips/short?.json 2>/dev/null | wc -l) < 4; i++)); do sleep 0.1; done
busy=0
[[ $(made_by_0) == 4 ]] && busy=1
stopped=
for pid in $(cat /proc/$run/task/*/children); do
    grep -qz "^OMPI_COMM_WORLD_RANK=$busy\$" "/proc/$pid/environ" && stopped=$pid
done
[[ $stopped ]] || fail "no process of rank $busy is found"
sleep 1
kill -STOP "$stopped"
began=$SECONDS code=0
wait $run || code=$?
[[ $code == 5 ]] || fail "exit code $code, not 5"
((SECONDS - began <= 8)) || fail "found after $((SECONDS - began)) s"
grep -q "for world rank $busy on host $(hostname), which has given no sign of life for 2 s" out ||
    fail "the stopped rank is not named"
