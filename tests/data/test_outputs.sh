#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# What commands write: never over an input or someone else's file, refused before any work where it
# cannot be written, whole or not there, and nothing left of runs that died. What they read: regular
# files only.
set -euo pipefail
command -v ffmpeg >/dev/null || { echo 'skipped: ffmpeg, which makes its media files, is not here'; exit 77; }
TALKIE=$(realpath "${TALKIE:-build/talkie}")
golden=$(realpath tests/golden/odd.h5)
. scripts/env.sh 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    echo "$1" >&2
    exit 1
}
# expect CODE WORDS COMMAND...: the command exits with CODE within seconds and says WORDS once
expect() {
    local want=$1 words=$2 code=0
    shift 2
    timeout 20 "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || { cat out >&2; fail "exit code $code, not $want: $*"; }
    [[ $(grep -c -- "$words" out) == 1 ]] || { cat out >&2; fail "not once '$words': $*"; }
}
# refuse WORDS COMMAND...: exit code 2 before any work
refuse() {
    expect 2 "$@"
    ! grep -qE "looking at|fitting|filming|step" out || { cat out >&2; fail "found late: $*"; }
}
no_litter() {
    [[ -z $(find . -name '*.part*') ]] || { find . -name '*.part*' >&2; fail "left behind: $1"; }
}
tiny=(media.width=32 media.height=32 media.fps=8 media.sample_rate=8000 codec.video_channels=16
    codec.audio_channels=8 codec.fit_clips=4)
make=("$TALKIE" data world "${tiny[@]}" world.seconds=2 world.clips=4)
import=("$TALKIE" data import "${tiny[@]}")
for name in a b; do
    ffmpeg -v error -f lavfi -i testsrc2=size=64x64:rate=8:duration=6 -c:v mjpeg $name.mov
done

# An output that is an input, by any name
ln -s a.mov soft.mov
ln a.mov hard.mov
cp a.mov before
for name in a.mov ./a.mov "$PWD/a.mov" soft.mov hard.mov; do
    refuse "same file as the input" "${import[@]}" b.mov a.mov -o "$name"
done
cmp a.mov before || fail "the source was written over"
"${import[@]}" a.mov -o codec.h5 >/dev/null 2>&1
refuse "same file as the input $PWD/codec.h5" "${import[@]}" a.mov -o ./codec.h5 codec.from=codec.h5

# Someone else's file; an own one is replaced
echo "a letter" >letter.h5
cp "$golden" other.h5
for name in letter.h5 other.h5 before; do
    refuse "not a clip file of talkie's" "${import[@]}" a.mov -o $name
    refuse "not a clip file of talkie's" "${make[@]}" -o $name
done
grep -q "a letter" letter.h5 && cmp other.h5 "$golden" || fail "someone else's file has changed"
expect 0 "codec.h5: " "${make[@]}" -o codec.h5

# Outputs that cannot be written
mkdir folder
long=$(printf 'n%.0s' {1..300})
refuse "is a folder" "${import[@]}" a.mov -o folder
refuse "is a folder" "${make[@]}" -o new/
refuse "folder is not there" "${import[@]}" a.mov -o no/x.h5
refuse "a file stands where" "${make[@]}" -o before/x.h5
refuse "too long" "${import[@]}" a.mov -o "$long"
refuse "too long" "${make[@]}" -o "$long"
refuse "not writable" "${make[@]}" -o /sys/kernel/x.h5
refuse "not a regular file" "${make[@]}" -o /dev/null
if [[ $(id -u) != 0 ]]; then
    chmod a-w folder
    refuse "not writable" "${make[@]}" -o folder/x.h5
fi
# ... nor can the codec's file, which is written once a codec is fitted
refer=(-o refers.h5 codec.store=refer)
refuse "codec.file: .*folder is not there" "${import[@]}" a.mov "${refer[@]}" codec.file=no/x.h5
refuse "codec.file: .*folder is not there" "${make[@]}" "${refer[@]}" codec.file=no/x.h5
refuse "codec.file: .*before is not an HDF5 file" "${import[@]}" a.mov "${refer[@]}" codec.file=before
expect 0 "refers.h5: " "${import[@]}" a.mov "${refer[@]}" codec.file=kept.h5
refuse "codec.file: .*holds codec" "${make[@]}" "${refer[@]}" codec.from=codec.h5 codec.file=kept.h5
no_litter "refused outputs"

# A run that dies while it writes leaves a temporary; the next that writes the path removes it.
for signal in KILL TERM; do
    left=$(find . -name 'dead.h5.part-*') # of the run before, not yet removed
    "${make[@]}" world.clips=4000 -o dead.h5 >/dev/null 2>&1 &
    pid=$!
    until [[ -n $(find . -name 'dead.h5.part-*' -size +0 ! -path "${left:-none}") ]]; do
        kill -0 $pid 2>/dev/null || fail "the run ended before it could be killed"
        sleep 0.05
    done
    kill -$signal $pid
    wait $pid 2>/dev/null || true
    [[ ! -e dead.h5 ]] || fail "half a file has its final name"
done
[[ -n $(find . -name 'dead.h5.part-*') ]] || fail "the runs left nothing: this tests nothing"
expect 0 "dead.h5: " "${make[@]}" -o dead.h5
no_litter "dead runs"

# Two at a time with one output: both succeed, the file is one of theirs, whole
for name in a b; do
    "${import[@]}" $name.mov -o both.h5 import.clip_seconds=1 >$name.out 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || { cat a.out b.out >&2; fail "one of two failed"; }; done
expect 0 "all whole" "$TALKIE" data check both.h5
no_litter "two at a time"

# What would never end is not waited for
mkfifo pipe.mov pipe.yaml pipe.h5
cp a.mov c.mov
mkfifo c.txt
expect 2 "c.txt is a pipe" "${import[@]}" c.mov -o x.h5
expect 2 "pipe.mov is a pipe" "${import[@]}" pipe.mov -o x.h5
expect 2 "/dev/zero is a device" "${import[@]}" /dev/zero -o x.h5
expect 2 "pipe.h5 is a pipe" "$TALKIE" data check pipe.h5
for command in "data world" sample eval; do
    # shellcheck disable=SC2086
    expect 2 "pipe.yaml is a pipe" "$TALKIE" $command pipe.yaml
done
expect 2 "pipe.h5 is .*not a regular file" "$TALKIE" eval pipe.h5
expect 2 "pipe.h5 is a pipe" "$TALKIE" parity pipe.h5
echo 'data: {files: [pipe.h5]}' >train.yaml
expect 2 "pipe.h5 is a pipe" "$TALKIE" train train.yaml
rm c.txt
ln -s /dev/zero c.txt
expect 2 "c.txt is a device" "${import[@]}" c.mov -o x.h5
rm c.txt
printf '\xEF\xBB\xBFa ball rolls' >c.txt
expect 0 "x.h5: " "${import[@]}" c.mov -o x.h5
expect 0 "c.mov @ 0.00 s" "$TALKIE" data info x.h5
grep -q "s  a ball rolls" out || fail "the caption is not what was written"
! grep -q $'\xEF\xBB\xBF' out || fail "the caption keeps its byte order mark"
printf '\xEF\xBB\xBFstage: {clips: 2}\n' >mark.yaml
expect 0 "y.h5: 2 clips" "$TALKIE" data world mark.yaml -o y.h5 "${tiny[@]}" world.seconds=2

# A limit on the size of files, of the ranks alone: mpirun's own helpers do not survive one.
little=(mpirun -n 1 bash -c 'ulimit -f 40; exec "$@"' little)
expect 4 "talkie: .*big.h5" "${little[@]}" "$TALKIE" data world mark.yaml -o big.h5 "${tiny[@]}" world.clips=200
expect 4 "talkie: .*big.h5" "${little[@]}" "${import[@]}" c.mov -o big.h5 media.width=256 media.height=256
compgen -G 'big.h5*' && fail "a file that may not grow leaves something behind"
exit 0
