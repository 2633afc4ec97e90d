#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 180
# Marked clips as a person makes and asks after them: what is found, what is not, exit codes, reports; and
# keys that are refused before any work.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../../support/small.sh"

expect() { # CODE TEXT WORDS...: what talkie answers
    local code=0
    "$talkie" "${@:3}" >out 2>&1 || code=$?
    [[ $code == "$1" ]] || fail "talkie ${*:3}: exit code $code, not $1"
    grep -qF -- "$2" out || fail "talkie ${*:3} does not say \"$2\""
}

printf 'one key that nobody can guess' >key && chmod 600 key
printf 'another that nobody can guess' >other && chmod 600 other
"$talkie" data world run.yaml -o clips.h5 >out 2>&1 || fail "the data cannot be made"
"$talkie" train run.yaml >out 2>&1 || fail "training fails"
cat >clip.yaml <<'YAML'
checkpoint: run
shots: [{seconds: 1, prompt: a red ball}, {seconds: 1, prompt: a ball}, {seconds: 1, prompt: a blue ball}]
sample: {steps: 1}
YAML
"$talkie" sample clip.yaml -o plain.mp4 >out 2>&1 || fail "plain.mp4 is not made"
"$talkie" sample clip.yaml -o marked.mp4 watermark.key=key >out 2>&1 || fail "marked.mp4 is not made"
"$talkie" sample clip.yaml -o again.mp4 watermark.key=key parallel.threads=2 >out 2>&1 || fail "again.mp4 is not made"
cmp -s marked.mp4 again.mp4 || fail "a marked clip is not the same twice"
cmp -s plain.mp4 marked.mp4 && fail "a marked clip is as the plain one"

# What it says is in the clip's description; it is too short to say more than the last four digits.
says=$(sed -n 's/.*"payload": "000000000000\(....\)".*/\1/p' marked.json)
[[ $says ]] || fail "marked.json does not say what the mark says"
grep -q '"watermark"' plain.json && fail "plain.json speaks of a mark"
expect 0 "it says $says (16 bits)" verify marked.mp4 watermark.key=key -o report.json
grep -q "\"payload\": \"$says\"" report.json || fail "the report says something else"
expect 1 'bears no mark of this key' verify marked.mp4 watermark.key=other -o report.json
grep -q '"payload": null' report.json || fail "the report of another key says something"
expect 1 'bears no mark of this key' verify plain.mp4 watermark.key=key
expect 1 'has no manifest' verify marked.mp4
"$talkie" sample clip.yaml -o told.mp4 watermark.key=key watermark.payload=ABCDEF >out 2>&1 || fail "told.mp4 is not made"
expect 0 'it says cdef (16 bits)' verify told.mp4 watermark.key=key
expect 0 'finished already' sample clip.yaml -o marked.mp4 watermark.key=key

# Before any work, with nothing left behind.
refused() { # TEXT OPTIONS...
    expect 2 "$1" sample clip.yaml -o refused.mp4 "${@:2}"
    [[ -z $(compgen -G 'refused*') ]] || fail "refused, and left something"
}
printf short >short
head -c 64 /dev/zero >zeros
chmod 600 short zeros
refused 'gone' watermark.key=gone
refused 'is no key for marks' watermark.key=short
refused 'nearly all the same' watermark.key=zeros
refused '/' watermark.key=/
cp key open && chmod 640 open
refused 'open has mode 0640: others than its owner may read it; chmod 600 open' watermark.key=open
refused 'command line: watermark.payload: xyz: up to 16 hexadecimal' watermark.key=key watermark.payload=xyz
refused 'hexadecimal' watermark.key=key watermark.payload=12345678123456781
refused 'nothing is marked' watermark.payload=12
expect 2 'is no key for marks' verify marked.mp4 watermark.key=short
expect 2 'key' verify key watermark.key=key
expect 2 'gone.mp4' verify gone.mp4 watermark.key=key
expect 2 'no MP4 file' verify key

# Encoded anew, smaller, into a file of another kind.
command -v ffmpeg >/dev/null || exit 0
ffmpeg -v error -nostdin -i marked.mp4 -vf scale=iw/2:ih/2 -crf 28 smaller.mkv 2>out || fail "ffmpeg"
expect 0 "it says $says (16 bits)" verify smaller.mkv watermark.key=key
expect 2 'no MP4 file' verify smaller.mkv
ffmpeg -v error -nostdin -i smaller.mkv -vf transpose=1,hflip -crf 28 turned.mp4 2>out || fail "ffmpeg"
expect 0 'mirrored, turned by 270 degrees)' verify turned.mp4 watermark.key=key -o report.json
grep -q '"turned": 270' report.json || fail "the report does not say how the picture lies"

# Another sound before the marked one, and no mark in the picture: a player may choose either sound. One that cannot
# be heard is said, and the others are.
ffmpeg -v error -nostdin -i plain.mp4 -i marked.mp4 -map 0:v -map 0:a -map 1:a -c copy two.mp4 2>out || fail "ffmpeg"
expect 0 'sound: found' verify two.mp4 watermark.key=key
ffmpeg -v error -nostdin -i plain.mp4 -map 0:v -map 0:a -map 0:a -c copy twice.mp4 2>out || fail "ffmpeg"
expect 1 'sound: not found' verify twice.mp4 watermark.key=key
ffmpeg -v error -nostdin -i marked.mp4 -vn sound.wav 2>out || fail "ffmpeg"
expect 2 'sound.wav' verify sound.wav watermark.key=key
