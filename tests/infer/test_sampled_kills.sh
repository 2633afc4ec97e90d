#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 200; waits: mostly
# Workers that sample are killed (kill -9) at any time of theirs: at their start, in steps, between windows, while a clip
# is written. The next one goes on with every window that was finished, and each clip is, bit for bit, the one
# that nobody disturbed.
#
#     test_sampled_kills.sh              a few kills
#     test_sampled_kills.sh N FILE       rounds until N kills; goes on with FILE, where it writes a line a round
set -euo pipefail
want=${1:-4} file=${2:+$(realpath -m "$2")}
RANKS=1
. "$(dirname "$0")/../support/small.sh"

WINDOWS=9 # the first one makes two shots
{
    echo '{seed: 3, sample: {steps: 24, window: 1}, job: {tries: 1000}, shots: ['
    for ((i = 0; i < WINDOWS; i++)); do echo "{seconds: 0.5, prompt: ball $i},"; done
    echo '{seconds: 0.5, prompt: the last}]}'
} >story.yaml
make_model
begin=$(date +%s%N)
"$talkie" sample story.yaml checkpoint=run -o straight >out 2>&1 || fail "no clip to compare"
whole=$((($(date +%s%N) - begin) / 1000000)) # milliseconds
windows() { find spool -name '*.window' | wc -l; }
rm -rf spool && mkdir -p spool/new

# A worker is started and killed within the time that a whole clip takes. What it says it goes on from is all that was
# there, and none of that is lost before the clip is there.
kill_one() { # JOB
    local before worker at
    before=$(windows)
    "$talkie" serve spool checkpoint=run serve.lease=1 serve.once=1 serve.poll=0.05 >out 2>&1 &
    worker=$!
    at=$((100 + RANDOM * whole / 32768))
    sleep "$((at / 1000)).$(printf %03d $((at % 1000)))"
    kill -KILL $worker 2>/dev/null && here=$((here + 1))
    wait $worker 2>/dev/null || true
    if grep -q 'windows were finished by an earlier run' out; then
        grep -q "[ :]$before of $WINDOWS windows were finished" out || fail "it does not go on from $before windows"
        kept=$((kept + before))
    fi
    (($(windows) >= before)) || [[ $(find spool -name "$1.mp4") ]] || fail "of $before windows $(windows) are left"
}

kills=0 round=0 all_kept=0
if [[ $file && -s $file ]]; then
    kills=$(awk '{ n += $3 } END { print n + 0 }' "$file")
    all_kept=$(awk '{ n += $5 } END { print n + 0 }' "$file")
    round=$(awk 'END { print NR }' "$file")
fi
while ((kills < want)); do
    round=$((round + 1)) here=0 kept=0
    RANDOM=$round
    cp story.yaml spool/new/.job && mv spool/new/.job "spool/new/job$round.yaml"
    while [[ ! -d spool/done/job$round ]] && ((kills + here < want || here == 0)); do
        kill_one "job$round"
    done
    "$talkie" serve spool checkpoint=run serve.lease=1 serve.once=1 serve.poll=0.05 >out 2>&1 || fail "the last worker failed"
    [[ -d spool/done/job$round && $(ls spool/done | wc -l) == 1 ]] || fail "job$round is not done, or twice"
    cmp straight.mp4 "spool/done/job$round/job$round.mp4" || fail "another clip after $here kills"
    [[ -z $(ls -A spool/{new,taking,waiting,running,failed,workers} | grep -v :) ]] || fail "something is left"
    [[ $(windows) == 0 ]] || fail "windows of a finished clip are left"
    rm -r "spool/done/job$round"
    kills=$((kills + here)) all_kept=$((all_kept + kept))
    echo "round $round: $here kills, bit-equal, $kept windows gone on from"
    [[ ! $file ]] || echo "round $round $here kills $kept" >>"$file"
done
echo "$kills kills in $round rounds"
((all_kept > 0)) || fail "nobody went on from a window: the kills came too early"
