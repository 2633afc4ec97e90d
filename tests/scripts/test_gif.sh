#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A clip's GIF has its pictures, as long as they are in it, with the caption of the shot that shows; it gives
# up colours, not the 2 MB.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../support/small.sh"
gif=$root/scripts/gif.sh
command -v ffmpeg >/dev/null || { echo "skipped: no ffmpeg"; exit 77; }
refuse() { # what the message must hold, words
    local words=$1
    shift
    if "$gif" "$@" >out 2>&1; then fail "gif.sh $*: not refused"; fi
    grep -qF -- "$words" out || fail "gif.sh $*: nothing of '$words'"
}
facts() { ffprobe -v error -count_frames -show_entries stream=width,height,nb_read_frames,duration -of csv=p=0 "$1"; }
grey() { # FILE.gif FRAME CROP: bytes of that part of a picture
    ffmpeg -v error -i "$1" -vf "select=eq(n\,$2),crop=$3,format=gray" -frames:v 1 -f rawvideo - | od -An -v -tu1 -w1
}

cat >story.yaml <<'END'
checkpoint: run
shots: [{seconds: 1, prompt: 'close: "a": \b % {}'}, {seconds: 1, prompt: 'wide'}]
END
{
    "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml &&
        "$talkie" sample story.yaml sample.steps=1
} >out 2>&1 || fail "no clip"

"$gif" clips/story story.gif 100 >out 2>&1 || fail "no GIF"
IFS=, read -r width height seconds frames < <(facts story.gif)
[[ $width == 100 && $frames == 8 && $seconds == 2.0* ]] || fail "$width pixels wide, $frames pictures in $seconds seconds"
below=$((height - 100))
((below > 10)) || fail "no room for captions"
for frame in 0 3 4 7; do grey story.gif $frame "100:$below:0:100" >caption.$frame; done
cmp -s caption.0 caption.3 && cmp -s caption.4 caption.7 || fail "a caption changes within its shot"
ink() { awk '$1 > 120 { n++ } END { print n + 0 }' "$1"; }
(($(ink caption.4) > 10)) || fail "no caption below the second shot"
(($(ink caption.0) > 2 * $(ink caption.4))) || fail "the first caption is the longer one"
ffmpeg -v error -i clips/story.mp4 -vf "select=eq(n\,5),scale=100:100:flags=lanczos,format=gray" -frames:v 1 -f rawvideo - |
    od -An -v -tu1 -w1 >is
grey story.gif 5 100:100:0:0 | paste - is | awk '{ d = $1 - $2; sum += d * d } END { exit !(NR == 10000 && sum / NR < 100) }' ||
    fail "another picture"

# Noise: with all its colours it has no room in the 2 MB.
ffmpeg -v error -f lavfi -i "nullsrc=s=256x256:r=8:d=4,geq=r=random(1)*255:g=random(2)*255:b=random(3)*255" -pix_fmt yuv420p big.mp4
sed 's/"seconds": .*/"seconds": 2,/' clips/story.json >big.json
"$gif" big big.gif >out 2>&1 || fail "no GIF of noise"
grep -qE ': 256 pixels wide, (128|64|32|16) colours' out || fail "noise has all its colours"
(($(stat -c %s big.gif) <= 2000000)) || fail "more than 2 MB"
refuse 'give a smaller width' big bigger.gif 480
refuse 'none.mp4 is missing' none none.gif
refuse 'a width of 1x pixels' big bigger.gif 1x
[[ -z $(find . -name 'bigger*') ]] || fail "something is left of a GIF that failed"
