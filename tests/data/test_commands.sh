#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# talkie data world, info and check, as a user calls them.
set -euo pipefail
TALKIE=$(realpath "${TALKIE:-build/talkie}")
media=$PWD/tests/media/big-buck-bunny.mp4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir one three

fail() {
    echo "$1" >&2
    exit 1
}
# expect CODE WORDS COMMAND...: the command exits with CODE and says WORDS once
expect() {
    local want=$1 words=$2 code=0
    shift 2
    "$@" >out 2>&1 || code=$?
    [[ $code == "$want" ]] || { cat out >&2; fail "exit code $code, not $want: $*"; }
    [[ $(grep -c -- "$words" out) == 1 ]] || { cat out >&2; fail "not once '$words': $*"; }
}
make=("$TALKIE" data world -o a.h5 world.clips=30 codec.fit_clips=8 media.width=32 media.height=32
    world.seconds=2 codec.video_channels=32 codec.audio_channels=32)

(cd one && "${make[@]}" >/dev/null 2>&1)
(cd three && mpirun -n 3 "${make[@]}" >/dev/null 2>&1)
cmp one/a.h5 three/a.h5 || fail "one rank and three ranks make different bytes"
cites=(-o cites.h5 world.clips=6 codec.fit_clips=4 world.references=0.8)
(cd one && "${make[@]}" "${cites[@]}" >/dev/null 2>&1)
(cd three && mpirun -n 2 "${make[@]}" "${cites[@]}" >/dev/null 2>&1)
cmp one/cites.h5 three/cites.h5 || fail "one rank and two ranks make different references"
expect 0 "6 clips and 8 references, all whole" "$TALKIE" data check one/cites.h5

expect 0 "clips     30, 60.0 s in all" "$TALKIE" data info one/a.h5
expect 0 "16x32x32: 30, 8 x 2 x 2, 41 x 1" "$TALKIE" data info one/a.h5
expect 0 "30 clips, all whole" "$TALKIE" data check one/a.h5
expect 0 "30 clips, all whole" mpirun -n 2 "$TALKIE" data check three/a.h5

# One thread means one: neither the codec nor a film that is read takes the cores of other ranks.
one_thread() { # COMMAND...: it says parallel.threads=1 and never has more
    local pid most=0 n
    OMP_NUM_THREADS=5 "$@" parallel.threads=1 >out 2>&1 &
    pid=$!
    while n=$(find "/proc/$pid/task" -maxdepth 1 -mindepth 1 2>/dev/null | wc -l) && ((n)); do
        ((n <= most)) || most=$n
    done
    wait "$pid" || { cat out >&2; fail "exit code $?: $*"; }
    ((most == 1)) || fail "$most threads, not 1: $*"
}
one_thread "${make[@]}" -o thread.h5 world.clips=8

# Bytes overwritten in the codec, which lies in the first half of the file, and in the rows after it.
size=$(stat -c %s one/a.h5)
cp one/a.h5 codec.h5
printf '\377\376' | dd of=codec.h5 bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 2 "codec.h5.*codec" "$TALKIE" data check codec.h5
printf '\377\377' | dd of=one/a.h5 bs=1 seek=$((size * 2 / 3)) conv=notrunc status=none
expect 2 "1 of 30 clips are damaged" "$TALKIE" data check one/a.h5
grep -q "\"world 1/" out || fail "the damaged clip is not named"
head -c $((size / 3)) three/a.h5 >cut.h5
expect 2 "cut.h5" "$TALKIE" data check cut.h5
echo "not a clip file" >text.h5
expect 2 "text.h5" "$TALKIE" data info text.h5
expect 2 "none.h5" mpirun -n 2 "$TALKIE" data check none.h5

expect 2 "-o FILE" "$TALKIE" data world world.clips=2
expect 2 "multiple of codec.patch_size" "$TALKIE" data world -o b.h5 media.width=40
expect 2 "world.clip" "$TALKIE" data world -o b.h5 world.clip=2
# All that is wrong is told at once: options, what they name, what depends on neither.
says() { # LINES COMMAND...: exit code 2 and exactly these lines, by how they begin
    local code=0 line told lines=$1
    shift
    "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] || { cat out >&2; fail "exit code $code, not 2: $*"; }
    sed '/^-----/,$d; /^ *$/d; s/^talkie: //; s/^rank 0: //; s/^  *//' out >said
    while read -r line <&3 && read -r told <&4; do
        [[ $told == "$line"* ]] || { cat out >&2; fail "'$told' stands where '$line' is wrong"; }
    done 3<<<"$lines" 4<said
    [[ $(wc -l <said) == $(wc -l <<<"$lines") ]] || { cat out >&2; fail "not the lines that are wrong: $*"; }
}
world='command line: world.clips: x is not a whole number
command line: media.width: 40 is not a multiple of codec.patch_size 16
command line: codec.from: cannot open
command line: world.things: world.things and world.people are both 0
output: where to?'
says "$world" "$TALKIE" data world world.clips=x codec.from=none.h5 media.width=40 world.things=0 world.people=0
says "$world" mpirun -n 2 "$TALKIE" data world world.clips=x codec.from=none.h5 media.width=40 world.things=0 \
    world.people=0
echo nothing >dull.mp4
cp dull.mp4 told.mp4
printf '<face 1> Ada: none.png\nwhat\n' >told.references
import='command line: media.fps: x is not a whole number
command line: codec.from: cannot open
command line: import.empty_features: cannot open
command line: none.mp4: cannot be opened: No such file
output: say where to write the clips: -o my.h5
told.references:1: cannot open none.png
told.references:2: "what" is not of the form'
says "$import" "$TALKIE" data import dull.mp4 none.mp4 told.mp4 import.bad=stop import.empty_features=x.npy codec.from=y \
    media.fps=x
# a list's lines that no clip could cite
touch ada.png
long=$(printf 'n%.0s' {1..65})
printf '<face 1>: ada.png\n<%s>: ada.png\n<face 2> %s: ada.png\n<face 1>: ada.png\n' "$long" "$long" >told.references
for i in {3..70}; do echo "<face $i>: ada.png"; done >>told.references
says 'told.references:2: <nnn
told.references:3: <face 2> nnn
told.references:4: there are two references <face 1>
told.references:68: more than 64 references' "$TALKIE" data import told.mp4 -o b.h5
says 'command line: import.clip_seconds: x is not a number
command line: dull.mp4: ' "$TALKIE" data import dull.mp4 import.bad=stop -o b.h5 import.clip_seconds=x
[[ ! -e b.h5 ]] || fail "something was written"
expect 2 "none.mp4" "$TALKIE" data import "$media" none.mp4 -o b.h5 # bad files are left out, slips are not
[[ ! -e b.h5 ]] || fail "an import without one of its files is written"
# a line about a file says what was changed in it, whichever rank it was dealt to; none says nothing
bunny=("$TALKIE" data import "$media" "$media" -o c.h5 codec.patch_size=4 codec.fit_clips=2 import.clip_seconds=5
    codec.audio_channels=32)
mpirun -n 2 "${bunny[@]}" media.width=32 media.height=32 media.sample_rate=16000 media.channels=1 >out 2>&1
[[ $(grep -c "^$media: cropped from 1.78:1 to 1.00:1, sound downmixed from stereo, sound resampled from 48000 Hz$" out) == 2 ]] ||
    { cat out >&2; fail "not told what was changed"; }
"${bunny[@]}" media.width=64 media.height=36 media.sample_rate=48000 media.channels=2 >out 2>&1
grep "^$media:" out && fail "told of changes where there are none"
cp "$media" hurt.mp4
dd if=/dev/zero of=hurt.mp4 bs=1 count=3000 seek=$(($(stat -c %s hurt.mp4) / 2)) conv=notrunc status=none
expect 0 "^hurt.mp4: sound resampled from 48000 Hz.*; [1-4] of its 5 clips hold damage and are left out" "$TALKIE" data \
    import hurt.mp4 -o c.h5 codec.patch_size=4 codec.fit_clips=2 import.clip_seconds=1 codec.audio_channels=32 \
    media.width=64 media.height=36 media.sample_rate=16000 media.channels=2
# names of the release before
expect 0 "is called data world now" "$TALKIE" data stage -o old.h5 stage.clips=2 stage.seconds=2 media.width=32 \
    media.height=32 codec.fit_clips=2 codec.video_channels=32 codec.audio_channels=32
grep -q "the section is called world: now" out || fail "the old section is taken in silence"
printf "stage: {clips: 2}\nworld: {clips: 2}\n" >old.yaml
expect 2 "world.clips: given twice" "$TALKIE" data world old.yaml -o old.h5
expect 2 "there is no .talkie data stagee" mpirun -n 2 "$TALKIE" data stagee
expect 2 "/nowhere" "$TALKIE" data world -o /nowhere/b.h5 world.clips=2 codec.fit_clips=1
[[ ! -e b.h5 && ! -e b.h5.part ]] || fail "a file was left behind"
expect 0 "talkie data check FILE" "$TALKIE" data --help
