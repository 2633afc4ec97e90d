#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 480
# Each rank in turn fails alone, in every command of the table: at some allocation, at a call of
# its device, or at the opening of a file. The others must not wait for it: within seconds there is one message, which names
# the rank or the file, and the right exit code, and nothing half-written is left.
#
# Commands and their arguments come from the table itself. An argument of a new kind needs a file of
# its name below.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
faulty=$(realpath "${BUILD:-build}")/tests/support/faulty
RANKS=2 SECONDS_AT_MOST=30
. "$root/scripts/env.sh" $RANKS
# A rank that fails ends the run; mpirun need not wait a second before it kills the others.
export OMPI_MCA_odls_base_sigkill_timeout=0
export OMP_NUM_THREADS=1 ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/in"
cd "$dir/in"
out=$dir/out

fail() {
    [[ -e $out ]] && cat "$out" >&2
    echo "$1" >&2
    exit 1
}

# The ceiling that bench holds its speed against is not the matter here; measuring it takes seconds.
printf '#!/bin/sh\necho 1e15\n' >"${faulty%/*}/gemm_ceiling"
chmod +x "${faulty%/*}/gemm_ceiling"

# Files that arguments name ---------------------------------------------------------------------------
cat >CONFIG.yaml <<'YAML'
model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20, text_channels: 8,
  freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2, video_channels: 8, audio_channels: 8}
media: {width: 16, height: 16, fps: 4, sample_rate: 4000}
codec: {patch_frames: 2, patch_size: 8, video_channels: 8, audio_hop: 400, audio_channels: 8, fit_clips: 4}
world: {clips: 6, seconds: 1, max_shots: 2}
import: {clip_seconds: 1, min_seconds: 0.5, bad: stop}
parallel: {threads: 1, tensor: 2}
data: {files: [FILE.h5]}
preflight: {slow: 0, seconds: 0.01, mib: 1, memory: 2, side: 64}
train: {steps: 2, batch: 2, microbatch: 1, checkpoint_every: 1, out: CHECKPOINT}
sample: {steps: 1}
eval: {clips: 2, shown: 12}
YAML
cat >STORYBOARD.yaml <<'YAML'
checkpoint: CHECKPOINT
shots: [{seconds: 1, prompt: a red ball}]
sample: {steps: 1}
provenance: {key: keys/key.pem, chain: keys/chain.pem}
YAML
cp STORYBOARD.yaml second.yaml
echo '{checkpoint: CHECKPOINT, storyboards: [STORYBOARD.yaml, second.yaml]}' >JOBS.yaml
cp "$root/tests/golden/odd.h5" GOLDEN.h5
cp "$root/tests/media/big-buck-bunny.mp4" MEDIA
cp MEDIA MEDIA-2
cp MEDIA FILM.mp4
{
    "$faulty" 0 none 0 data world CONFIG.yaml -o FILE.h5 &&
        mpirun -n $RANKS "$faulty" 0 none 0 train CONFIG.yaml train.steps=1 &&
        "$faulty" 0 none 0 convert CHECKPOINT -o FILE.safetensors &&
        mkdir keys && "$root/tests/support/authority.sh" keys &&
        "$faulty" 0 none 0 sample STORYBOARD.yaml -o FILE.mp4
} >"$out" 2>&1 || fail "the inputs cannot be made"
rm FILE.png FILE.json
{
    openssl genpkey -algorithm ed25519 -out sign.pem && openssl pkey -in sign.pem -pubout -out sign.pub &&
        cp "$root/tests/media/big-buck-bunny.mp4" face.mp4 &&
        "$root/tests/support/tone.sh" >voice.wav &&
        "$faulty" 0 none 0 cameo enroll ada face.mp4 voice.wav consent.{store=STORE,registrar=sign.pub,sign=sign.pem}
} >"$out" 2>&1 || fail "nobody is enrolled"
mkdir CLIPS && cp FILE.mp4 CLIPS/
cp -r CHECKPOINT RUN
mkdir -p SPOOL/{new,taking,waiting,running} # as a worker leaves it

# The words of a row's arguments as files, without an output that need not be given; of alternatives
# the first one, or the last one.
words_of() { # which arguments
    local word pick output=''
    for word in ${2/\[-o*\]/}; do
        word=${word//[\[\]]/}
        [[ $word == -o ]] && { output=yes; echo -o; continue; }
        [[ $output ]] && { output=; echo "new-$word"; continue; }
        pick=${word%%|*}
        [[ $1 == last ]] && pick=${word##*|}
        word=${pick%...}
        [[ -e $word ]] || fail "the arguments '$2' name $word, of which this test has no example"
        echo "$word"
        [[ $pick == "$word" ]] && continue
        if [[ -e $word-2 ]]; then echo "$word-2"; else echo "$word"; fi
    done
}

# faulted RANK KIND N WORDS...: the exit code, in a fresh copy of the files; output into $out.
faulted() {
    local code=0
    rm -rf "$run"
    cp -r "$dir/in" "$run"
    cd "$run"
    local most=$SECONDS_AT_MOST
    [[ $2 != sweep ]] || most=$((7 * most)) # so many runs of a command in one process
    timeout -k 5 $most mpirun -n $RANKS "$faulty" "$@" >"$out" 2>&1 || code=$?
    echo $code
}

# judge WHAT RANK CODE CODES: how the last run ended
judge() {
    local what=$1 rank=$2 code=$3 codes=$4 culprit
    culprit="rank $rank: $(printf '|%s' "${words[@]}")"
    [[ " $codes " == *" $code "* ]] || fail "$what: exit code $code, not one of: $codes"
    [[ $(grep -c '^talkie: ' "$out") == 1 ]] || fail "$what: not one message"
    grep -qE "$culprit" "$out" || fail "$what: neither the rank nor a file is named"
    runs=$((runs + 1))
}

# expect RANK KIND N CODES WORDS...
# Dealt work goes to whichever rank asks: one that gets none this time does not come to its N-th. Then an
# earlier one fails instead, of which the first is reached by every rank.
expect() {
    local rank=$1 kind=$2 n=$3 codes=$4 code
    shift 4
    code=$(faulted "$rank" "$kind" "$n" "$@")
    while [[ $code == 0 ]] && grep -q '^not reached$' "$out" && ((n > 1)); do
        n=$((n / 2))
        code=$(faulted "$rank" "$kind" "$n" "$@")
    done
    judge "talkie $*, rank $rank, $kind $n" "$rank" "$code" "$codes"
    [[ -z $(find "$run" -name '*.tmp*' -o -name '*.part*') ]] || fail "something was left"
}

# sweep RANK STEP LAST WORDS...: every STEP-th allocation up to LAST fails. Failures that are agreed upon follow each
# other in one process; one that takes the ranks down needs a new one.
sweep() {
    local rank=$1 step=$2 last=$3 n=1 code at
    shift 3
    while ((n <= last)); do
        code=$(faulted "$rank" sweep "$n:$step:$last" "$@")
        at=$(sed -n 's/^at //p' "$out" | tail -n 1)
        runs=$((runs + (${at:-n} - n) / step))
        [[ $code == 0 ]] && return
        judge "talkie $*, rank $rank, allocation ${at:-none}" "$rank" "$code" 3
        n=$((at + step))
    done
}

# All commands with failures on one rank, in files of its own. Of alternatives each rank takes another.
try_rank() {
    local rank=$1 which=first runs=0 name arguments words line allocations calls files code
    local run=$dir/run-$rank out=$dir/out-$rank
    ((rank == 0)) || which=last
    while IFS=$'\t' read -r name arguments <&3; do
        if [[ $name == cameo ]]; then # its first argument is no file
            words=(STORE) line=(cameo list consent.store=STORE)
        else
            mapfile -t words < <(words_of $which "$arguments")
            ((${#words[@]})) || fail "talkie $name: no words for '$arguments'"
            line=($name "${words[@]}")
        fi
        [[ $name != serve ]] || line+=(serve.once=1) # else it waits for jobs
        code=$(faulted "$rank" count 0 "${line[@]}")
        [[ $code == 0 ]] || fail "talkie ${line[*]} fails by itself"
        allocations=$(sed -nE "s/^rank $rank: ([0-9]+) allocations, .*/\1/p" "$out")
        calls=$(sed -nE "s/^rank $rank: .*, ([0-9]+) device calls, .*/\1/p" "$out")
        files=$(sed -nE "s/^rank $rank: .*, ([0-9]+) files/\1/p" "$out")
        sweep "$rank" $((1 + allocations / 6)) "$allocations" "${line[@]}"
        expect "$rank" alloc $((allocations * (1 + rank) / 2)) 3 "${line[@]}"
        ((calls == 0)) || expect "$rank" device $((1 + calls * (1 + rank) / 3)) "3 70" "${line[@]}"
        ((files == 0)) || expect "$rank" open $((rank ? files : 1)) "2 4" "${line[@]}"
    done 3< <("$faulty" list)
    ((runs > 40)) || fail "only $runs failures were tried on rank $rank"
    echo "rank $rank: $runs failures"
}

# A disk without room for a checkpoint is found out before the first step.
code=0
mpirun -n $RANKS "$faulty" 0 disk 1000 train CONFIG.yaml train.out=full >"$out" 2>&1 || code=$?
[[ $code == 4 ]] || fail "a full disk ends in exit code $code"
grep -q 'a checkpoint takes .* MB free' "$out" || fail "a full disk is not named"
[[ -z $(ls full) ]] || fail "a run that cannot be saved leaves $(ls full)"

tries=()
for rank in 0 1; do
    try_rank $rank &
    tries+=($!)
done
for try in "${tries[@]}"; do wait "$try"; done
