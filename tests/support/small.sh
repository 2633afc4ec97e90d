# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by test scripts that start ranks: a directory of their own, which goes when they end, one
# thread a rank, and the config of a run that takes seconds.
#
#     RANKS=2
#     . "$(dirname "$0")/../support/small.sh"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
talkie=$(realpath "${BUILD:-build}")/talkie
faulty=$(realpath "${BUILD:-build}")/tests/support/faulty
. "$root/scripts/env.sh" "$RANKS"
export OMP_NUM_THREADS=1 ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
json=$(realpath "${BUILD:-build}")/tests/support/json
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# Ends the test, with the output of the last command, which is in `out`.
fail() {
    cat out >&2
    echo "$1" >&2
    exit 1
}

# tells FILE PATH VALUE...: a JSON file has these values in these places (tests/support/json.c), or none.
tells() {
    local file=$1 value
    shift
    while (($#)); do
        value=$("$json" "$file" "$1" 2>/dev/null) || value=none
        [[ $value == "$2" ]] || fail "$file: $1 is $value, not $2"
        shift 2
    done
}

cat >run.yaml <<'YAML'
model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20, text_channels: 8,
  freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2, video_channels: 8, audio_channels: 8}
media: {width: 16, height: 16, fps: 4, sample_rate: 4000}
codec: {patch_frames: 2, patch_size: 8, video_channels: 8, audio_hop: 400, audio_channels: 8, fit_clips: 4}
world: {clips: 6, seconds: 1, max_shots: 2}
parallel: {threads: 1}
data: {files: [clips.h5]}
preflight: {slow: 0, seconds: 0.01, mib: 1, memory: 2, side: 64}
train: {steps: 1, batch: 2, microbatch: 1, out: run}
YAML

# The model of run.yaml, in `run`, of clips in clips.h5.
make_model() {
    { "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
}
