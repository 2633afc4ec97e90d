#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages talkie is built and tested with. Safe to run any number of times:
# when nothing is missing it says so and does nothing.
#
#     scripts/setup.sh [--cluster]     with what the test on a real Slurm needs, skipped without
set -euo pipefail

if [[ $# -gt 1 || ${1:---cluster} != --cluster ]]; then
    echo "usage: scripts/setup.sh [--cluster]" >&2
    exit 2
fi

# package | why
packages='
gcc               | compiler
make              | runs the Makefile
pkg-config        | finds the libraries below
libopenmpi-dev    | MPI: talks between ranks
openmpi-bin       | mpirun
libhdf5-dev       | clip files and checkpoints
libyaml-dev       | configs and storyboards
libdnnl-dev       | oneDNN: matrix products on the CPU
libavformat-dev   | reads and writes media containers
libavcodec-dev    | decodes and encodes video and audio
libavutil-dev     | frames, sample formats and time bases of the two above
libswscale-dev    | resizes and converts frames
libswresample-dev | resamples sound
libpng-dev        | contact sheets, curves
libjansson-dev    | JSON: metrics, clip lists, reports
libxxhash-dev     | checksums of samples and checkpoints
libcmocka-dev     | unit tests
ffmpeg            | makes odd media files for the tests of the import
clang-format-14   | style check
'
# They bring daemons, which Debian starts where it can: only where they are asked for.
cluster_packages='
slurmctld         | for the cluster test: the controller
slurmd            | for the cluster test: a node, and the plugin that starts ranks (PMIx)
slurm-client      | for the cluster test: sbatch, srun, scontrol
munge             | for the cluster test: what Slurm knows its own by
iproute2          | for the cluster test: hosts out of network namespaces; cut and slow links
'
if [[ ${1:-} == --cluster ]]; then packages+=${cluster_packages#$'\n'}; fi

trim() {
    local s=$1
    s=${s#"${s%%[![:space:]]*}"}
    printf '%s' "${s%"${s##*[![:space:]]}"}"
}

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system; install these yourself:$packages" >&2
    exit 1
fi

names=()
declare -A why=()
while IFS='|' read -r name reason; do
    name=$(trim "$name")
    [[ $name ]] || continue
    names+=("$name")
    why[$name]=$(trim "$reason")
done <<<"$packages"

declare -A have=()
while read -r name status; do
    [[ $status == ii* ]] && have[${name%%:*}]=1
done < <(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "${names[@]}" 2>/dev/null || true)

missing=()
for name in "${names[@]}"; do [[ ${have[$name]:-} ]] || missing+=("$name"); done
if ((${#missing[@]} == 0)); then
    echo "setup: all ${#names[@]} packages are installed"
    exit 0
fi

echo "setup: installing ${#missing[@]} of ${#names[@]} packages:"
for name in "${missing[@]}"; do printf '  %-18s %s\n' "$name" "${why[$name]}"; done

root=()
if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
        echo "setup: neither root nor sudo here; as root run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" \
        >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    echo "setup: 'apt-get $1' failed, see above; then run scripts/setup.sh again" >&2
    exit 1
}
apt update
apt install --no-install-recommends "${missing[@]}"
echo "setup: done"
