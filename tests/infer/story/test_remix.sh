#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# talkie sample remix: shots of a clip made anew from its latents, the others kept to the bit; from its
# film where there are none; what it was made from, over generations; and what cannot be, told before
# anything is made.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
{ "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml; } >out 2>&1 || fail "no model"
cat >first.yaml <<'YAML'
checkpoint: run
output: first
sample: {steps: 5}
shots:
  - {seconds: 0.5, prompt: a red ball}
  - {seconds: 0.5, prompt: a blue ball, remember: [0]}
  - {seconds: 0.5, prompt: Ada waves}
YAML
cat >second.yaml <<'YAML'
checkpoint: run
sample: {steps: 5}
seed: 7
remix: {clip: first.mp4, shots: [1], prompt: a green ball, strength: 0.6, keep: [sound]}
YAML
sample() { # storyboard, output, options
    "$talkie" sample "$1.yaml" output="$2" "${@:3}" >out 2>&1 || fail "cannot sample: $*"
}
sample first first
[[ -e first.latents ]] || fail "a clip's latents are not kept"

# same A B: "v0 v1 v2 a0 a1 a2", those of the three shots' pictures and sounds that are the same in both.
cat >same.py <<'PY'
import struct, sys
def shots(path):
    x = open(path, "rb").read()
    rows, numbers = struct.unpack("<2q", x[24:40]), struct.unpack("<2q", x[40:56])
    assert rows == (3, 16) and len(x) == 56 + 4 * (3 * numbers[0] + 16 * numbers[1]), (path, rows)
    video, audio = 4 * numbers[0], 20 * numbers[1] # of a shot; the last one's sound has a row more
    at = 56 + 3 * video
    return [x[56 + i * video:56 + (i + 1) * video] for i in range(3)] + \
           [x[at:at + audio], x[at + audio:at + 2 * audio], x[at + 2 * audio:]]
names = "v0 v1 v2 a0 a1 a2".split()
print(*[n for n, x, y in zip(names, shots(sys.argv[1]), shots(sys.argv[2])) if x == y])
PY
kept() { # what is the same, clip, options
    sample second "$2" "${@:3}"
    [[ $(python3 same.py first.latents "$2.latents") == "$1" ]] ||
        fail "${*:3}: the same are: $(python3 same.py first.latents "$2.latents")"
}

# ---- kept spans are the same to the bit, the others are not
kept 'v0 v2 a0 a1 a2' second
grep -q 'of first.mp4, from its latents: shot 1 made anew from 0.6 of noise, sound kept' out ||
    fail "it does not say what it makes"
kept 'v0 v1 v2 a0 a2' other remix.keep=picture
kept 'v0 v2 a0 a2' other remix.keep=
kept 'v1 a1' other remix.keep= 'remix.shots=[2, 0]'
kept 'v0 v2 a0 a2' other remix.keep= sample.window=2
kept 'v0 a0' other remix.keep= remix.shots=auto remix.from=0.5 sample.window=2
kept 'v0 v2 a0 a1 a2' other remix.right=0.5
. "$root/scripts/env.sh" 2
for layout in tensor pipeline; do
    rm -f other.*
    mpirun -n 2 "$talkie" sample second.yaml output=other parallel.$layout=2 >out 2>&1 || fail "$layout: cannot remix"
    [[ $(python3 same.py first.latents other.latents) == 'v0 v2 a0 a1 a2' ]] || fail "$layout: kept spans differ"
done

# ---- a clip goes on behind its end and before its beginning, and is kept
cat >around.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
remix: {clip: first.mp4, at: 1}
shots:
  - {seconds: 1, prompt: it is dark}
  - {seconds: 0.5, prompt: a red ball}
  - {seconds: 0.5, prompt: a blue ball}
  - {seconds: 0.5, prompt: Ada waves}
  - {seconds: 0.5, prompt: it is dark again}
YAML
cp first.latents kept.latents
for film in latents film; do
    [[ $film == latents ]] || { rm first.latents && sample second other; }
    sample around around
    grep -q "from its $film.*: what lies around it made anew" out || fail "it does not say that it goes on"
    python3 - "$([[ $film == film ]] && echo other || echo kept)" <<'PY' || fail "from its $film: a clip that goes on is another"
import struct, sys
def read(path):
    x = open(path, "rb").read()
    rows, numbers = struct.unpack("<2q", x[24:40]), struct.unpack("<2q", x[40:56])
    cut = 56 + 4 * rows[0] * numbers[0]
    return rows, 4 * numbers[0], 4 * numbers[1], x[56:cut], x[cut:]
rows, v, a, video, audio = read(sys.argv[1] + ".latents")
more, _, _, longer, louder = read("around.latents")
assert rows == (3, 16) and more == (6, 31), (rows, more)
assert longer[2 * v:3 * v] == video[:v] and longer[4 * v:5 * v] == video[2 * v:], "pictures"
assert (longer[3 * v:4 * v] == video[v:2 * v]) == (sys.argv[1] == "kept"), "the shot made anew in other"
assert louder[10 * a:25 * a] == audio[:15 * a], "sound"
assert any(longer[:2 * v]) and any(longer[5 * v:]) and any(louder[25 * a:]), "nothing around it"
PY
done
mv kept.latents first.latents

# ---- a shot's own seed, camera and style; what guidance leads away from
sample first other 'shots[2].seed=5' 'shots[2].style=noir'
[[ $(python3 same.py first.latents other.latents) == 'v0 v1 a0 a1' ]] || fail "a shot's seed changes others, or nothing"
sample first other style=bright 'shots[2].camera=close' 'shots[1].camera=wide' 'shots[1].style=noir'
for words in 'bright, a red ball' 'wide, noir: a blue ball' 'close, bright: Ada waves'; do
    grep -qF "\"caption\": \"$words\"" other.json || fail "no shot reads \"$words\""
done
sample first other negative=noise
[[ -z $(python3 same.py first.latents other.latents) ]] || fail "a negative prompt changes nothing"

# ---- strength: the less, the nearer to what was there, with fewer steps
distance() { # of the pictures of shot 1 to those of the first clip
    python3 - "$1" <<'PY'
import struct, sys
x, y = (open(p, "rb").read() for p in ("first.latents", sys.argv[1]))
n = struct.unpack("<q", x[40:48])[0]
a, b = (struct.unpack(f"<{n}f", z[56 + 4 * n:56 + 8 * n]) for z in (x, y))
print(int(1000 * sum((p - q) ** 2 for p, q in zip(a, b))))
PY
}
before=0
for strength in 0.05 0.6 1; do
    sample second other remix.strength=$strength
    now=$(distance other.latents)
    ((now > before)) || fail "strength $strength: $now is not farther off than $before"
    before=$now
done
"$talkie" plan second.yaml >out 2>&1 || fail "it cannot be planned"
grep -q '2 of 3 windows are given as a whole' out || fail "the plan does not say what is kept"
grep -q 'rank 0, 3 steps a window' out || fail "the plan does not know the strength"

# ---- lineage: over generations, whatever made them, and of films that nothing is known of
cat >third.yaml <<'YAML'
checkpoint: run
sample: {steps: 2}
remix: {clip: second.mp4, shots: [0, 2], strength: 0.3}
YAML
sample third third
python3 - <<'PY' || fail "the lineage is not told"
import json
c = [json.load(open(n + ".json")) for n in ("first", "second", "third")]
line = c[2]["lineage"]
assert [x["clip"] for x in line] == ["second.mp4", "first.mp4"], line
assert [x["digest"] for x in line] == [c[1]["digest"], c[0]["digest"]]
assert [x["mp4"] for x in line] == [c[1]["mp4"]["digest"], c[0]["mp4"]["digest"]]
assert [x["shots"] for x in line] == [[0, 2], [1]] and [x["kept"] for x in line] == [[], ["sound"]]
assert [x["strength"] for x in line] == [0.3, 0.6] and line[0]["read"] == "latents"
assert "lineage" not in c[0] and c[2]["shots"][1]["caption"] == "a green ball"
assert c[2]["shots"][1]["remember"] == [0]
PY

# ---- without latents, and without anything that is known of it: its film is encoded
mkdir bare
cp first.mp4 first.json bare
sample second other remix.clip=bare/first.mp4
grep -q 'bare/first.latents is not there: the film of bare/first.mp4 is encoded' out || fail "it is not said that the film is encoded"
grep -q '"read": "film"' other.json || fail "the clip does not say that the film was encoded"
sample second again remix.clip=bare/first.mp4
rm bare/first.json
"$talkie" sample second.yaml output=no remix.clip=bare/first.mp4 >out 2>&1 && fail "shots that nobody says"
grep -q 'list them as shots' out || fail "it does not say that shots are to be listed"
{ cat second.yaml && sed -n '/^shots/,$p' first.yaml; } >listed.yaml
sample listed listed remix.clip=bare/first.mp4 remix.prompt=
[[ $(python3 same.py other.latents listed.latents) == 'v0 v2 a0 a1 a2' ]] || fail "the film is encoded in two ways"
printf x >>bare/first.mp4
cp first.json bare
sample listed listed remix.clip=bare/first.mp4 seed=8
grep -q 'bare/first.json describes another film than bare/first.mp4 is now' out || fail "a film that was changed counts as the clip"

# ---- what cannot be
refused() { # words of the message, options; all before anything is made
    rm -f no.*
    local code=0
    "$talkie" sample second.yaml output=no "${@:2}" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "exit code $code: ${*:2}"
    grep -qF -- "$1" out || fail "not said: $1"
    compgen -G 'no.*' >/dev/null && fail "something was made: ${*:2}"
    return 0
}
damaged() { # words, what happens to the latents of bare/first.mp4
    cp first.* bare
    "${@:2}"
    refused "$1" remix.clip=bare/first.mp4
}
turn() { printf x | dd of=bare/first.latents bs=1 seek="$1" conv=notrunc 2>/dev/null; }
damaged 'bare/first.latents is damaged, or another' turn 100
damaged 'bare/first.latents is damaged' turn 25
damaged 'bare/first.latents is no file of' turn 3
damaged 'bare/first.latents is damaged' truncate -s 900 bare/first.latents
damaged 'bare/first.latents is no file of' truncate -s 0 bare/first.latents
damaged 'bare/first.latents is damaged, or another' cp second.latents bare/first.latents
damaged 'bare/first.latents' sh -c 'rm bare/first.latents && mkdir bare/first.latents'
rmdir bare/first.latents
told() { # words, python that changes the description d
    cp first.* bare
    python3 -c "import json; d = json.load(open('first.json')); $2; json.dump(d, open('bare/first.json', 'w'))"
    refused "$1" remix.clip=bare/first.mp4
}
told 'does not say its shots' "d['shots'] = []"
told 'does not say its shots' "d['shots'][0]['seconds'] = 'long'"
told 'does not say its shots' "d['shots'][1]['remember'] = [1]"
told 'does not say its shots' "d['shots'][1]['remember'] = {}"
told 'does not say its frames' "d['clip'] = 7"
told 'has 5 frames a second, this checkpoint makes 4' "d['clip']['fps'] = 5"
told 'does not hold frames of 32x16' "d['clip']['width'] = 32"
told 'more than 1000 remixes' "d['lineage'] = [{}] * 1000"
told 'is no length' "d['shots'][0]['seconds'] = 1e300"
told 'lasts 1.5 seconds, the shots 2' "d['shots'][2]['seconds'] = 1"
cp first.* bare
for json in '' '[]' '{' "$(printf '[%.0s' {1..5000})"; do
    printf '%s' "$json" >bare/first.json
    refused 'list them as shots' remix.clip=bare/first.mp4
done
refused 'without guidance nothing leads away' negative=noise sample.guidance=1
refused 'nowhere.mp4' remix.clip=nowhere.mp4
refused 'same.py' remix.clip=same.py
refused 'bare' remix.clip=bare
refused '3 is none of the 3 shots of first.mp4' 'remix.shots=[3]'
refused 'stands there twice' 'remix.shots=[1, 1]'
refused 'nothing is left to make' 'remix.shots=[]'
refused 'what goes beyond it is made from noise alone' 'shots=[{seconds: 2, prompt: a}]' sample.window=2 'remix.shots=[0]'
refused '3 is none of the 3 shots' remix.at=3 "shots=[{seconds: 0.5, prompt: a}, {seconds: 0.5, prompt: b}, {seconds: 0.5, prompt: c}]"
refused 'list them, with those before it' remix.at=1
refused 'leave remix.from and remix.to out' remix.from=0.5
refused '"words" cannot be kept; sound or picture can' remix.keep=words
refused 'nothing is left to make' remix.keep=sound,picture
refused 'leave remix.left, right, top and bottom out' remix.keep=picture remix.right=0.5
refused 'remix.strength' remix.strength=0
refused 'remix.strength' remix.strength=1.5
refused '16x24 asked, and first.mp4 has 16x16' 'size=[16, 24]'
refused 'is a file that second.yaml writes' output=first
refused 'without remix.clip: which clip is made anew?' remix.clip=
cat >second.yaml <<'YAML'
checkpoint: run
size: [8, 8]
remix:
  clip: first.mp4
  shots: [1, 5]
YAML
refused 'second.yaml:2:7: size: 8x8 asked'
grep -q 'second.yaml:5:10: remix.shots: 5 is none of the 3 shots' out || fail "not all that is wrong is told at once"
cat >second.yaml <<'YAML'
checkpoint: run
remix:
  clip: nowhere.mp4
  strength: 2
  keep: [words]
YAML
refused 'second.yaml:4:13: remix.strength'
grep -q 'second.yaml:5:9: remix.keep' out || fail "not all options that are wrong are told at once"
