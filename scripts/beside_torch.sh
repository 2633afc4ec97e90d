#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A training step of ours beside the same model's in PyTorch, on this machine's processor, one after the other: seconds,
# and ours over theirs, eager and compiled.
#
#     scripts/beside_torch.sh [CONFIG.yaml] [key=value ...]      default configs/world.yaml; keys of talkie's options
#
# Environment: TALKIE (program, default build/talkie), PYTHON (one that has torch, default python3), THREADS (default: all
# cores), DOCUMENTS (clips of a step, default 4), STEPS (of which the median is taken, default 7), PRECISION (fp32 or bf16,
# default fp32). Nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."

TALKIE=${TALKIE:-build/talkie}
PYTHON=${PYTHON:-python3}
THREADS=${THREADS:-$(nproc)}
DOCUMENTS=${DOCUMENTS:-4}
STEPS=${STEPS:-7}
PRECISION=${PRECISION:-fp32}
config=configs/world.yaml
if (($#)) && [[ $1 != *=* ]]; then
    config=$1
    shift
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=scripts/env.sh
. scripts/env.sh 1

# All clips are alike in picture and sound; their captions differ by some rows.
"$TALKIE" data world "$config" -o "$work/clips.h5" world.clips=32 world.max_shots=2 codec.fit_clips=32 2>"$work/said" ||
    { cat "$work/said" && exit 1; }
"$TALKIE" train "$config" data.files="[$work/clips.h5]" data.check=[] train.out="$work/run" train.steps=$((STEPS + 3)) \
    train.batch="$DOCUMENTS" train.microbatch="$DOCUMENTS" train.check_every=0 train.precision="$PRECISION" \
    parallel.threads="$THREADS" device=cpu train.memory=0 tasks.text=1 tasks.{continue,keyframe,picture_to_sound,sound_to_picture,span,references}=0 "$@" >"$work/said" 2>&1 || { cat "$work/said" && exit 1; }

read -r seconds rows flop gemm < <("$PYTHON" - "$work/run/metrics.jsonl" <<'END'
import json, statistics, sys
steps = [json.loads(line) for line in open(sys.argv[1])][3:]
of = lambda key: statistics.median(s[key] for s in steps)
took = statistics.median(s["seconds"]["total"] for s in steps)
print(took, round(of("rows")), of("flops_per_s") * took, of("gemm_fraction"))
END
)
shape=$("$TALKIE" data info "$work/clips.h5" | sed -nE 's/^ +[0-9]+x[0-9]+x[0-9]+: [0-9]+, ([0-9]+) x ([0-9]+) x ([0-9]+), ([0-9]+) x ([0-9]+)$/\1 \2 \3 \4 \5/p')
read -r frames high wide stretches channels <<<"$shape"
video=$((frames * high * wide)) audio=$((stretches * channels))
text=$((rows / DOCUMENTS - video - audio))

theirs() { # compile: 0 or 1
    OMP_NUM_THREADS=$THREADS "$PYTHON" scripts/torch_step.py step "$work/run/config.yaml" device=cpu precision="$PRECISION" compile="$1" \
        documents="$DOCUMENTS" video=$video audio=$audio text=$text steps="$STEPS" | tee -a "$work/theirs" |
        sed -nE 's/.*step ([0-9.]+) ms.*/\1/p'
}
eager=$(theirs 0)
compiled=$(theirs 1)
sed 's/^/    /' "$work/theirs"
awk -v ours="$seconds" -v eager="$eager" -v compiled="$compiled" -v rows="$rows" -v flop="$flop" -v gemm="$gemm" 'BEGIN {
    printf "talkie: step %.1f ms, %d rows, %.4g FLOP, %.2f of the fp32 GEMM ceiling\n", 1e3 * ours, rows, flop, gemm
    printf "talkie over eager PyTorch %.2f, over compiled %.2f\n", 1e3 * ours / eager, 1e3 * ours / compiled }'
