#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The memory that clips of several lengths take, made by a minute model in one step without guidance: what
# is left is what grows with length, if anything does. Pictures and latents are 12 KiB a frame each, so that
# whoever kept either of them would be found out within a minute of clip. Then the same of its remix, whose first shot
# is made anew and whose other rows are given: of its latents, and of the film alone, which is encoded.
#
#     scripts/long.sh SECONDS...      a line a clip: seconds, frames, MiB at the most, MiB of its remix, of the film's
#
# Seconds are multiples of 4, a window. $TALKIE: the program.
set -euo pipefail
talkie=$(realpath "${TALKIE:-build/talkie}")
. "$(dirname "$0")/env.sh" 1
export OMP_NUM_THREADS=1
WINDOW=4 FPS=8
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# MiB at the most of the run whose words lie in `out`.
memory() { sed -n 's/.*seconds of clip in .* at most \([0-9.]*\) MiB.*/\1/p' out; }

# told COMMAND...: its words go to `out`, and to the user where it fails.
told() {
    "$@" >out 2>&1 || { cat out >&2 && exit 1; }
}

cat >run.yaml <<YAML
model: {hidden: 24, heads: 2, head_dim: 12, layers: 1, refiner_layers: 1, ffn: 20, text_channels: 8,
  freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2, video_channels: 96, audio_channels: 8}
media: {width: 64, height: 64, fps: $FPS, sample_rate: 4000}
codec: {patch_frames: 2, patch_size: 8, video_channels: 96, audio_hop: 400, audio_channels: 8, fit_clips: 4}
world: {clips: 4, seconds: $WINDOW, max_shots: 2}
parallel: {threads: 1}
data: {files: [clips.h5]}
train: {steps: 1, batch: 2, microbatch: 1, out: run}
YAML
told "$talkie" data world run.yaml -o clips.h5
told "$talkie" train run.yaml

for seconds; do
    {
        echo "{checkpoint: run, sample: {steps: 1, guidance: 1}, shots: ["
        for ((i = 0; i < seconds / WINDOW; i++)); do echo "{seconds: $WINDOW, prompt: a ball of number $((i % 7))},"; done
        echo ']}'
    } >story.yaml
    told "$talkie" sample story.yaml -o clip
    most=$(memory)
    echo "{checkpoint: run, sample: {steps: 1, guidance: 1}, remix: {clip: clip.mp4, shots: [0]}}" >remix.yaml
    told "$talkie" sample remix.yaml -o remix
    grep -q 'of clip.mp4, from its latents' out || { cat out >&2 && exit 1; }
    again=$(memory)
    rm clip.latents
    told "$talkie" sample remix.yaml -o remix
    ! grep -q 'from its latents' out || { cat out >&2 && exit 1; }
    echo "$seconds $((seconds * FPS)) $most $again $(memory)"
    rm -f clip.* remix.*
done
