#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Half a second of sound as a WAV file on stdout, 8 kHz: RIFF, its format and 4,000 samples, 4096 and 12288 by turns.
#
#     tests/support/tone.sh >voice.wav
printf 'RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x40\x1f\0\0'
for _ in {1..2000}; do printf '\0\x10\0\x30'; done
