#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A replica that fails in eval ends the others within seconds, however much there is left to do: one
# message, which names the rank, the right exit code and no report. What is asked for and cannot be
# done is said, not left out.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
export OMPI_MCA_odls_base_sigkill_timeout=0
SECONDS_AT_MOST=30
[[ -z ${SAN:-} ]] || SECONDS_AT_MOST=90

{
    "$faulty" 0 none 0 data world run.yaml -o clips.h5
    "$faulty" 0 none 0 train run.yaml
} >out 2>&1 || fail "the inputs cannot be made"
mpirun -n 2 "$faulty" 0 count 0 eval run.yaml eval.clips=4 eval.shown=12 sample.steps=2 >out 2>&1 || fail "eval fails by itself"
cp out counts
rm run/eval.json

for rank in 0 1; do
    allocations=$(sed -nE "s/^rank $rank: ([0-9]+) allocations, .*/\1/p" counts)
    code=0 begin=$SECONDS
    timeout -k 5 $SECONDS_AT_MOST mpirun -n 2 "$faulty" $rank alloc $((allocations * 3 / 4)) \
        eval run.yaml eval.clips=1000000 eval.shown=12 sample.steps=2 >out 2>&1 || code=$?
    took=$((SECONDS - begin))
    [[ $code == 3 ]] || fail "rank $rank fails: exit code $code after $took s, not 3"
    [[ $(grep -c '^talkie: ' out) == 1 ]] || fail "rank $rank fails: not one message"
    grep -q "^talkie: rank $rank: out of memory" out || fail "rank $rank is not named"
    [[ ! -e run/eval.json ]] || fail "a report was written"
    echo "rank $rank: all ended after $took s"
done

# Where the replica is all ranks, one of which films the truth and judges it.
whole=(eval run.yaml eval.clips=12 eval.pictures=0 eval.shown=12 sample.steps=1 parallel.tensor=2)
mpirun -n 2 "$faulty" 0 count 0 "${whole[@]}" >out 2>&1 || fail "eval of two tensor ranks fails by itself"
rm run/eval.json
allocations=$(sed -nE "s/^rank 0: ([0-9]+) allocations, .*/\1/p" out)
for percent in 84 87 90; do
    code=0
    timeout -k 5 $SECONDS_AT_MOST mpirun -n 2 "$faulty" 0 alloc $((allocations * percent / 100)) "${whole[@]}" >out 2>&1 || code=$?
    [[ $code == 3 ]] || fail "the rank that films the truth fails: exit code $code, not 3"
    grep -q "^talkie: rank 0: out of memory" out || fail "the rank that films the truth is not named"
    [[ ! -e run/eval.json ]] || fail "a report was written"
done

for asked in "media.fps=5" "media.width=52" "media.sample_rate=16000"; do
    code=0
    "$faulty" 0 none 0 eval run.yaml eval.clips=1 eval.shown=12 sample.steps=1 "$asked" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "$asked: exit code $code, not 2"
    grep -q "^talkie: .*media" out || fail "$asked: not said"
done
"$faulty" 0 none 0 eval run.yaml eval.clips=1 eval.shown=12 sample.steps=1 media.width=24 -o wide.json >out 2>&1 ||
    fail "pictures of another size"
grep -q '"width": 24' wide.json || fail "the report does not say which size they had"
