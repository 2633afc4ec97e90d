#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Whole commands make the same bytes whatever the number of threads they have.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
TALKIE=$(realpath "${TALKIE:-build/talkie}")
# shellcheck source=scripts/env.sh
. "$root/scripts/env.sh" 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMP_WAIT_POLICY=passive # many threads on few cores: nobody spins

# Products wide enough for the library to share among threads, were it left to itself.
cat >tiny.yaml <<'END'
model: {hidden: 64, heads: 4, head_dim: 16, layers: 2, refiner_layers: 1, ffn: 160, rope_freq_dim: 2}
media: {width: 64, height: 48, fps: 8, sample_rate: 8000}
codec: {patch_frames: 4, patch_size: 16, video_channels: 96, audio_hop: 400, audio_channels: 64, fit_clips: 6}
world: {clips: 6, seconds: 2, max_shots: 2}
data: {files: [clips.h5]}
train: {steps: 3, batch: 4, microbatch: 2, warmup: 1, memory: 0.5, out: run}
eval: {clips: 2, shown: 12}
sample: {steps: 2}
END
cat >two.yaml <<'END'
checkpoint: run
sample: {steps: 2}
shots:
  - {seconds: 1, prompt: "wide: a ball"}
  - {seconds: 1, prompt: "close: it"}
END

# walk DIR OMP_NUM_THREADS [key=value]: every command that writes something, in a folder of its own
walk() {
    local dir=$1 threads=$2
    shift 2
    mkdir "$dir"
    (
        cd "$dir"
        cp ../tiny.yaml ../two.yaml .
        export OMP_NUM_THREADS=$threads
        "$TALKIE" data world tiny.yaml -o clips.h5 "$@"
        "$TALKIE" data import tiny.yaml "$root/tests/media/big-buck-bunny.mp4" -o own.h5 "$@"
        "$TALKIE" train tiny.yaml "$@"
        "$TALKIE" sample two.yaml -o two "$@"
        "$TALKIE" eval run -o eval.json "$@"
    ) >"$dir.out" 2>&1 || { cat "$dir.out"; exit 1; }
}
# same DIR DIR: all files, but for what they say of time and memory
same() {
    local file
    sed -i -E 's/"seconds": [0-9.e-]+/"seconds": 0/' {"$1","$2"}/{two,eval}.json
    sed -i -E 's/"(rows_per_s|flops_per_s|gemm_fraction|peak_bytes)":[^,}]+//g; s/"seconds":\{[^}]*\}//' \
        {"$1","$2"}/run/metrics.jsonl
    for file in clips.h5 own.h5 run/step-00000003.h5 two.mp4; do
        [[ -s $1/$file ]] || { echo "no $1/$file"; exit 1; }
    done
    diff -r "$1" "$2" || { echo "these differ between $1 and $2"; exit 1; }
}

# What the library would do by itself, and what talkie does with the cores it finds.
walk alone 1 parallel.threads=1
walk crowd 16 parallel.threads=1
same alone crowd
core=$(taskset -cp $$ | sed -E 's/.*: *([0-9]+).*/\1/')
walk core 1
(taskset -cp "$core" $BASHPID >taskset.out && walk pinned 16)
same core pinned
