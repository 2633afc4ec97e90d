#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 400
# Every command line of the README's "sh" blocks and of the comments at the head of configs and batch
# scripts works in a fresh clone, as it is written and in the order it is written.
#
# So that this takes seconds, the clone's build/talkie is the real program with sizes made small: the
# lines stay as they are, runs are a few steps long. WHOLE=1 bash tests/scripts/test_readme.sh
# leaves sizes alone (half an hour on 2 cores).
# sbatch and srun are stand-ins that start as many ranks as they were asked for under mpirun; of an array the first and
# the last task.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=scripts/env.sh
. scripts/env.sh 8
program=$(realpath "${TALKIE:-build/talkie}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
clone=$work/clone stubs=$work/stubs
mkdir -p "$clone/build" "$stubs"
git ls-files -z | tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -xf - -C "$clone"

script() { # FILE, from standard input
    cat >"$1"
    chmod +x "$1"
}

small='case "$1 ${2:-}" in
    "data world") set -- "$@" world.clips=16 codec.fit_clips=16 ;;
    "train "*) set -- "$@" train.steps=4 train.checkpoint_every=2 ;;
    "sample "* | "serve "*) set -- "$@" sample.steps=1 ;;
    "eval "*) set -- "$@" eval.clips=2 eval.shown=12 eval.pictures=0 sample.steps=1 ;;
esac'
# Plans for GPUs need none, but a program that knows them.
"$program" plan configs/tiny.yaml device=cuda 2>&1 | grep -q 'built without CUDA' &&
    small+='; set -- "${@/#device=cuda/device=cpu}"'
script "$clone/build/talkie" <<END
#!/usr/bin/env bash
$([[ ${WHOLE:-} ]] || echo "$small")
exec "$program" "\$@"
END
script "$stubs/make" <<END
#!/usr/bin/env bash
case \$1 in
    demo) exec scripts/demo.sh ;;
    *) exec $(command -v make) -n "\$@" >/dev/null ;; # it exists, and make can read it
esac
END
script "$stubs/sbatch" <<'END'
#!/usr/bin/env bash
nodes=1 tasks=4 array=
while [[ $1 == --* ]]; do
    [[ $1 == --array=* ]] && array=${1#*=}
    [[ $1 == --nodes=* ]] && nodes=${1#*=}
    [[ $1 == --ntasks-per-node=* ]] && tasks=${1#*=}
    shift
done
export RANKS=$((nodes * tasks))
[[ $array ]] || exec bash "$@"
for i in "${array%-*}" "${array#*-}"; do SLURM_ARRAY_TASK_ID=$i bash "$@" || exit; done
END
script "$stubs/srun" <<'END'
#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
exec mpirun -n "$RANKS" "$@"
END

commands() { # "file:line: command" for every command line of FILE...
    awk '
    FNR == 1 { fenced = 0 }
    FILENAME ~ /\.md$/ {
        if (/^```sh$/) { fenced = 1; next }
        if (/^```/) fenced = 0
        if (fenced && !/^ *(#|$)/) print FILENAME ":" FNR ": " $0
        next
    }
    /^#   [a-z]/ { sub(/^# */, ""); print FILENAME ":" FNR ": " $0 }' "$@"
}

cd "$clone" || exit 1
# What a reader has of their own: a film and its caption.
mkdir films
cp tests/media/big-buck-bunny.mp4 films/rabbit.mp4
echo 'wide: a rabbit looks out of its burrow' >films/rabbit.txt

run=0 failed=0
while IFS= read -r line; do
    place=${line%%: *} command=${line#*: }
    begin=$SECONDS
    PATH=$stubs:$PATH bash -c "$command" >"$work/said" 2>&1 </dev/null
    code=$?
    run=$((run + 1))
    printf '%3d s  exit %d  %s\n' $((SECONDS - begin)) "$code" "$line"
    ((code == 0)) && continue
    grep -q 'this talkie was built without CUDA' "$work/said" && continue # as the README says of such builds
    failed=$((failed + 1))
    tail -n 20 "$work/said" | sed "s,^,      $place: ,"
done < <(commands README.md docs/*.md configs/*.yaml configs/storyboards/*.yaml slurm/*.sbatch)

for file in clips/ball.mp4 clips/ball.png clips/ball.json clips/mine.mp4 clips/demo.html runs/demo/loss.png; do
    [[ -s $file ]] && continue
    echo "$file is not there"
    failed=$((failed + 1))
done
echo "$run commands, $failed failed"
((run >= 15 && failed == 0))
