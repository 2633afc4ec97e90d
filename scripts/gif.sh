#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A clip as a GIF that plays on a page: its pictures as they are in the MP4, each shot's caption below, at
# most 2 MB.
#
#     scripts/gif.sh CLIP OUT.gif [WIDTH]
#
# CLIP is as `talkie sample` names it, without suffix; WIDTH in pixels, as in the MP4 unless given. It has as
# many colours of 256 as fit into the 2 MB. Asks for ffmpeg.
set -euo pipefail
most=2000000

refuse() {
    echo "gif.sh: $1" >&2
    exit 2
}

(($# == 2 || $# == 3)) || refuse "usage: gif.sh CLIP OUT.gif [WIDTH]"
clip=$1 out=$2
command -v ffmpeg >/dev/null || refuse "ffmpeg is missing; on Debian: apt-get install ffmpeg"
for suffix in mp4 json; do
    [[ -s $clip.$suffix ]] || refuse "$clip.$suffix is missing: gif.sh shows clips that talkie sample has made"
done
width=${3:-$(ffprobe -v error -select_streams v -show_entries stream=width -of csv=p=0 "$clip.mp4")}
[[ $width =~ ^[1-9][0-9]{1,3}$ ]] || refuse "a width of $width pixels is none from 10 to 9999"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Captions as lines that fit below the pictures, a file a shot; the shots' begins and ends in seconds.
size=14
letters=$((10 * width / (6 * size)))
lines=0 begin=() end=()
while IFS=$'\t' read -r start seconds caption; do
    file=$work/${#begin[@]}
    fold -s -w "$letters" <<<"$caption" >"$file"
    n=$(wc -l <"$file")
    lines=$((n > lines ? n : lines))
    begin+=("$start")
    end+=("$(awk "BEGIN { print $start + $seconds }")")
done < <(awk '
    /^      "start": / { start = $2 + 0 }
    /^      "seconds": / { seconds = $2 + 0 }
    /^      "caption": "/ {
        sub(/^      "caption": "/, ""); sub(/",?$/, "")
        gsub(/\\"/, "\""); gsub(/\\\\/, "\\")
        print start "\t" seconds "\t" $0
    }' "$clip.json")
((${#begin[@]})) || refuse "$clip.json tells of no shots"

below=$(((lines * size * 5 / 4 + 11) / 2 * 2))
draw="scale=$width:-2:flags=lanczos,pad=iw:ih+$below:0:0:color=0x16171c"
for i in "${!begin[@]}"; do
    draw+=",drawtext=textfile=$work/$i:expansion=none:fontcolor=0xdddddd:fontsize=$size:x=6:y=h-$below+6"
    draw+=":enable='gte(t,${begin[i]})*lt(t,${end[i]})'"
done

for colours in 256 128 64 32 16; do
    palette="[0:v]$draw,split[a][b];[a]palettegen=max_colors=$colours[p];[b][p]paletteuse=dither=none"
    ffmpeg -v error -y -i "$clip.mp4" -filter_complex "$palette:diff_mode=rectangle" -loop 0 "$work/out.gif"
    bytes=$(stat -c %s "$work/out.gif")
    ((bytes > most)) || break
done
((bytes <= most)) || refuse "$clip: $bytes bytes at $width pixels and $colours colours, more than 2 MB; give a smaller width"
cp "$work/out.gif" "$out.part"
mv "$out.part" "$out"
echo "$out: $width pixels wide, $colours colours, $bytes bytes"
