#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# The memory of sampling does not grow with a clip's length: of one more than three times as long it is
# within 5% and 100 bytes a frame. The shorter one is long enough for the encoder's pictures ahead.
set -euo pipefail
SHORT=48 LONG=168 FRAME=$((64 * 64 * 3))
! [[ -w /dev/shm ]] || export TMPDIR=/dev/shm # a slow disk tells nothing here
figures=$(scripts/long.sh $SHORT $LONG)
awk -v frame=$FRAME '
{ frames[NR] = $2; bytes[NR] = $3 * 1048576 }
END {
    more = frames[2] - frames[1]
    room = 0.05 * bytes[1] + 100 * more
    if (NR != 2 || bytes[1] < 1048576) { print "no figures"; exit 1 }
    if (frame * more < 1.5 * room) { print "too short: pictures kept in memory would not be found"; exit 1 }
    if (bytes[2] > bytes[1] + room) {
        printf "%d frames more take %.1f MiB more; %.1f are allowed\n", more, (bytes[2] - bytes[1]) / 1048576,
            room / 1048576
        exit 1
    }
}' <<<"$figures" || {
    echo "$figures"
    exit 1
}
