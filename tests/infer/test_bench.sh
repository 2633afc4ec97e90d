#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# bench measures its ceiling by another program on the run's threads, and does not believe a figure
# above it. A pipeline's idle time stands beside what the schedules promise.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
program=$(realpath "${TALKIE:-build/talkie}")
config=$PWD/configs/tiny.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$program" "$work/talkie" # which looks for the other program beside itself
cd "$work" || exit 1
failed=0

ceiling() { # SCRIPT
    printf '#!/bin/sh\n%s\n' "$1" >gemm_ceiling
    chmod +x gemm_ceiling
}

check() { # WANTED-EXIT-CODE WORDS
    ./talkie bench "$config" data.files=clips.h5 parallel.threads=2 train.steps=2 sample.steps=2 >said 2>&1
    local code=$?
    ((code == $1)) && grep -q -- "$2" said && return
    echo "exit $code, wanted $1 and '$2':"
    sed 's/^/    /' said
    failed=$((failed + 1))
}

./talkie data world "$config" -o clips.h5 >said 2>&1 || { cat said; exit 1; }

# The threads of the run are those of the ceiling.
ceiling 'echo "$1" >>threads; echo 1e15'
./talkie bench "$config" data.files=clips.h5 parallel.threads=2 sample.steps=2 >said 2>&1
[[ $(sort -u threads) == 2 ]] || { echo "the ceiling was measured on $(sort -u threads) threads, not 2"; failed=1; }

# Operators: what they took one by one is what they took in all, which is no more than the step.
awk '
    $1 == "operators" { all = $2; step = $7 }
    $4 == "calls" && $6 == "ms" { sum += $5; n[$1 " " $2] = $3 }
    END {
        d = sum - all
        exit !(all > 0 && all <= step && d * d < 0.01 && n["linear forward"] == n["linear backward"] &&
            n["attention backward"] > 0 && n["adamw forward"] > 0)
    }' said || { echo "operators do not add up:"; sed 's/^/    /' said; failed=1; }

# Four microbatches on two stages: idle a fifth of the time, a ninth, a thirteenth if all costs the same. The
# times themselves depend on what else the machine does; stages of an even cut idle the more the more there are.
ceiling 'echo 1e15'
. "$OLDPWD/scripts/env.sh" 2
mpirun -n 2 ./talkie bench "$config" data.files=clips.h5 model.layers=4 parallel.pipeline=2 parallel.threads=1 \
    train.microbatch=1 sample.steps=2 >said 2>&1
while read -r schedule unit; do
    awk -v name="$schedule" -v unit="$unit" '
        $1 == name && NF == 11 {
            good = $2 > 0 && $4 > 0 && $6 > 0 && $8 == unit
            for (i = 7; i <= NF; i++) if (!($i ~ /^[0-9.]+%$/) || $i + 0 <= 0 || $i + 0 >= 100) good = 0
            if ($10 + 0 >= $11 + 0) good = 0
        }
        END { exit !good }' said && continue
    echo "bench says nothing sensible of $schedule, or not that $unit of it is idle:"
    sed 's/^/    /' said
    failed=$((failed + 1))
done <<END
1f1b 20.0%
interleaved 11.1%
zb-h1 7.7%
END

# Two ranks with a branch of guidance each: the fuller one has not much more than half of the
# work, and together they do what one does.
awk '$1 == "branches" {
        good = $2 > 0 && $9 > 0 && $18 > 0 && $28 > 0 && $26 < 0.7 * $30 && $26 + $28 > 0.99 * $30 && $40 > 0
    }
    END { exit !good }' said || { echo "bench says nothing sensible of branches:"; sed 's/^/    /' said; failed=1; }

# Rows of tensor ranks, in equal shares, in unequal ones, and padded.
mpirun -n 2 ./talkie bench "$config" data.files=clips.h5 parallel.tensor=2 parallel.threads=1 train.steps=2 \
    sample.steps=2 >said 2>&1
awk '$1 == "gathers" { good = $2 > 0 && $8 > 0 && $18 > 0 && $23 > 0 } END { exit !good }' said ||
    { echo "bench says nothing sensible of gathers:"; sed 's/^/    /' said; failed=1; }

ceiling 'echo 1'
check 6 'train: .* of a ceiling of 1. More than all cannot be'
ceiling 'exit 1'
check 4 'gemm_ceiling said no rate'
rm gemm_ceiling
check 4 'cannot start .*gemm_ceiling'

# The real one, as far as a busy machine lets its number be trusted: it is there and positive.
rate=$("${program%/*}/gemm_ceiling" 1 1 64 64 64) || failed=1
awk -v r="$rate" 'BEGIN { exit !(r > 1e6) }' || { echo "gemm_ceiling says '$rate'"; failed=1; }
((failed == 0))
