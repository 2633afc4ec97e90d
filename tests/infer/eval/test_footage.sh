#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# talkie eval on films of which nothing is known: a film made here of three shots with a click as each
# begins, a silent one, one that flickers, and a file that is none.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
mkdir films

make_film() { # make_film NAME FFMPEG_ARGUMENTS...
    ffmpeg -v error -y "${@:2}" -pix_fmt yuv420p "films/$1" </dev/null || fail "ffmpeg does not make $1"
}
# Shots of 1.5 s; a click of 50 ms when each of the later two begins; nothing else moves or sounds.
make_film cut.mp4 -f lavfi -i color=red:s=96x64:r=12:d=1.5 -f lavfi -i color=gray:s=96x64:r=12:d=1.5 \
    -f lavfi -i color=navy:s=96x64:r=12:d=1.5 \
    -f lavfi -i "aevalsrc='0.5*sin(2*PI*500*t)*(between(t,1.5,1.55)+between(t,3,3.05))':s=16000:d=4.5" \
    -filter_complex '[0][1][2]concat=n=3:v=1[v]' -map '[v]' -map 3
make_film silent.mp4 -f lavfi -i testsrc2=s=96x64:r=12:d=2
make_film flicker.mkv -f lavfi -i "color=gray:s=96x64:r=12:d=2" -vf "geq=lum='128+40*mod(N,2)':cb=128:cr=128" -c:v ffv1

"$talkie" eval films media.fps=12 media.sample_rate=16000 -o films.json >out 2>&1 || fail "not judged"
figure() { # figure FILM NAME [REPORT]
    sed -nE "/\"film\": \"$1\"/,/\}/s/.*\"$2\": ([^,]*),?\$/\1/p" "${3:-films.json}"
}
[[ $(figure cut.mp4 shots) == 3 ]] || fail "cut.mp4: $(figure cut.mp4 shots) shots"
[[ $(figure cut.mp4 sounds) == 2 && $(figure cut.mp4 sounds_in_time) == 2 ]] || fail "clicks are not in time"
awk "BEGIN { exit !($(figure cut.mp4 by_chance) < 0.3 && $(figure cut.mp4 drift) > 0.9) }" || fail "chance or drift of cut.mp4"
awk "BEGIN { p = $(figure cut.mp4 true_peak_db); exit !(p > -8 && p < -4) }" || fail "peak of cut.mp4"
[[ $(figure silent.mp4 has_sound) == false && $(figure silent.mp4 shots) == 1 ]] || fail "silent.mp4"
awk "BEGIN { exit !($(figure flicker.mkv flicker_percent) > 10 && $(figure cut.mp4 flicker_percent) < 1) }" || fail "flicker"

# The sound half a second late is not in time; on two ranks the figures are the same.
make_film late.mp4 -i films/cut.mp4 -itsoffset 0.5 -i films/cut.mp4 -map 0:v -map 1:a
mpirun -n 2 "$talkie" eval films media.fps=12 media.sample_rate=16000 -o two.json >out 2>&1 || fail "not on two ranks"
[[ $(figure late.mp4 sounds_in_time two.json) == 0 ]] || fail "late clicks are in time"
for film in cut.mp4 silent.mp4 flicker.mkv; do
    for name in seconds shots sounds_in_time lufs flicker_percent drift; do
        [[ $(figure $film $name) == "$(figure $film $name two.json)" ]] || fail "$film: $name on two ranks"
    done
done

echo "no film" >films/broken.mp4
"$talkie" eval films media.fps=12 >out 2>&1 || fail "one broken file ends it"
grep -q 'left out: films/broken.mp4' out && grep -q '4 of 5 films' out || fail "the broken film is not named"
code=0
"$talkie" eval films/broken.mp4 >out 2>&1 || code=$?
[[ $code == 2 ]] || fail "nothing to judge: exit code $code"
code=0
"$talkie" eval films -o films/cut.mp4 >out 2>&1 || code=$?
[[ $code == 2 && $(head -c 8 films/cut.mp4 | tail -c 4) == ftyp ]] || fail "a film is written over"
