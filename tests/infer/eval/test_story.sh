#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# Clips of the world that are longer than what the model makes at once are evaluated whole, sampled
# shot by shot: stories of eight shots are asked what they began with. Told again and again, they are asked how
# far they have drifted. A shot must fit, though.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
make_model

story() { # KEY=VALUE...
    "$talkie" eval run world.seconds=8 world.max_shots=8 eval.clips=3 eval.shown=10 sample.steps=2 -o story.json "$@"
}
story sample.window=2 >out 2>&1 || fail "a story cannot be evaluated"
grep -q '"set_in_story"' story.json || fail "no story of eight shots was counted"
! grep -q '"last"' story.json || fail "a story was told again that was not to be"
rm story.json
story sample.window=2 eval.clips=2 sample.steps=1 eval.long=9 >out 2>&1 || fail "a story cannot be told again"
awk '/ steps / { split($3, n, "/"); told++; if (n[1] > n[2]) exit 1; if ($2 == "100%" && n[1] == n[2]) ended++ }
    END { exit !(told && ended) }' out || fail "its progress is none of its steps: $(grep ' steps ' out)"
sed -n '/"drift": {/,/^    }/p' story.json >drift
grep -q '"last"' drift && grep -q '"low"' drift || fail "drift is not told with how sure it is"
grep -Eq 'colours of a shot that is told again .* of 16 +100% \(81-100\) of 16 +' out ||
    fail "the world's own drifts"
rm story.json
code=0
story >out 2>&1 || code=$?
[[ $code == 2 ]] || fail "exit code $code, not 2"
grep -q 'longer than what this model makes at once; the longest possible shot is 1 seconds' out ||
    fail "a shot that does not fit is not named"
[[ ! -e story.json ]] || fail "a report was written"
