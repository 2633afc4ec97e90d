#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test and closes with "N passed, N failed, N skipped", what was skipped, why, which took longest and,
# last, a line for each that failed; exits 1 if any did. Each has a line when it ends: seconds it took, and seconds
# of a processor that it used.
#
#     scripts/run_tests.sh [NAME]      only tests whose name holds NAME
#
# Tests are the programs of tests/**/test_*.c, the scripts tests/**/test_*.sh and the style check. The
# source of each says how to run it:
#
#     /*TEST nsize: 1 2 4; timeout: 60 */      in C
#     #TEST timeout: 60                        in a script
#
# One more run, on the emulated GPU (see the Makefile), for tests that say "cuda: too"; those of
# tests/cuda run there alone. They find the device to test, cuda, in TK_TEST_DEVICE.
#
# "kernels: order" is for scripts/mutate.py: faults in that file of kernels must make the test fail.
#
# One run per nsize: 1 plainly, more under mpirun. Defaults: nsize 1, timeout 60 (seconds). Every run
# has a session of its own, killed whole at its timeout. A test that cannot run here exits with 77 and
# says why in its last line. Scripts find the program in $TALKIE.
#
# JOBS tests run at a time, those with the longest timeout first, so that none is left over at the end.
# Those that say "waits: mostly" use little of a processor: they run beside, one after the other.
# Environment: BUILD, TALKIE, JOBS (tests at a time; default 3 where there is more than one core: many start
# ranks and wait for them, so that 3 leave two cores idle a fifth of the time), SAN (longer timeouts).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
export BUILD TALKIE=${TALKIE:-$BUILD/talkie}
only=${1:-}
jobs=${JOBS:-$(($(nproc) > 1 ? 3 : 1))}
slower=1
[[ -z ${SAN:-} ]] || slower=5
logs=$BUILD/tests/logs
if [[ ${SAN:-} == 1 ]]; then
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0
fi
if [[ ${SAN:-} == thread ]]; then
    export TSAN_OPTIONS=suppressions=$PWD/tests/support/thread_sanitizer.supp
    export OMP_NUM_THREADS=1 # as in the loops of a library whose threads it does not see
fi
unset MAKEFLAGS MFLAGS MAKELEVEL # a test's make is nobody's child
export OMPI_MCA_odls_base_sigkill_timeout=1 # Open MPI's own: ranks that fail are what most tests are about
# All ranks are on this machine: looking for networks takes a third of a start. (tests/cluster, which has
# networks, takes it back.)
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_osc=sm
# Several tests share the cores: threads that wait for others leave them to whoever works.
export OMP_WAIT_POLICY=passive
. scripts/env.sh 8 # for mpirun, here and in tests that start it themselves
mkdir -p "$logs"
exec {held}>"$BUILD/tests/logs.lock" # by this script alone, not by what it leaves behind
flock -n "$held" || { echo "tests of $BUILD are being run already" >&2; exit 2; }
rm -rf "$logs"
mkdir -p "$logs"

# Processes of session $1: Open MPI gives each rank a process group of its own, so groups are not enough.
of_session() {
    local stat fields session
    for stat in /proc/[0-9]*/stat; do
        { read -r fields <"$stat"; } 2>/dev/null || continue
        fields=${fields##*) } # state ppid pgrp session ...
        read -r _ _ _ session _ <<<"$fields"
        [[ $session == "$1" ]] && echo "${stat//[!0-9]/}"
    done
}

end_session() {
    local pids
    mapfile -t pids < <(of_session "$1")
    ((${#pids[@]})) && kill -KILL "${pids[@]}" 2>/dev/null
}

# What processes of session $1 are at, for whoever wonders why a test was not done in time: state, seconds of a
# processor, command, and where gdb is installed the calls that each thread is in.
tell_session() {
    local pid
    for pid in $(of_session "$1"); do
        echo "still there: $(ps -o pid=,stat=,time=,args= -p "$pid" | cut -c1-200)"
        command -v gdb >/dev/null || continue
        timeout 20 gdb -p "$pid" -batch -ex 'thread apply all bt 16' 2>/dev/null | grep -E '^(#|Thread )'
    done
}

# Interrupted: sessions of their own do not hear of it.
lanes=()
stop() {
    local file
    trap '' INT TERM
    ((${#lanes[@]})) && kill "${lanes[@]}" 2>/dev/null
    for file in "$logs"/*.sid; do [[ -e $file ]] && end_session "$(<"$file")"; done
    exit 130
}
trap stop INT TERM

# What went wrong, out of log $1: cmocka's first error and where it stands, or what a sanitizer found, or the last
# line that is not indented, which is what scripts say as they end.
telling() {
    awk '
        error == "" && /^ERROR: |\[  ERROR   \] --- [^[]/ { error = $0; sub(/^ERROR: |.*\[  ERROR   \] --- /, "", error) }
        line == "" && /\[   LINE   \] --- / { line = $0; sub(/.*\[   LINE   \] --- /, "", line); sub(/: error: .*/, ": ", line) }
        found == "" && /ERROR: [A-Za-z]+Sanitizer|WARNING: ThreadSanitizer|runtime error: / { found = $0 }
        /^----+$/ { aside = !aside; next } # what mpirun adds to what a rank said
        /^[^[:space:]]/ && (!aside || /on signal/) { last = $0 }
        END { print found != "" ? found : error != "" ? line error : last }' "$1" | cut -c1-200
}

# run TIMEOUT NAME COMMAND...: prints the line of one test, leaves its verdict in $logs. In a subshell.
run() {
    local limit=$(($1 * slower)) name=$2 begin=$EPOCHREALTIME verdict=ok code=0 note='' took used
    shift 2
    local log="$logs/${name//[ \/]/_}"
    local sid watchdog
    setsid "$@" >"$log.log" 2>&1 </dev/null &
    sid=$!
    echo "$sid" >"$log.sid"
    (
        exec >/dev/null 2>&1
        trap 'kill $(jobs -p); exit 0' INT TERM
        sleep "$limit" & # in the background, where a trap need not wait for it
        wait
        tell_session "$sid" >"$log.late"
        end_session "$sid"
    ) &
    watchdog=$!
    wait "$sid" 2>/dev/null || code=$?
    kill "$watchdog" 2>/dev/null
    wait "$watchdog" 2>/dev/null
    end_session "$sid"
    if [[ -e $log.late ]]; then
        verdict=FAIL note="  stopped after $limit s"
    elif ((code == 77)); then
        verdict=skip note="  $(tail -n 1 "$log.log")"
        printf '%s: %s\n' "$name" "$(tail -n 1 "$log.log" | sed 's/^skipped: //')" >"$log.skipped"
    elif ((code != 0)); then
        verdict=FAIL note="  exit code $code"
    else # of a program that passed, cases that it left out
        sed -n "s|^\[  SKIPPED \] \([a-z].*\)|$name: \1|p" "$log.log" >"$log.skipped"
        [[ -s $log.skipped ]] || rm "$log.skipped"
    fi
    [[ $verdict != FAIL ]] || printf '%s: %s: %s\n' "$name" "${note#  }" "$(telling "$log.log")" >"$log.failed"
    [[ ! -e $log.late ]] || cat "$log.late" >>"$log.log"
    took=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    times >"$log.times" # of this subshell; in a substitution, of that
    used=$(awk 'NR == 2 { gsub(/[ms]/, " "); printf "%.1f", ($1 + $3) * 60 + $2 + $4 }' "$log.times")
    echo "$verdict" >"$log.verdict"
    printf '%6s s %6s s  %s\n' "$took" "$used" "$name" >"$log.took"
    rm -f "$log.sid"
    # one write, so that tests running side by side do not mix their lines
    printf '%s\n' "$(
        printf '%-4s  %-40s %6s s %6s s%s\n' "$verdict" "$name" "$took" "$used" "$note"
        [[ $verdict == FAIL ]] && tail -n 90 "$log.log" | sed 's/^/      | /'
    )"
}

# option FILE KEY DEFAULT: a value of the header comment.
option() {
    local value
    value=$(sed -nE "s/^(\/\*|#)TEST (.*; *)?$2: *([0-9 ]*[0-9]).*/\3/p" "$1" | head -n 1)
    echo "${value:-$3}"
}

computing=() waiting=() # what is to be run, as words for run
add() { # SOURCE NAME TIMEOUT COMMAND...
    local source=$1 name=$2 limit=$3
    shift 3
    [[ $name == *"$only"* ]] || return 0
    if ((jobs > 1)) && grep -qE '^(/\*|#)TEST .*waits: mostly' "$source"; then
        waiting+=("$(printf '%q ' "$limit" "$name" "$@")")
    else
        computing+=("$(printf '%q ' "$limit" "$name" "$@")")
    fi
}

add scripts/check_style.sh style 60 scripts/check_style.sh

# program NAME SOURCE PROGRAM VARIABLE=VALUE...: one run for each nsize.
program() {
    local name=$1 source=$2 program=$3 leaks=0 n limit
    shift 3
    # Open MPI leaks, from modules it has unloaded by the time leaks are looked for, so that no list
    # of exceptions can name them: leaks count only in programs without an nsize, that is, without MPI.
    [[ $(option "$source" nsize none) == none ]] && leaks=1
    for n in $(option "$source" nsize 1); do
        limit=$(option "$source" timeout 60)
        if ((n == 1)); then
            add "$source" "$name" "$limit" env ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=$leaks"} \
                "$@" "$program"
        else
            add "$source" "$name -n $n" "$limit" env OMP_NUM_THREADS=1 "$@" mpirun -n "$n" "$program"
        fi
    done
}

# What test $1 runs on: the program as it is, and with an emulated GPU.
on_host() { [[ $1 != tests/cuda/* ]]; }
on_cuda() { [[ $1 == tests/cuda/* ]] || grep -qE '^(/\*|#)TEST .*cuda: too' "$1"; }
no_cuda() { [[ ! -e $BUILD/emulated/talkie ]]; }
missing=(bash -c 'echo "skipped: this build has no CUDA, whose headers the emulated GPU needs"; exit 77')

for source in tests/*/test_*.c tests/*/*/test_*.c; do
    [[ -e $source ]] || continue
    name=${source#tests/} name=${name%.c}
    on_host "$source" && program "$name" "$source" "$BUILD/${source%.c}"
    on_cuda "$source" || continue
    if no_cuda; then
        add "$source" "$name (cuda)" 60 "${missing[@]}"
    else
        program "$name (cuda)" "$source" "$BUILD/emulated/${source%.c}" TK_TEST_DEVICE=cuda \
            TALKIE="$BUILD/emulated/talkie"
    fi
done

for script in tests/*/test_*.sh tests/*/*/test_*.sh; do
    [[ -e $script ]] || continue
    name=${script#tests/} name=${name%.sh}
    limit=$(option "$script" timeout 60)
    on_host "$script" && add "$script" "$name (sh)" "$limit" bash "$script"
    on_cuda "$script" || continue
    if no_cuda; then
        add "$script" "$name (sh, cuda)" 60 "${missing[@]}"
    else
        add "$script" "$name (sh, cuda)" "$limit" env TK_TEST_DEVICE=cuda TALKIE="$BUILD/emulated/talkie" bash "$script"
    fi
done

lane() { # AT-A-TIME TEST...: longest first
    local most=$1 test
    shift
    while IFS= read -r test; do
        while (($(jobs -rp | wc -l) >= most)); do wait -n 2>/dev/null || true; done
        eval "run $test" &
    done < <((($#)) && printf '%s\n' "$@" | sort -s -k 1,1nr)
    wait
}
lane "$jobs" "${computing[@]}" {held}>&- &
lanes+=($!)
lane 1 "${waiting[@]}" {held}>&- &
lanes+=($!)
wait

# Of a test whose runner was killed, or could not write, there is no verdict.
passed=0 failed=0 skipped=0
for test in "${computing[@]}" "${waiting[@]}"; do
    eval "set -- $test"
    log="$logs/${2//[ \/]/_}"
    verdict=$(cat "$log.verdict" 2>/dev/null)
    case $verdict in
        ok) passed=$((passed + 1)) ;;
        skip) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) ;;
    esac
    [[ $verdict ]] || echo "$2: was not run to its end: whoever ran it was killed, or the disk is full" >"$log.failed"
done
if ((passed + failed + skipped == 0)); then
    echo "no test is named like '$only'" >&2
    failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
for file in "$logs"/*.skipped; do [[ -e $file ]] && sed 's/^/    skipped /' "$file"; done
((passed + failed < 20)) || { echo 'the slowest:' && sort -rn "$logs"/*.took | head -n 10; }
for file in "$logs"/*.failed; do [[ -e $file ]] && sed 's/^/failed: /' "$file"; done
((failed == 0))
