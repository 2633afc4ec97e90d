#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The page docs/plan-h3-33b.md, on standard output: layouts of configs/h3-33b.yaml on clusters of three
# sizes, ranked by planned time. Needs no GPU.
#
#     scripts/plan_table.sh [GPUS...]      only the sections of these sizes, without the page's head
set -euo pipefail
cd "$(dirname "$0")/.."
program=${TALKIE:-build/talkie}
declare -A clips=([64]=64 [512]=256 [4096]=1024)

section() { # GPUS
    local command="talkie plan configs/h3-33b.yaml device=cuda plan.search=$1 train.batch=${clips[$1]} attention=own"
    printf '\n## %s GPUs, %s clips a step\n\n`%s`\n\n```\n' "$1" "${clips[$1]}" "$command"
    # shellcheck disable=SC2086 # words of a command
    "$program" ${command#talkie }
    printf '```\n'
}

if (($#)); then
    for gpus; do section "$gpus"; done
    exit
fi
cat <<'END'
# The 33B model on 64, 512 and 4096 H100s, as planned

Written by `make plans`. The model is that of [configs/h3-33b.yaml](../configs/h3-33b.yaml), the
clips 1344 x 768 pixels, 124 frames, with stereo sound: 37,296 rows of video, 416 of sound, 513 of
text. Each layout was gone through by the program itself on a device that computes nothing; bytes are
those that its steps ask for.

**Times are planned, not measured.** They come from the figures of
[configs/machines/h100.yaml](../configs/machines/h100.yaml), of which two are measured (the rate of
the largest bf16 products, and that of copies within the device) and all others assumed, so that all
that rests on them is marked with an asterisk. Attention, more than half of the time, is planned at
the goals of this program's own kernels.

Columns: seconds of a step; model FLOPs over peak; part of the pipeline's time in which stages stand
idle; degrees; schedule, runs of blocks on a stage, clips at once; MiB of the fullest GPU.
END
for gpus in 64 512 4096; do section "$gpus"; done
