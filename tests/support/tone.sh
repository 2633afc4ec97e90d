#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sound as a WAV file on stdout, 8 kHz: RIFF, its format and samples, 4096 and 12288 by turns; half a second of
# them, or as many as are asked for, an even number.
#
#     tests/support/tone.sh [SAMPLES] >voice.wav
samples=${1:-4000}
number() { # of four bytes, the least first
    printf "$(printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)))"
}
printf RIFF && number $((36 + 2 * samples))
printf 'WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data' && number $((2 * samples))
for ((i = 0; i < samples; i += 2)); do printf '\0\x10\0\x30'; done
