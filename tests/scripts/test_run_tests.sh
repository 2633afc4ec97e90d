#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# How run-tests ends: counts, what was skipped, and last of all a line for each test that failed, with its name
# and what is wrong, so that the end of a log tells even where its middle is lost.
set -euo pipefail
root=$PWD house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
mkdir -p "$house"/{scripts,tests/some,build}
cp "$root/scripts/run_tests.sh" "$root/scripts/env.sh" "$house/scripts"
printf 'exit 0\n' >"$house/scripts/check_style.sh"
chmod +x "$house/scripts/check_style.sh"

test_of() { # NAME OPTIONS: a script that does what standard input says
    { echo "#TEST $2"; cat; } >"$house/tests/some/test_$1.sh"
}
fail() {
    echo "$1, but:"
    sed 's/^/    /' "$house/said"
    exit 1
}
ends() { # CODE, and the last lines
    local code=0
    env -u BUILD -u TALKIE -u SAN JOBS=2 "$house/scripts/run_tests.sh" >"$house/said" 2>&1 || code=$?
    [[ $code == "$1" ]] || fail "exit code $code, not $1"
    diff <(printf '%s\n' "${@:2}") <(tail -n $(($# - 1)) "$house/said") >"$house/differ" ||
        fail "the end is another ($(tail -n +2 "$house/differ" | head -n 1))"
}

test_of fine 'timeout: 60' <<<'echo all is well'
test_of spared 'timeout: 60' <<<'echo "skipped: no GPU is here"; exit 77'
ends 0 '2 passed, 0 failed, 1 skipped' '    skipped some/test_spared (sh): no GPU is here'

# The first error of cmocka, the report of a sanitizer, the last words of a script or of a rank, and a test that
# does not end.
test_of checks 'timeout: 60' <<'SH'
cat <<'SAID'
[==========] Running 2 test(s).
[ RUN      ] adds
[  ERROR   ] --- 0x1 != 0x2
[   LINE   ] --- tests/some/test_checks.c:7: error: Failure!
[  ERROR   ] --- 0x3 != 0x4
[   LINE   ] --- tests/some/test_checks.c:9: error: Failure!
 2 FAILED TEST(S)
SAID
exit 2
SH
test_of calls 'timeout: 60' <<'SH'
cat <<'SAID'
ERROR: tk_open(x): no such file
tk_open  core/base/file.c:70
[  ERROR   ] --- [   LINE   ] --- tests/some/test_calls.c:5: error: Failure!
[  PASSED  ] 0 test(s).
SAID
exit 1
SH
test_of memory 'timeout: 60' <<'SH'
printf 'fine\n==7==ERROR: AddressSanitizer: heap-use-after-free\n    #0 0x1 in f\nSUMMARY\n'
exit 1
SH
test_of ranks 'timeout: 60' <<'SH'
line=--------------------------------------------------------------------------
printf '%s\n' 'rank 1 computes nonsense' $line 'Primary job  terminated normally, but 1 process returned' \
    'a non-zero exit code. Per user-direction, the job has been aborted.' $line
exit 1
SH
test_of says 'timeout: 60' <<<'echo "talkie: made it"; echo "the clip is not signed" >&2; echo "    its log"; exit 1'
test_of silent 'timeout: 60' <<<'exit 3'
test_of sleeps 'timeout: 3' <<<'echo waiting; sleep 60'
ends 1 '2 passed, 7 failed, 1 skipped' '    skipped some/test_spared (sh): no GPU is here' \
    'failed: some/test_calls (sh): exit code 1: tests/some/test_calls.c:5: tk_open(x): no such file' \
    'failed: some/test_checks (sh): exit code 2: tests/some/test_checks.c:7: 0x1 != 0x2' \
    'failed: some/test_memory (sh): exit code 1: ==7==ERROR: AddressSanitizer: heap-use-after-free' \
    'failed: some/test_ranks (sh): exit code 1: rank 1 computes nonsense' \
    'failed: some/test_says (sh): exit code 1: the clip is not signed' \
    'failed: some/test_silent (sh): exit code 3: ' \
    'failed: some/test_sleeps (sh): stopped after 3 s: waiting'

# Whoever starts the tests is killed, as for memory: what was not run to its end has failed.
rm "$house"/tests/some/*
test_of kills 'timeout: 90' <<<'kill -KILL "$(ps -o ppid= -p "$PPID" | xargs)"'
test_of never 'timeout: 30' <<<'exit 1'
test_of neither 'timeout: 20' <<<'exit 1'
code=0
env -u BUILD -u TALKIE -u SAN JOBS=1 "$house/scripts/run_tests.sh" some/ 2>&1 | cat >"$house/said" || code=$? # by a pipe: until all have ended
[[ $code == 1 ]] || fail "of tests that were never run the exit code is $code"
for name in never neither; do
    grep -q "^failed: some/test_$name (sh): was not run to its end" "$house/said" || fail "test_$name is not told"
done

# Two runs at once would each take the other's verdicts away.
rm "$house"/tests/some/*
test_of first 'timeout: 60' <<<"env -u BUILD -u TALKIE '$house/scripts/run_tests.sh' some/ >'$house/second' 2>&1
    [[ \$? == 2 ]] && grep -q 'are being run already' '$house/second'"
ends 0 '2 passed, 0 failed, 0 skipped'
