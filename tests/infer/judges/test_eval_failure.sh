#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A replica that fails in eval ends the others within seconds, however much there is left to do: one
# message, which names the rank, the right exit code and no report.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
faulty=$(realpath "${BUILD:-build}")/tests/support/faulty
SECONDS_AT_MOST=30
[[ -z ${SAN:-} ]] || SECONDS_AT_MOST=90
. "$root/scripts/env.sh" 2
export OMPI_MCA_odls_base_sigkill_timeout=0 OMP_NUM_THREADS=1
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
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
parallel: {threads: 1}
data: {files: [clips.h5]}
train: {steps: 1, batch: 2, microbatch: 1, out: run}
sample: {steps: 2}
eval: {clips: 4}
YAML
{
    "$faulty" 0 none 0 data world run.yaml -o clips.h5
    "$faulty" 0 none 0 train run.yaml
} >out 2>&1 || fail "the inputs cannot be made"
mpirun -n 2 "$faulty" 0 count 0 eval run.yaml >out 2>&1 || fail "eval fails by itself"
cp out counts
rm run/eval.json

for rank in 0 1; do
    allocations=$(sed -nE "s/^rank $rank: ([0-9]+) allocations, .*/\1/p" counts)
    code=0 begin=$SECONDS
    timeout -k 5 $SECONDS_AT_MOST mpirun -n 2 "$faulty" $rank alloc $((allocations * 3 / 4)) \
        eval run.yaml eval.clips=1000000 >out 2>&1 || code=$?
    took=$((SECONDS - begin))
    [[ $code == 3 ]] || fail "rank $rank fails: exit code $code after $took s, not 3"
    [[ $(grep -c '^talkie: ' out) == 1 ]] || fail "rank $rank fails: not one message"
    grep -q "^talkie: rank $rank: out of memory" out || fail "rank $rank is not named"
    [[ ! -e run/eval.json ]] || fail "a report was written"
    echo "rank $rank: all ended after $took s"
done
