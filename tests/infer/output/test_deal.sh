#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# Storyboards are dealt out: while one replica works far longer than the communicator's time-out, the
# others make all the rest and wait for it. One that is stopped meanwhile is found, and named. What is
# made does not depend on who made it.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
talkie=$(realpath "${BUILD:-build}")/talkie
. "$root/scripts/env.sh" 2
export OMP_NUM_THREADS=1 TALKIE_COMM_TIMEOUT=2 ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
LONG=5 # seconds that the long storyboard takes
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    cat out >&2
    echo "$1" >&2
    exit 1
}

cat >run.yaml <<'YAML'
model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20, text_channels: 8,
  freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2, video_channels: 8, audio_channels: 8}
media: {width: 16, height: 16, fps: 4, sample_rate: 4000}
codec: {patch_frames: 2, patch_size: 8, video_channels: 8, audio_hop: 400, audio_channels: 8, fit_clips: 4}
world: {clips: 6, seconds: 1, max_shots: 2}
data: {files: [clips.h5]}
train: {steps: 1, batch: 2, microbatch: 1, out: run}
YAML
board() { # name, seed, steps, shots: each fills the window
    local shots
    shots=$(for ((i = 0; i < $4; i++)); do echo -n '{seconds: 1, prompt: a ball}, '; done)
    echo "{checkpoint: run, seed: $2, sample: {steps: $3, window: 1}, shots: [${shots%, }]}" >"$1.yaml"
}
{ "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
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

# Again; when the short ones are done, the rank that works is stopped.
rm -r clips
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
