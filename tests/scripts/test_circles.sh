#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# The files of a room use each other in one direction: none uses one that, over however many steps,
# uses it. Read from the objects: who defines and who lacks which symbol.
set -euo pipefail
build=$(realpath "${BUILD:-build}")

# Prints "USER USED" for every two objects of one room, USER lacking what USED defines.
uses() { # objects...
    nm -A -g "${@/#/$build/}" | awk '
        { file = $1; sub(/:.*/, "", file) }
        $(NF - 1) == "U" { lacks[file, $NF]; next }
        { home[$NF] = file }
        END {
            for (pair in lacks) {
                split(pair, part, SUBSEP)
                if (part[2] in home && home[part[2]] != part[1]) print part[1], home[part[2]]
            }
        }' | sort -u
}

rooms=0 circles=''
for room in {core,parallel,data,train,infer}{,/*}/; do
    sources=()
    for source in "$room"*.c; do # those that this build is made of
        [[ -e $build/${source%.c}.o ]] && sources+=("$source")
    done
    ((${#sources[@]})) || continue
    rooms=$((rooms + 1))
    circles+=$({ uses "${sources[@]/%.c/.o}" | tsort 2>&1 >/dev/null || true; } | sed "s|^tsort: $build/||")
done
((rooms > 10)) || { echo "only $rooms rooms were looked at" >&2; exit 1; }
[[ -z $circles ]] || { echo "files that use each other in a circle:" "$circles" >&2; exit 1; }
echo "$rooms rooms without a circle"
