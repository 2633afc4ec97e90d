#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# eval asks for tasks that give a part of a clip: as many figures of each, and the same on one rank
# and on two; a task that gives nothing is refused by name before any work.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
make_model

asks() { # RANKS FILE KEY=VALUE...
    mpirun -n "$1" "$talkie" eval run eval.clips=2 eval.shown=8 eval.pictures=0 sample.steps=1 -o "$2" "${@:3}"
}
asks 1 one.json eval.tasks=all >out 2>&1 || fail "tasks cannot be asked for"
for task in continue keyframe picture_to_sound sound_to_picture span region; do
    grep -q "^$task: " out || fail "$task has no table"
    grep -q "\"$task\"" one.json || fail "$task is not in the report"
done
grep -q '"chance"' one.json || fail "nothing was judged"
for layout in data tensor; do
    asks 2 "$layout.json" eval.tasks=all "parallel.$layout=2" >out 2>&1 || fail "not on two ranks ($layout)"
    sed -i 's/"parallel": .*//' one.json "$layout.json"
    cmp one.json "$layout.json" >&2 || fail "other figures on two ranks ($layout)"
done

code=0
asks 1 none.json eval.tasks=span,references >out 2>&1 || code=$?
[[ $code == 2 ]] || fail "exit code $code, not 2"
grep -q '"references" is no task that gives a part of a clip: all, continue, keyframe' out || fail "the task is not named"
! grep -q 'judges are shown' out || fail "it is refused after work"
[[ ! -e none.json ]] || fail "a report was written"
