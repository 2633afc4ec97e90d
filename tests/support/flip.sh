#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Turns bits of one byte of a file over.
#
#     tests/support/flip.sh FILE PLACE BITS        PLACE from 0; BITS: 1 to 255
set -euo pipefail
byte=$(od -An -t u1 -j "$2" -N 1 "$1")
printf "\\x$(printf '%x' $((byte ^ $3)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
