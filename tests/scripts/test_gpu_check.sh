#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 900
# What scripts/gpu_check.sh packs is small enough to travel, needs nothing but the C library where it arrives,
# and finds there what it is to find: here with the processor in the GPU's place, and for what is asked of a GPU
# alone with an emulated one. Programs that a machine with a GPU may have of its own, PyTorch and compute-sanitizer,
# are played.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[[ -z ${SAN:-} ]] || { echo "skipped: what is packed is built without sanitizers"; exit 77; }
build=$(realpath "${BUILD:-build}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() { # WORDS
    echo "$1"
    sed 's/^/    /' "$work/said"
    failed=$((failed + 1))
}

# As on a machine where nothing is: no PATH but the system's, no Open MPI's or CUDA's settings. `run VARIABLE=VALUE...
# -- DEVICE PART...`
run() {
    local settings=()
    while [[ $1 != -- ]]; do settings+=("$1") && shift; done
    shift
    env -i HOME="$work" PATH=/usr/bin:/bin "${settings[@]}" "$work/elsewhere/gpu_check/run" "$@" >"$work/said" 2>&1
}

BUILD=$build ARCH=native XZ_OPT=-0 scripts/gpu_check.sh pack "$work/packed.tar.xz" >"$work/said" 2>&1 ||
    { fail "it cannot be packed"; exit 1; }
# Of the program, which is there, only what stands in for what is left out (and its version, if that is another now).
sed -i -nE '/^  (cc|nvcc)  /{/tests\/|\/(version|none|deaf|blind)\.c$/!p}' "$work/said"
[[ ! -s $work/said ]] || fail "it was compiled anew:"
size=$(stat -c %s "$work/packed.tar.xz")
((size < 64 << 20)) || fail "$((size >> 20)) MiB are more than 64"
mkdir "$work/elsewhere"
tar -C "$work/elsewhere" -xf "$work/packed.tar.xz"

cd "$work/elsewhere/gpu_check" || exit 1
for program in bin/* tests/test_*; do
    LD_LIBRARY_PATH=$PWD/lib ldd "$program" | awk '$3 ~ /^\//{ print $3 }' |
        grep -vE "^$PWD/lib/|/(libc|libm|libdl|librt|libpthread)\.so" >"$work/said" && fail "$program loads what was not packed:"
done

# The recipe: clips in which people speak, a model, figures (config, sizes and device are those of here).
cat >configs/small.yaml <<END
base: tiny.yaml
device: cpu
train: {steps: 2, check_every: 0}
eval: {clips: 1, shown: 12, pictures: 0}
END
run CONFIG=configs/small.yaml OUT="$work/made" CLIPS=8 LINES=4 MAKERS=2 -- recipe train.batch=2 || fail "the recipe fails"
[[ -s $work/made/world.safetensors && -s $work/made/eval.json ]] || fail "no weights or no figures came of the recipe"

run -- cpu layouts parity || fail "its own check fails"
grep -q ' 0 failed' "$work/said" || fail "no table"
(($(grep -c '^ok .*against' "$work/said") == 2 * 7)) || fail "not every layout was compared"
(($(grep -c '^not measured' "$work/said") > 5)) || fail "goals of which nothing was measured are not told"

# A test that starts the program itself finds it and what it needs, and PMIx no plugins of this machine's. (One layout of
# it: all are train/step/test_beside.)
echo test_beside >tests/list
run TK_TEST_LAYOUTS=1 LD_DEBUG=files LD_DEBUG_OUTPUT="$work/loaded" -- cpu operators || fail "a test that runs the program fails"
cat "$work"/loaded.* >"$work/said"
grep -q 'libpmix.so' "$work/said" || fail "nothing of PMIx was loaded: is it looked at?"
sed -i '/pmix_mca_/!d' "$work/said"
[[ ! -s $work/said ]] || fail "PMIx loads plugins that were not packed:"
rm "$work"/loaded.*

# It finds what is wrong: losses of other weights, and a damaged golden file.
cp run whole
sed -i 's/cpu 1 device=cpu/cpu 1 device=cpu train.seed=2/; /^\(pipeline\|data\|four-ranks\) /d
    /train "training in bf16"/,/a run never stopped/d' run
head -c 5000 golden/wide.h5 >golden/cut.h5
run -- cpu layouts parity && fail "what is wrong passes"
(($(grep -c '^FAIL .*against the processor' "$work/said") == 2 * 2)) || fail "other losses pass"
grep -q 'FAIL  parity cut.h5' "$work/said" || fail "the damaged golden file is not named"
rm golden/cut.h5
run -- cuda parity && fail "there is no GPU here, or is there?"
(($(grep -c '^FAIL  parity' "$work/said") == 2 * $(ls golden/*.h5 | wc -l))) || fail "without a GPU some parity holds"

# Every other part, on an emulated GPU. Each goal is reached or missed but that of which there is nothing to measure
# on one GPU.
if [[ -e $build/emulated/talkie ]]; then
    mv whole run
    cp "$build/emulated/talkie" bin/
    cp "$build/emulated/tests/core/device/test_ops_conformance" "$build/emulated/tests/parallel/test_device_comm" tests/
    printf '%s\n' 'test_ops_conformance' 'test_device_comm 2' >tests/list
    echo silu >operators
    mkdir "$work/theirs"
    cat >"$work/theirs/python3" <<'END'
#!/bin/sh
# It has PyTorch, and says of a step and of attention what torch_step.py says that these lines look like.
case ${1##*/}:$2 in
torch_step.py:golden) [ $# -ge 6 ] ;;
torch_step.py:step) sed -n 's/^ *\(torch .*: step .*\)/\1/p' "$1" ;;
torch_step.py:attention) sed -n 's/^ *\(torch .*: attention .*\)/\1/p' "$1" ;;
-c:*torch*) ;;
*) exit 1 ;;
esac
END
    # shellcheck disable=SC2016 # it is the script that expands
    printf '#!/bin/sh\n[ "$TK_TEST_OPS" = " silu " ] && shift 4 && exec "$@"\n' >"$work/theirs/compute-sanitizer"
    chmod +x "$work/theirs/"*
    run SMALL=1 TK_TEST_OPS=' silu ' PATH="$work/theirs:/usr/bin:/bin" -- cuda operators figures attention torch sanitizer ||
        fail "it fails on an emulated GPU"
    for what in test_ops_conformance 'test_device_comm, 2 ranks' 'step, one.default' 'plan, one' 'step, one.fp32' \
        'step, one.own' 'step, one.any-order' 'its model is ours' 'PyTorch, step, one' "PyTorch, cuDNN's attention, one" \
        memcheck racecheck; do
        grep -q "^ok    $what" "$work/said" || fail "'$what' was not done"
    done
    (($(grep -cE '^(met|missed) ' "$work/said") == 9)) || fail "not every goal was measured"
    grep -q '^not measured .*communication hidden' "$work/said" || fail "no word of what one GPU cannot show"
fi
((failed == 0))
