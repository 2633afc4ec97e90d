#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240; waits: mostly
# SIGTERM to mpirun: it lets its ranks hear of it after odls_base_sigkill_timeout seconds, kills them as many
# later, and ends with 1. Given the time that scripts/env.sh sets, they write a checkpoint; without, the same
# command still goes on from what was committed. Either way with the losses of a run that nobody stopped.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
talkie=$(realpath "${TALKIE:-build/talkie}")
config=$PWD/configs/tiny.yaml
unset OMPI_MCA_odls_base_sigkill_timeout
. scripts/env.sh 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

fail() { # WORDS
    echo "$1"
    sed 's/^/    /' said
    failed=$((failed + 1))
}

train() { # RUN STEPS [key=value ...]
    exec mpirun -n 2 "$talkie" train "$config" data.files=clips.h5 parallel.tensor=2 train.keep=2 train.out="$1" \
        train.steps="$2" train.checkpoint_every=10 train.constant=1 train.changes=allow "${@:3}" >said 2>&1
}

steps_of() { # RUN
    cat "$1/metrics.jsonl" 2>/dev/null | wc -l
}

losses_of() { # RUN STEPS
    head -n "$2" "$1/metrics.jsonl" | sed -E 's/"lr".*//'
}

newest_of() { # RUN
    local name
    name=$(cd "$1" && ls step-*.h5 | tail -n 1)
    name=${name#step-}
    echo $((10#${name%.h5}))
}

# Sends TERM when the run has made 15 steps, a checkpoint among them; sets `code`.
stop() { # RUN
    train "$1" 1000000 &
    local mpirun=$!
    for ((i = 0; i < 600 && $(steps_of "$1") < 15; i++)); do sleep 0.05; done
    kill -TERM "$mpirun"
    wait "$mpirun"
    code=$?
}

# The run goes on for some steps, as one never stopped would have.
check_goes_on() { # RUN
    local at
    at=$(newest_of "$1")
    (train "$1" $((at + 5))) || fail "$1: does not go on after TERM"
    grep -q "resuming .*step $at of" said || fail "$1: does not go on from its newest checkpoint, step $at"
    (train straight-"$1" $((at + 5))) || fail "$1: a run never stopped fails"
    cmp -s <(losses_of "$1" $((at + 5))) <(losses_of straight-"$1" $((at + 5))) ||
        fail "$1: the losses are not those of a run never stopped"
}

"$talkie" data world "$config" -o clips.h5 >said 2>&1 || { cat said; exit 1; }

stop patient # with the time that env.sh gives
((code == 1)) || fail "mpirun ends with $code, not with its 1"
grep -q 'stopped on request' said || fail "the ranks had time for a checkpoint and did not say that they stopped"
[[ $(newest_of patient) == $(steps_of patient) ]] || fail "the newest checkpoint is not of the last step"
[[ ! -e patient/owner ]] || fail "the run that ended in order still has an owner"
check_goes_on patient

unset OMPI_MCA_odls_base_sigkill_timeout
begin=$SECONDS
stop hasty
((code == 1)) || fail "mpirun ends with $code, not with its 1"
((SECONDS - begin < 60)) || fail "mpirun took $((SECONDS - begin)) s to end"
(($(newest_of hasty) >= 10)) || fail "the checkpoint committed before TERM is gone"
check_goes_on hasty
((failed == 0))
