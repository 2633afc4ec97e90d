#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what talkie is built and tested with and is not here yet, as Debian packages. What is here
# need not come from a package: it is looked for, not asked after. Safe to run any number of times:
# when nothing is missing it says so and does nothing. Where it cannot install (no apt-get, no root)
# it says what is missing, and fails only if talkie cannot be built or tested without that.
#
#     scripts/setup.sh [--cluster|--fuzz]     with what the test on a real Slurm needs, skipped
#                                             without; with what make fuzz needs
set -euo pipefail

# package | how it shows that it is here | why
packages='
gcc               | command gcc                    | compiler
make              | command make                   | runs the Makefile
pkg-config        | command pkg-config             | finds the libraries below
libopenmpi-dev    | module ompi-c                  | MPI: talks between ranks
openmpi-bin       | command mpirun                 | mpirun
libhdf5-dev       | module hdf5-serial hdf5        | clip files and checkpoints
libyaml-dev       | module yaml-0.1                | configs and storyboards
libdnnl-dev       | header dnnl.h                  | oneDNN: matrix products on the CPU
liblapacke-dev    | module lapacke                 | LAPACK: axes of the codec; its interface for C
liblapack-dev     | module lapack-netlib           | ... the reference implementation, to be linked statically
libblas-dev       | module blas-netlib             | ... and the BLAS below it
libavformat-dev   | module libavformat             | reads and writes media containers
libavcodec-dev    | module libavcodec              | decodes and encodes video and audio
libavutil-dev     | module libavutil               | frames, sample formats and time bases of the two above
libavfilter-dev   | module libavfilter             | deinterlaces pictures, tone-maps HDR
libswscale-dev    | module libswscale              | resizes and converts frames
libswresample-dev | module libswresample           | resamples sound
libcairo2-dev     | module cairo-ft                | contact sheets, curves
libfontconfig-dev | module fontconfig              | finds a font for the script of a caption; brings fonts-dejavu-core
libjansson-dev    | module jansson                 | JSON: metrics, clip lists, reports
libxxhash-dev     | module libxxhash               | checksums of samples and checkpoints
flite1-dev        | header flite/flite.h           | flite: characters speak
libpocketsphinx-dev | module pocketsphinx          | pocketsphinx: hears which words are spoken
pocketsphinx-en-us | file /usr/share/pocketsphinx/model/en-us/en-us/mdef | ... its model of English
libtesseract-dev  | module tesseract               | tesseract: reads text in pictures
tesseract-ocr-eng | file /usr/share/tesseract-ocr/5/tessdata/eng.traineddata | ... its data of English
libcbor-dev       | module libcbor                 | CBOR: manifests of clips
libsodium-dev     | module libsodium               | keys, signatures and hashes of cameos
libssl-dev        | module libcrypto               | OpenSSL: signs them, checks who signed
libicu-dev        | module icu-i18n                | ICU: normal forms and look-alikes of letters, for filters
libkissfft-dev    | module kissfft-float           | Fourier transforms: sound by its spectrum
libfec-dev        | header fec.h                   | libfec: error correction of marks in clips
libcmocka-dev     | module cmocka                  | unit tests
openssl           | command openssl                | makes the authority that tests sign by
'
# Tests that need these are skipped without, or take longer.
spared_packages='
ffmpeg            | command ffmpeg                 | makes odd media files for the tests of the import
chromium          | command chromium               | opens the page of a gallery in its test
clang-format-14   | command clang-format-14        | style check
lld               | command ld.lld                 | links the programs of tests in a quarter of the time
'
# They bring daemons, which Debian starts where it can: only where they are asked for.
cluster_packages='
slurmctld         | command slurmctld              | for the cluster test: the controller
slurmd            | command slurmd                 | for the cluster test: a node, and the plugin that starts ranks (PMIx)
slurm-client      | command srun                   | for the cluster test: sbatch, srun, scontrol
munge             | command munged                 | for the cluster test: what Slurm knows its own by
iproute2          | command ip                     | for the cluster test: hosts out of network namespaces; cut and slow links
'
fuzz_packages='
clang-14          | command clang-14               | for make fuzz: the compiler
libclang-rt-14-dev | clang libclang_rt.fuzzer-x86_64.a | for make fuzz: libFuzzer and sanitizers
libomp-14-dev     | clang include/omp.h            | for make fuzz: what loops on threads ask
'

case ${1:-}${2:+ } in
'') ;;
--cluster) packages+=$cluster_packages ;;
--fuzz) packages+=$fuzz_packages ;;
*)
    echo "usage: scripts/setup.sh [--cluster|--fuzz]" >&2
    exit 2
    ;;
esac

trim() {
    local s=$1
    s=${s#"${s%%[![:space:]]*}"}
    printf '%s' "${s%"${s##*[![:space:]]}"}"
}

# here KIND NAME...: whether any of these is here.
here() {
    local kind=$1 name
    for name in "${@:2}"; do
        case $kind in
        command) command -v "$name" ;;
        module) pkg-config --exists "$name" ;;
        file) ls "$name" ;;
        header) printf '#include <%s>\n' "$name" | gcc -E -xc - ;;
        clang) [[ -e $(clang-14 -print-file-name="$name") ]] ;;
        esac >/dev/null 2>&1 && return
    done
    return 1
}

names=() needed=() # missing; those of them that must not be
declare -A why=()
total=0
look() { # TABLE, and whether its packages are needed
    local name sign reason
    while IFS='|' read -r name sign reason; do
        name=$(trim "$name")
        [[ $name ]] || continue
        total=$((total + 1))
        # shellcheck disable=SC2086
        here $sign && continue
        names+=("$name")
        why[$name]=$(trim "$reason")
        [[ $2 == no ]] || needed+=("$name")
    done <<<"$1"
}
look "$packages" yes
look "$spared_packages" no
if ((${#names[@]} == 0)); then
    echo "setup: all $total packages, or what they hold, are here"
    exit 0
fi

list() {
    for name in "$@"; do printf '  %-18s %s\n' "$name" "${why[$name]}"; done
}

# Nothing can be installed, for the reason given: that is the end if something needed is missing.
go_on() {
    if ((${#needed[@]})); then
        echo "setup: $1. Needed, by Debian's names:" >&2
        list "${needed[@]}" >&2
        exit 1
    fi
    echo "setup: $1. Going on without these, some tests are skipped:"
    list "${names[@]}"
    exit 0
}

root=()
command -v apt-get >/dev/null || go_on "no apt-get here"
if [[ $(id -u) != 0 ]]; then
    if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; }; then
        go_on "neither root nor sudo here, else: apt-get install ${names[*]}"
    fi
    root=(sudo)
fi

echo "setup: installing ${#names[@]} of $total packages:"
list "${names[@]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" \
        >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    go_on "'apt-get $1' failed, see above"
}
apt update
apt install --no-install-recommends "${names[@]}"
echo "setup: done"
