#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# talkie on a machine with a GPU that has nothing else: no compiler, no MPI, no network.
#
#     scripts/gpu_check.sh pack [FILE]      here: builds for any x86-64-v3 processor without libav*, and packs it with
#                                           the libraries it needs (default: build/gpu_check.tar.xz, under 64 MiB)
#     tar -xf gpu_check.tar.xz; gpu_check/run [DEVICE [PART...]]
#                                           there: conformance of every operator, parity with the published model,
#                                           1, 2 and 4 ranks on the one GPU against the processor's losses, a run that
#                                           goes on as if it had not stopped, attention by cuDNN and by our own kernels,
#                                           figures, also against PyTorch where it is, compute-sanitizer where it is
#
# Needed there: a driver, and of the CUDA this was built with cuBLASLt, NCCL and, for attention by it, cuDNN (CUDA's own
# folders and those of Python's packages are looked through). At most ten minutes; a table at the end; exits 1 if anything
# failed. DEVICE is cuda; with cpu it checks itself. PART: layouts, parity, operators, attention, figures, sanitizer.
# BUILD and ARCH change what is packed, XZ_OPT how tightly.
set -euo pipefail

# ---- packing ----------------------------------------------------------------------------------------

# The libraries that FILE... load, but for those of the C library, which has to be there.
libraries_of() {
    ldd "$@" | awk '$3 ~ /^\// { print $3 }' | sort -u | grep -vE '/(libc|libm|libdl|librt|libpthread)\.so'
}

# Open MPI finds its parts below OPAL_PREFIX where they lie below its own prefix.
pack_mpi() { # FOLDER
    local prefix plugins help
    prefix=$(ompi_info --path prefix --parsable | cut -d: -f3)
    plugins=$(ompi_info --path pkglibdir --parsable | cut -d: -f3)
    help=$(ompi_info --path pkgdatadir --parsable | cut -d: -f3)
    mkdir -p "$1/${plugins#"$prefix"/}" "$1/${help#"$prefix"/}" "$1/bin"
    cp -L "$(command -v mpirun)" "$(command -v orted)" "$1/bin"
    cp "$help"/help-*.txt "$1/${help#"$prefix"/}"
    # Those for networks and other launchers bring libraries of their own.
    find "$plugins" -name '*.so' | grep -vE 'ucx|ofi|psm|openib|usnic|portals|cuda|flux|slurm|gridengine|jsm|monitoring' |
        xargs cp -t "$1/${plugins#"$prefix"/}"
}

pack() { # FILE
    local file=$1 source line name parts
    cd "$(dirname "$0")/.."
    export BUILD=${BUILD:-build/gpu} ARCH=${ARCH:-x86-64-v3}
    mkdir -p "$(dirname "$file")"
    : >"$file" # before any work
    make -j"$(nproc)" BUILD="$BUILD" ARCH="$ARCH" carried
    work=$(mktemp -d) # not local: the trap outlives this function
    trap 'rm -rf "$work"' EXIT
    local to=$work/gpu_check
    mkdir -p "$to"/{bin,lib,tests,golden}
    cp "$BUILD/carried/talkie" "$to/bin"
    cp scripts/gpu_check.sh "$to/run"
    cp configs/tiny.yaml tests/golden/*.h5 "$to/golden"
    cp scripts/torch_step.py "$to"
    grep -lE '^/\*TEST .*cuda: too' tests/*/test_*.c tests/*/*/test_*.c >"$work/sources"
    while read -r source; do
        name=$(basename "$source" .c)
        cp "$BUILD/carried/${source%.c}" "$to/tests/$name"
        line=$(grep -m 1 -E '^/\*TEST ' "$source")
        echo "$name $(sed -nE 's/.*nsize: ([0-9 ]+).*/\1/p' <<<"$line")" >>"$to/tests/list"
    done <"$work/sources"
    pack_mpi "$to"
    readarray -t parts < <(find "$to" -name 'mca_*.so')
    libraries_of "$to/bin/"* "$to"/tests/test_* "${parts[@]}" | xargs cp -L -t "$to/lib"
    strip "$to/bin/"* "$to"/tests/test_*
    tar -C "$work" -cf - gpu_check | XZ_OPT=${XZ_OPT:--2} xz -T0 >"$file"
    printf '%s: %d KiB\n' "$file" $(($(stat -c %s "$file") / 1024))
}

# ---- running ----------------------------------------------------------------------------------------

SECONDS_IN_ALL=570 # of ten minutes, with the start

# Folders that may hold CUDA's libraries, the loader's own first.
cuda_folders() {
    local folder
    for folder in /usr/local/cuda*/lib64 /usr/local/cuda*/lib /opt/*/lib64 \
        {/usr,/usr/local,/opt/*,"$HOME"/.local,"$HOME"/*}/lib/python3*/{site,dist}-packages/nvidia/*/lib; do
        if compgen -G "$folder/lib*.so*" >/dev/null; then printf ':%s' "$folder"; fi
    done
}

prepare() {
    here=$(cd "$(dirname "$0")" && pwd)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    LD_LIBRARY_PATH=$here/lib$(cuda_folders)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH OPAL_PREFIX=$here PATH=$here/bin:$PATH
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_pml=ob1
    export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_plm_rsh_agent=false
    export TK_TEST_DEVICE=$device TALKIE_COMM_TIMEOUT=60
    cd "$work"
}

failed=0
table=()

note() { # VERDICT WHAT FIGURE
    table+=("$(printf '%-5s %-34s %s' "$1" "$2" "$3")")
    printf '%s\n' "${table[-1]}"
    [[ $1 != FAIL ]] || failed=$((failed + 1))
}

# check WHAT COMMAND...: its last line is the figure; all it said is shown when it fails.
check() {
    local what=$1 left=$((SECONDS_IN_ALL - SECONDS)) code=0 begin=$SECONDS
    shift
    if ((left < 5)); then
        note skip "$what" "no time is left"
        return 1
    fi
    timeout -k 5 "$left" "$@" >said 2>&1 </dev/null || code=$?
    if ((code == 0)); then
        note ok "$what" "$((SECONDS - begin)) s  $(tail -n 1 said)"
    else
        note FAIL "$what" "exit code $code"
        tail -n 30 said | sed 's/^/      /'
    fi
    return $((code != 0))
}

facts() {
    if [[ $device == cuda ]]; then
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null ||
            echo "nvidia-smi is not here"
    fi
    printf '%s; %s; %s\n' "$(talkie --version)" "$(uname -r)" "$(ldd --version | head -n 1)"
}

operators() {
    local name sizes n
    while read -r name sizes; do
        for n in ${sizes:-1}; do
            if ((n == 1)); then
                check "$name" "$here/tests/$name"
            else
                check "$name, $n ranks" mpirun -n "$n" "$here/tests/$name"
            fi || true
        done
    done <"$here/tests/list"
}

parity() {
    local golden
    for golden in "$here"/golden/*.h5; do
        check "parity $(basename "$golden")" talkie parity "$golden" device="$device" || true
    done
}

losses_of() { # RUN
    sed -nE 's/.*"loss": *([-+0-9.e]+).*/\1/p' "$1/metrics.jsonl"
}

# The largest relative difference of the losses of two runs, and whether it is at most LIMIT.
compare() { # WHAT RUN REFERENCE LIMIT
    local said
    local verdict=ok
    said=$(paste <(losses_of "$2") <(losses_of "$3") | awk -v limit="$4" '
        { d = $1 - $2; if (d < 0) d = -d; d /= ($2 < 0 ? -$2 : $2); if (!(d <= worst)) worst = d; n += NF == 2 }
        END { printf "%d steps, worst %.1e of %.0e", n, worst, limit; exit !(n == 10 && worst <= limit) }') || verdict=FAIL
    note $verdict "$1" "$said"
}

train() { # WHAT RUN RANKS [key=value...]
    local what=$1 run=$2 ranks=$3
    shift 3
    check "$what" mpirun -n "$ranks" talkie train "$here/golden/tiny.yaml" data.files=clips.h5 train.out="$run" \
        train.steps=10 train.checkpoint_every=5 train.constant=1 train.changes=allow "$@"
}

layouts() {
    local name ranks words
    check "clips" talkie data world "$here/golden/tiny.yaml" -o clips.h5 &&
        train "training on the processor" cpu 1 device=cpu || return 0
    while read -r name ranks words; do
        # shellcheck disable=SC2086 # words are several
        train "training, $name" "$name" "$ranks" device="$device" parallel.share_gpu=true $words &&
            compare "... against the processor" "$name" cpu 1e-5
    done <<'END'
one-rank 1
tensor 2 parallel.tensor=2
pipeline 2 parallel.pipeline=2
data 2 parallel.data=2
four-ranks 4 parallel.tensor=2 parallel.pipeline=2
END
    train "training in bf16" bf16 1 device="$device" train.precision=bf16 &&
        compare "... against the processor's fp32" bf16 cpu 2e-2
    train "training, half of it" halves 1 device="$device" train.steps=5 &&
        train "... and the other half" halves 1 device="$device" &&
        compare "... against a run never stopped" halves one-rank 0
    return 0
}

sanitizer() {
    local tool name=test_ops_conformance
    if [[ $device != cuda ]] || ! command -v compute-sanitizer >/dev/null; then
        note skip compute-sanitizer "not here"
        return
    fi
    for tool in memcheck racecheck; do
        check "compute-sanitizer $tool" timeout 150 compute-sanitizer --tool "$tool" --error-exitcode 1 \
            "$here/tests/$name" || true
    done
}

# A step of 32 thousand rows at hidden 2560, each operator beside the rates of products and copies.
# bench WHAT KEY=VALUE...
bench() {
    local what=$1
    shift
    check "$what" talkie bench "$here/golden/tiny.yaml" device="$device" model.hidden="$hidden" model.heads="$heads" \
        model.head_dim=128 model.ffn="$ffn" model.layers=4 model.rope_freq_dim=16 "$@" || return
    cat said
    step=$(sed -nE 's/^operators .* of a step of ([0-9.]+) ms.*/\1/p' said)
    memory=$(sed -nE 's/^pool +([0-9.]+) MiB.*/\1/p' said)
}

# The processor checks this script only: on a smaller model.
sizes() {
    hidden=2560 heads=20 ffn=6912 documents=256
    [[ $device == cuda ]] || { hidden=256 heads=2 ffn=512 documents=4; }
}

figures() {
    local precision
    sizes
    [[ -s clips.h5 ]] || check "clips" talkie data world "$here/golden/tiny.yaml" -o clips.h5 || return 0
    for precision in bf16 fp32; do
        bench "figures in $precision" data.files=clips.h5 train.precision=$precision train.batch=$documents \
            train.microbatch=$documents || true
    done
    against_torch
    return 0
}

# GFLOP/s of attention WAY, as bench said.
attention_rate() {
    sed -nE "s/^ +attention +$1 .* ([0-9.]+) GFLOP\/s.*/\1/p" said
}

ratio() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN { if (a * b > 0) printf "%.2f", a / b; else printf "?" }'; }

# Our own attention and cuDNN's, with the same bits each time and in any order, on long documents.
attention() {
    local by way fore back words own_fore='' own_back=''
    sizes
    if [[ $device != cuda ]]; then
        words='own:attention=own'
    else
        words='own:attention=own cudnn:attention=cudnn any-order:attention=cudnn,train.deterministic=false'
    fi
    check "clips of many rows" talkie data world "$here/golden/tiny.yaml" -o long.h5 media.width=128 media.height=128 \
        world.seconds=3 world.clips=8 world.max_shots=1 || return 0
    for way in $words; do
        by=${way#*:}
        # shellcheck disable=SC2086 # settings are several
        bench "attention, ${way%%:*}" data.files=long.h5 train.precision=bf16 train.batch=8 train.microbatch=8 \
            ${by//,/ } || continue
        fore=$(attention_rate forward) back=$(attention_rate backward)
        [[ -n $own_fore ]] || own_fore=$fore own_back=$back
        note figure "... GFLOP/s forward, backward" \
            "$fore, $back; own kernels' are $(ratio "$own_fore" "$fore"), $(ratio "$own_back" "$back") of it"
    done
    return 0
}

# The same step in PyTorch where it is here, compiled, with its fastest attention: how many times faster ours is, and
# what part of its memory it takes.
against_torch() {
    local python=python3 said_torch theirs held
    if [[ $device != cuda ]] || ! "$python" -c 'import torch; torch.zeros(1, device="cuda")' 2>/dev/null; then
        note skip "the same step in PyTorch" "no PyTorch with a GPU here"
        return 0
    fi
    bench "a step in bf16" data.files=clips.h5 train.precision=bf16 train.batch=256 train.microbatch=256 || return 0
    check "the same step in PyTorch" "$python" "$here/torch_step.py" || return 0
    said_torch=$(tail -n 1 said)
    theirs=$(sed -nE 's/.*step ([0-9.]+) ms.*/\1/p' <<<"$said_torch")
    held=$(sed -nE 's/.* ms, ([0-9.]+) MiB.*/\1/p' <<<"$said_torch")
    note figure "... speed, x torch" "$(ratio "$theirs" "$step") ($theirs ms, ours $step ms)"
    note figure "... memory, x torch" "$(ratio "$memory" "$held") ($held MiB, ours $memory MiB)"
}

run() { # PART...
    local part
    prepare
    facts
    for part; do "$part"; done
    printf '\n'
    printf '%s\n' "${table[@]}"
    printf '%d checks, %d failed, %d s\n' ${#table[@]} $failed $SECONDS
    ((failed == 0))
}

case ${0##*/}:${1:-} in
gpu_check.sh:pack) pack "$(realpath -m "${2:-build/gpu_check.tar.xz}")" ;;
run: | run:cuda | run:cpu)
    device=${1:-cuda}
    shift $(($# > 0))
    (($#)) || set -- layouts parity operators attention figures sanitizer
    run "$@"
    ;;
*)
    sed -n '3,16s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
