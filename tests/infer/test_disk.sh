#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240; waits: mostly
# Disks that get full and disks that are slow, under whole commands on two ranks.
#
# Full: a tmpfs of little room (root and a mount namespace; skipped else). Whatever is written when it ends,
# the command says so within seconds with code 4, nothing half-written is left, and with room again the same
# command gives what it gives on a disk that was never full. Slow: a rank whose every write takes so long that
# a file takes longer than others wait for a sign of life is not taken for dead.
set -uo pipefail
if [[ ${1:-} != inside ]]; then
    unshare --mount true 2>/dev/null || {
        echo "skipped: no mount namespace can be had here (root is needed)"
        exit 77
    }
    exec unshare --mount "$0" inside
fi
cd "$(dirname "$0")/../.." || exit 1
talkie=$(realpath "${TALKIE:-build/talkie}")
faulty=$(realpath "${BUILD:-build}")/tests/support/faulty
tiny=$PWD/configs/tiny.yaml
. scripts/env.sh 2
export OMP_NUM_THREADS=1 OMPI_MCA_odls_base_sigkill_timeout=0
work=$(mktemp -d)
trap 'umount "$work/disk" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir disk
mount -t tmpfs -o size=4m tmpfs disk || exit 1
failed=0 full=0

fail() { # WORDS
    echo "$1"
    sed 's/^/    /' said
    failed=$((failed + 1))
}

on_two() { # WORDS...: the exit code, 124 where it hangs
    timeout -k 5 60 mpirun -n 2 "$talkie" "$@" >said 2>&1
}

give() { # KIB: so much room is left on the disk, but for what a page is rounded up to
    rm -f disk/rest
    local free
    free=$(df --output=avail -k disk | tail -n 1)
    ((free <= $1)) || head -c $(((free - $1) * 1024)) /dev/zero >disk/rest
}

losses_of() { # RUN
    sed -E 's/"lr".*//' "$1/metrics.jsonl"
}

litter() {
    find disk -name '*.tmp*' -o -name '*.part*' -o -name '.*'
}

# ended WHAT CODE FILE...: a command on a full disk did all or nothing of its files.
ended() {
    local what=$1 code=$2 file there=0
    shift 2
    for file in "$@"; do [[ ! -e $file ]] || there=$((there + 1)); done
    case $code in
    0) ((there == $#)) || fail "$what: said to be done with $there of $# files" ;;
    4) full=$((full + 1))
        ((there == 0)) || fail "$what: failed and left $there of $# files" ;;
    *) fail "$what: exit code $code" ;;
    esac
    [[ -z $(litter) ]] || fail "$what: leaves $(litter)"
    rm -f "$@"
}

# Training: checkpoints pile up until one has no room.
train=(train "$tiny" data.files=clips.h5 parallel.pipeline=2 train.steps=40 train.checkpoint_every=2 train.keep=30)
"$talkie" data world "$tiny" -o clips.h5 >said 2>&1 || fail "the data cannot be made"
on_two "${train[@]}" train.out=straight || fail "training fails by itself"
on_two "${train[@]}" train.out=disk/run
code=$?
((code == 4)) || fail "training on a disk that gets full ends with $code"
grep -qE '^talkie: .*(disk full|free)' said || fail "a full disk is not named"
[[ $(grep -c '^talkie: ' said) == 1 ]] || fail "not one message"
[[ -z $(litter) ]] || fail "training leaves $(litter)"
[[ -e disk/run/step-00000002.h5 ]] || fail "the checkpoint committed before is gone"
mount -o remount,size=64m disk
on_two "${train[@]}" train.out=disk/run || fail "training does not go on with room again"
grep -q resuming said || fail "training begins anew"
cmp -s <(losses_of straight) <(losses_of disk/run) || fail "the run that met a full disk has other losses"
rm -rf disk/run
mount -o remount,size=4m disk

# A clip: MP4, sheet and provenance. Data: one file.
printf '%s\n' 'checkpoint: straight' 'shots: [{seconds: 1, prompt: a red ball}]' >story.yaml
mkdir away
on_two sample story.yaml -o disk/clip && on_two data world "$tiny" -o disk/data.h5 || fail "a clip and data fail by themselves"
mv disk/* away
for room in 0 16 64; do
    give $room
    on_two sample story.yaml -o disk/clip
    ended "sample with $room KiB" $? disk/clip.mp4 disk/clip.png disk/clip.json
    give $room
    on_two data world "$tiny" -o disk/data.h5
    ended "data world with $room KiB" $? disk/data.h5
done
# Rows of clips are paid for before the first one is made.
give 300
on_two data world "$tiny" world.clips=128 -o disk/data.h5
code=$?
((code == 4)) || fail "many clips on a disk without room for them end with $code"
! grep -q filming said || fail "clips are made for which there is no room"
ended "data world with 300 KiB" $code disk/data.h5
((full >= 3)) || fail "only $full commands met a full disk: this tests little"
rm -f disk/rest
on_two sample story.yaml -o disk/clip || fail "no clip is made with room again"
cmp disk/clip.mp4 away/clip.mp4 || fail "with room again it is another clip"
on_two data world "$tiny" -o disk/data.h5 || fail "no data is made with room again"
cmp disk/data.h5 away/data.h5 || fail "with room again it is other data"
rm -f disk/clip.* disk/data.h5

# Jobs: one that is begun loses no try; then none is begun on a disk that stays full, and all are done when there is
# room again.
mkdir -p disk/spool/new
for name in a b; do { echo 'job: {tries: 1}' && cat story.yaml; } >disk/spool/new/$name.yaml; done
sed -i '/^checkpoint:/d' disk/spool/new/*.yaml
mount -o remount,size=256k disk
"$talkie" serve disk/spool checkpoint=straight serve.once=1 serve.poll=0.1 >said 2>&1 &
worker=$!
for ((i = 0; i < 1500; i++)); do
    grep -qE 'until the disk of .* has 64 MiB free|jobs done' said && break
    sleep 0.04
done
mount -o remount,size=100m disk
wait $worker || fail "a worker on a disk that was full fails"
grep -q 'disk full' said || fail "no job met a full disk: this tests little"
grep -q '2 jobs done, 0 failed' said || fail "a full disk fails jobs that wait"
rm -rf disk/spool

# Slow: what all writes of a rank take together is more than others wait for a sign of life; what the HDF5
# library writes at once, on rank 0, is less.
slow() { # RANK MILLISECONDS TIMEOUT SECONDS-AT-LEAST
    local begin=$EPOCHREALTIME run=slow-$1
    TALKIE_COMM_TIMEOUT=$3 timeout 100 mpirun -n 2 "$faulty" "$1" slow "$2" "${train[@]}" train.out="$run" \
        train.checkpoint_every=40 >said 2>&1 || fail "a slow disk of rank $1 ends the run"
    awk -v a="$begin" -v b="$EPOCHREALTIME" -v least="$4" 'BEGIN { exit !(b - a > least) }' ||
        fail "the disk of rank $1 was not slow: the run took less than $4 s"
    cmp -s <(losses_of straight) <(losses_of "$run") || fail "a slow disk of rank $1 makes other losses"
    on_two "${train[@]}" train.out="$run" || fail "the checkpoint of a slow disk is not whole"
}
slow 1 60 2 4
slow 0 20 60 3
((failed == 0))
