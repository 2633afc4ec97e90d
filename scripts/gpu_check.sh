#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# talkie on a machine with a GPU that has nothing else: no compiler, no MPI, no network.
#
#     scripts/gpu_check.sh pack [FILE]      here: builds for any x86-64-v3 processor without libav*, and packs it with
#                                           the libraries it needs (default: build/gpu_check.tar.xz, under 64 MiB)
#     tar -xf gpu_check.tar.xz; gpu_check/run [DEVICE [PART...]]
#                                           there; PART, all if none is named, in this order:
#         layouts       1, 2 and 4 ranks on the one GPU against the processor's losses; a run that goes on as if it had
#                       not stopped
#         parity        outputs and gradients of the published model
#         operators     every operator against the reference, and the other tests that run on a device
#         figures       steps of 32 documents of about 1,024 rows and of one of 32,768: each operator beside the rates of
#                       products and copies, memory beside the plan's
#         attention     our own kernels and cuDNN's, with the same bits each time and in any order
#         torch         the same steps in PyTorch, and cuDNN called directly, where PyTorch is
#         sanitizer     the operators under compute-sanitizer, where it is
#     OUT=FOLDER gpu_check/run recipe [key=value...]
#                                           there: scripts/recipe.sh, which makes clips and a model of them, as that says
#
# Needed there: a driver, and of the CUDA this was built with cuBLASLt, NCCL and, for attention by it, cuDNN (CUDA's own
# folders and those of Python's packages are looked through). At most ten minutes; a table at the end, and the goals, each
# met, missed or not measured; exits 1 if a check failed. DEVICE is cuda; with cpu it checks itself. SMALL=1: sizes that a
# processor can do, whose figures mean nothing. BUILD and ARCH change what is packed, XZ_OPT how tightly.
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
    mkdir -p "$to"/{bin,lib,tests,golden,scripts}
    cp "$BUILD/carried/talkie" "$to/bin"
    cp scripts/gpu_check.sh "$to/run"
    cp configs/tiny.yaml configs/machines/h100.yaml tests/golden/*.h5 "$to/golden"
    cp scripts/torch_step.py "$to"
    cp scripts/env.sh scripts/recipe.sh "$to/scripts"
    cp -r configs "$to"
    sed -nE 's/^ +\[TK_OP_[A-Z_0-9]+\] = \{"([a-z_0-9]+)".*/\1/p' core/device/ops/ops.c >"$to/operators"
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

# Folders that may hold CUDA's libraries: its own, the driver's, and those that Python has as packages.
cuda_folders() {
    local folder packages
    packages=$("${theirs[@]}" python3 -c 'import sys; print(*(f"{p}/nvidia" for p in sys.path if "packages" in p), sep="\n")' \
        2>/dev/null) || packages=
    while read -r folder; do
        if compgen -G "$folder/lib*.so*" >/dev/null; then printf ':%s' "$folder"; fi
    done < <(
        printf '%s\n' /usr/local/cuda*/lib64 /usr/local/cuda*/lib /usr/local/nvidia/lib64 /opt/*/lib64
        while read -r folder; do printf '%s\n' "$folder"/*/lib; done <<<"$packages"
        printf '%s\n' {/usr,/usr/local,/opt/*,/opt/*/.venv,"${HOME:-/root}"/{.local,*,.venv}}/lib/python3*/{site,dist}-packages/nvidia/*/lib
    )
}

prepare() {
    here=$(cd "$(dirname "$0")" && pwd)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # For programs of that machine's own, which must not find the libraries that came with this.
    theirs=(env LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}")
    LD_LIBRARY_PATH=$here/lib$(cuda_folders)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    PATH=$here/bin:$PATH
    local tools
    for tools in /usr/local/cuda*/bin; do PATH=$PATH:$tools; done
    export LD_LIBRARY_PATH PATH OPAL_PREFIX=$here
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_pml=ob1
    export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_plm_rsh_agent=false
    # Its plugins would be those of the machine's own PMIx, of whatever version.
    export PMIX_MCA_mca_base_component_disable_dlopen=1 PMIX_MCA_pcompress_base_silence_warning=1
    export TK_TEST_DEVICE=$device TALKIE_COMM_TIMEOUT=60 TALKIE=$here/bin/talkie
}

failed=0
table=()

note() { # VERDICT WHAT FIGURE
    table+=("$(printf '%-5s %-34s %s' "$1" "$2" "$3")")
    printf '%s\n' "${table[-1]}"
    [[ $1 != FAIL ]] || failed=$((failed + 1))
}

# check WHAT COMMAND...: its last line that holds $pick is the figure; the end of what it said, but for tests that
# passed, is shown when it fails.
check() {
    local what=$1 left=$((SECONDS_IN_ALL - SECONDS)) code=0 begin=$SECONDS
    shift
    if ((left < 5)); then
        note skip "$what" "no time is left"
        return 1
    fi
    timeout -k 5 "$left" "$@" >said 2>&1 </dev/null || code=$?
    if ((code == 0)); then
        note ok "$what" "$((SECONDS - begin)) s  $(grep -- "${pick:-}" said | tail -n 1)"
    else
        note FAIL "$what" "exit code $code"
        sed -E '/^\[ (RUN|      OK) /d; s/^/      /' said | tail -n 40
    fi
    return $((code != 0))
}

facts() {
    if [[ $device == cuda ]]; then
        "${theirs[@]}" nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null ||
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
    check "clips" talkie data world "$here/golden/tiny.yaml" world.speech=false -o clips.h5 &&
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

# ---- figures ----------------------------------------------------------------------------------------

declare -A got # figures by name, "many.default step"
goals=()

# Documents and blocks. Attention is done on tensor cores by our own kernels too.
sizes() {
    model='model.hidden=2560 model.heads=20 model.head_dim=128 model.ffn=6912 model.layers=4 model.rope_freq_dim=16'
    heads=20 head_dim=128 bytes_that_count=$((64 << 20))
    shapes='many one'
    declare -gA documents=([many]=32 [one]=1) media=(
        [many]='media.width=128 media.height=128 world.seconds=1 world.clips=32'
        [one]='media.width=256 media.height=256 world.seconds=8 world.clips=2')
    [[ $small ]] || return 0
    model='model.hidden=64 model.heads=1 model.head_dim=64 model.ffn=96 model.layers=1 model.rope_freq_dim=8'
    heads=1 head_dim=64 bytes_that_count=0 shapes=one
    media=([one]='world.clips=2')
}

# The words of a config for SHAPE, many or one; its clips are made where they are not there.
words_of() { # SHAPE
    printf '%s\n' "$here/golden/tiny.yaml" "data.files=$1.h5" train.batch="${documents[$1]}" \
        train.microbatch="${documents[$1]}" train.precision=bf16
    # shellcheck disable=SC2086 # settings are several
    printf '%s\n' $model
}

clips_of() { # SHAPE
    sizes
    # shellcheck disable=SC2086 # settings are several
    [[ -s $1.h5 ]] || check "clips, $1" talkie data world "$here/golden/tiny.yaml" -o "$1.h5" world.max_shots=1 world.speech=false \
        ${media[$1]}
}

# keep NAME PATTERN: what the pattern's group finds in what was said last.
keep() {
    got[$1]=$(sed -nE "s/$2/\1/p" said | tail -n 1)
}

# bench SHAPE WAY [KEY=VALUE...]: a step, its figures as "SHAPE.WAY ...", and the whole of what bench says, shown.
bench() {
    local name=$1.$2 words side
    clips_of "$1" || return 1
    mapfile -t words < <(words_of "$1")
    shift 2
    pick='^train' check "step, $name" talkie bench "${words[@]}" device="$device" "$@" || return 1
    cat said
    keep "$name flops" '^train +([0-9.]+) GFLOP.*'
    keep "$name square" '^train .* of the ([0-9.]+) GFLOP.*'
    keep "$name step" '^train .*, ([0-9.]+) ms a step$'
    keep "$name pool" '^pool +([0-9.]+) MiB.*'
    keep "$name taken" '^device +([0-9.]+) MiB.*'
    for side in forward backward; do
        keep "$name $side" "^ +attention +$side .* ([0-9.]+) GFLOP\/s.*"
    done
    for side in video audio text; do
        keep "$name $side" "^step .*[ ,]([0-9]+) $side.*"
    done
    cp said "said.$name"
}

ratio() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN { if (a * b > 0) printf "%.3f", a / b; else printf "?" }'; }

# goal WHAT FIGURE {<=|>=} LIMIT [WORDS]: FIGURE is ? where nothing was measured.
goal() {
    local verdict='not measured'
    if [[ $2 != '?' && $2 ]]; then
        verdict=$(awk -v x="$2" -v op="$3" -v limit="$4" \
            'BEGIN { print (op == ">=" ? x >= limit : x <= limit) ? "met" : "missed" }')
    fi
    goals+=("$(printf '%-13s %-58s %-7s %s' "$verdict" "$1 $3 $4" "$2" "${5:-}")")
}

# The share of copies' rate that the slowest of our own kernels reaches, and which that is. Those that move little at a
# call are left out: their time is the launch's.
slowest_kernel() { # NAME
    awk -v least="$bytes_that_count" '$4 == "calls" && $1 != "linear" && $1 != "attention" {
            if ($(NF - 4) * 1e6 * $5 / $3 < least) next
            share = $(NF - 2)
            if (!n++ || share < worst) { worst = share; which = $1 " " $2 }
            if (share < 0.8) below = below " " $1 " " $2 " " share
        } END { if (n) print worst, "of " n " kernels", which ";" (below == "" ? "" : " below:" below) }' "said.$1"
}

# What plan says of a step before it runs, by the file about the machine.
planned() { # SHAPE
    local words
    mapfile -t words < <(words_of "$1")
    pick='^memory' check "plan, $1" talkie plan "${words[@]}" device="$device" parallel.data=1 plan.machine="$here/golden/h100.yaml" ||
        return 0
    keep "$1 parameters" '^parameters +([0-9]+)$'
    keep "$1 rows" '^step .* ([0-9]+) rows, .*'
    keep "$1 flop" '^step .* rows, ([0-9.e+]+) FLOP$'
    keep "$1 planned" '^memory +([0-9.]+) MiB.*'
    keep "$1 time" '^time +([0-9.]+) s.*'
}

figures() {
    local shape peak slowest
    peak=$(sed -nE '/^peaks:/,/^links:/s/.*precision: bf16, rate: ([0-9.e]+).*/\1/p' "$here/golden/h100.yaml")
    for shape in $shapes; do
        bench "$shape" default || continue
        planned "$shape"
        note figure "... step, of product, of copies" "${got[$shape.default step]} ms, $(ratio \
            "${got[$shape.default flops]}" "${got[$shape.default square]}") of the square product's rate; planned for an H100 ${got[$shape time]} s"
        got[$shape mfu]=$(awk -v f="${got[$shape.default flops]:-0}" -v p="$peak" 'BEGIN { printf "%.3f", f * 1e9 / p }')
        got[$shape unlike]=$(awk -v t="${got[$shape.default taken]:-0}" -v p="${got[$shape planned]:-0}" \
            'BEGIN { if (t * p > 0) printf "%.3f", (t > p ? t - p : p - t) / p; else printf "?" }')
        slowest=$(slowest_kernel "$shape.default")
        got[$shape kernels]=${slowest%% *} got[$shape slowest]=${slowest#* }
    done
    shape=${shapes%% *}
    bench "$shape" fp32 train.precision=fp32 && note figure "... step in fp32" "${got[$shape.fp32 step]} ms"
    return 0
}

attention() {
    local shape way by side
    local ways='own:attention=own any-order:train.deterministic=false'
    for shape in $shapes; do
        [[ ${got[$shape.default step]:-} ]] || bench "$shape" default || continue
        for way in $ways; do
            by=${way#*:}
            bench "$shape" "${way%%:*}" "$by" || continue
            note figure "... attention forward, backward" "${got[$shape.${way%%:*} forward]}, ${got[$shape.${way%%:*} backward]} GFLOP/s; $(
                for side in forward backward; do
                    printf '%s ' "$(ratio "${got[$shape.${way%%:*} $side]}" "${got[$shape.default $side]}")"
                done
            )of the default's; step ${got[$shape.${way%%:*} step]} ms"
        done
    done
    return 0
}

# ---- PyTorch ----------------------------------------------------------------------------------------

in_torch() { # WHAT WORDS...
    local what=$1
    shift
    check "$what" "${theirs[@]}" python3 "$here/torch_step.py" "$@"
}

# Rows of a document, of documents that are all alike.
each() { # SHAPE SIDE
    awk -v n="${got[$1.default $2]:-0}" -v d="${documents[$1]}" 'BEGIN { printf "%d", n / d + 0.5 }'
}

torch() {
    local shape side rows words want="import torch; torch.zeros(1, device='$torch_device')"
    if ! "${theirs[@]}" python3 -c "$want" 2>/dev/null; then
        note skip "the same steps in PyTorch" "no PyTorch here that has a $torch_device"
        return 0
    fi
    in_torch "its model is ours" golden "$here"/golden/*.h5 || true
    for shape in $shapes; do
        [[ ${got[$shape.default step]:-} ]] || bench "$shape" default || continue
        [[ ${got[$shape parameters]:-} ]] || planned "$shape"
        mapfile -t words < <(words_of "$shape")
        rows=0
        for side in video audio text; do
            words+=("$side=$(each "$shape" $side)")
            rows=$((rows + $(each "$shape" $side)))
        done
        if in_torch "PyTorch, step, $shape" step "${words[@]}" documents="${documents[$shape]}" device="$torch_device" \
            parameters="${got[$shape parameters]}" flop="${got[$shape flop]}" rows="${got[$shape rows]}"; then
            keep "$shape torch" '^torch .*: step ([0-9.]+) ms.*'
            keep "$shape held" '^torch .* ms, ([0-9.]+) MiB.*'
        fi
        if in_torch "PyTorch, cuDNN's attention, $shape" attention documents="${documents[$shape]}" rows=$rows \
            heads="$heads" head_dim="$head_dim" device="$torch_device"; then
            for side in forward backward; do
                keep "$shape direct $side" "^torch .* $side ([0-9.]+) GFLOP.*"
            done
        fi
    done
    return 0
}

# ---- goals ------------------------------------------------------------------------------------------

judge() {
    local shape side
    for shape in $shapes; do
        goal "$shape: own kernels, of copies' rate" "${got[$shape kernels]:-}" '>=' 0.8 "${got[$shape slowest]:-}"
        for side in forward backward; do
            goal "$shape: attention $side, of cuDNN called directly" \
                "$(ratio "${got[$shape.default $side]:-}" "${got[$shape direct $side]:-}")" '>=' 0.95
        done
        goal "$shape: own attention forward, of the default's" \
            "$(ratio "${got[$shape.own forward]:-}" "${got[$shape.default forward]:-}")" '>=' 0.4
        goal "$shape: own attention backward, of the default's" \
            "$(ratio "${got[$shape.own backward]:-}" "${got[$shape.default backward]:-}")" '>=' 0.3
        goal "$shape: MFU in bf16" "${got[$shape mfu]:-}" '>=' 0.5 "of the data sheet of an H100 or H200"
        goal "$shape: speed, x torch.compile's" "$(ratio "${got[$shape torch]:-}" "${got[$shape.default step]:-}")" '>=' 1.2
        goal "$shape: memory, x torch.compile's" "$(ratio "${got[$shape.default pool]:-}" "${got[$shape held]:-}")" '<=' 0.8
        goal "$shape: memory of the device, off the plan's" "${got[$shape unlike]:-}" '<=' 0.05 \
            "${got[$shape.default taken]:-?} MiB, planned ${got[$shape planned]:-?}"
    done
    goal "communication hidden behind work" '?' '>=' 0.8 "ranks share one GPU here"
    printf '\n'
    printf '%s\n' "${goals[@]}"
    [[ ! $small ]] || echo "these were small: none of this means anything but that it can be measured"
}

# ---- compute-sanitizer ------------------------------------------------------------------------------

# One operator at a time, as far as time goes.
sanitizer() {
    local tool op code clean late
    if [[ $device != cuda ]] || ! command -v compute-sanitizer >/dev/null; then
        note skip compute-sanitizer "not here"
        return 0
    fi
    for tool in memcheck racecheck; do
        clean=0 late=
        for op in $(<"$here/operators"); do
            code=0
            ((SECONDS_IN_ALL - SECONDS < 20)) && late="$late $op" && continue
            TK_TEST_OPS=" $op " timeout -k 5 45 compute-sanitizer --tool $tool --error-exitcode 9 \
                "$here/tests/test_ops_conformance" >said 2>&1 </dev/null || code=$?
            case $code in
            0) clean=$((clean + 1)) ;;
            124 | 137) late="$late $op" ;;
            *)
                if grep -qi 'device not supported' said; then
                    note skip "$tool" "refuses this device"
                    continue 2
                fi
                note FAIL "$tool, $op" "exit code $code"
                tail -n 30 said | sed 's/^/      /'
                ;;
            esac
        done
        note "$( ((clean)) && echo ok || echo skip)" "$tool" "$clean operators are clean${late:+; not done in time:$late}"
    done
    return 0
}

run() { # PART...
    local part
    prepare
    cd "$work"
    ln -s "$here/scripts" scripts
    facts
    sizes
    for part; do "$part"; done
    printf '\n'
    printf '%s\n' "${table[@]}"
    judge
    printf '%d checks, %d failed, %d s\n' ${#table[@]} $failed $SECONDS
    ((failed == 0))
}

case ${0##*/}:${1:-} in
gpu_check.sh:pack) pack "$(realpath -m "${2:-build/gpu_check.tar.xz}")" ;;
run:recipe)
    : "${OUT:?a folder for clips and runs}"
    OUT=$(realpath -m "$OUT") device=cuda
    prepare
    OUT=$OUT "$here/scripts/recipe.sh" "${@:2}"
    ;;
run: | run:cuda | run:cpu)
    device=${1:-cuda} small=${SMALL:-} torch_device=${TORCH_DEVICE:-cuda}
    [[ $device == cuda ]] || small=1
    shift $(($# > 0))
    (($#)) || set -- layouts parity operators figures attention torch sanitizer
    run "$@"
    ;;
*)
    sed -n '3,30s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
