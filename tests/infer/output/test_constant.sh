#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# The memory of sampling and of remixing, by latents or by the film alone, does not grow with a clip's length: of one more
# than three times as long it is within 5% and 100 bytes a frame. The shorter one is long enough for the encoder's pictures ahead.
set -euo pipefail
SHORT=32 LONG=104 FRAME=$((64 * 64 * 3))
! [[ -w /dev/shm ]] || export TMPDIR=/dev/shm # a slow disk tells nothing here
figures=$(scripts/long.sh $SHORT $LONG)
awk -v frame=$FRAME '
function hold(what, short, long) {
    room = 0.05 * short + 100 * more
    if (frame * more < 1.5 * room) { print "too short: pictures kept in memory would not be found"; exit 1 }
    if (long <= short + room) return
    printf "%s: %d frames more take %.1f MiB more; %.1f are allowed\n", what, more, (long - short) / 1048576,
        room / 1048576
    exit 1
}
{ frames[NR] = $2; bytes[NR] = $3 * 1048576; again[NR] = $4 * 1048576; film[NR] = $5 * 1048576 }
END {
    more = frames[2] - frames[1]
    if (NR != 2 || bytes[1] < 1048576 || again[1] < 1048576 || film[1] < 1048576) { print "no figures"; exit 1 }
    hold("a clip", bytes[1], bytes[2])
    hold("its remix", again[1], again[2])
    hold("a remix of the film", film[1], film[2])
}' <<<"$figures" || {
    echo "$figures"
    exit 1
}
