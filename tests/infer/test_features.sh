#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Text features from beside media to a clip: imported, told, trained on, sampled from, carried by weights
# in all forms; what does not go together is refused in words.
#TEST timeout: 240
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"

ok() { # ranks, words
    local n=$1
    shift
    mpirun -n "$n" "$talkie" "$@" >out 2>&1 || fail "talkie $* on $n ranks"
}
says() {
    grep -qF -- "$1" out || fail "nothing of '$1'"
}
refuse() { # what the message must hold, words
    local words=$1 code=0
    shift
    "$talkie" "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "talkie $*: exit code $code, expected 2"
    says "$words"
}
npy() { # file, rows, width, a number's bytes: as numpy saves an array of float32 of that number
    local head="{'descr': '${5:-<f4}', 'fortran_order': ${6:-False}, 'shape': ($2, $3), }" i
    printf '\x93NUMPY\x01\x00v\x00%-117s\n' "$head" >"$1"
    for ((i = 0; i < $2 * $3; i++)); do printf '%b' "$4"; done >>"$1"
}
one='\x00\x00\x80\x3f' less='\x00\x00\x00\xbf' half='\x00\x38' nan='\x00\x00\xc0\x7f'

# ---- import ----

for i in 0 1 2; do
    cp "$root/tests/media/big-buck-bunny.mp4" f$i.mp4
    echo "film $i" >f$i.txt
done
npy f0.npy 5 8 "$one"
npy f1.npy 3 8 "$half" '<f2'
npy empty.npy 2 8 "$less"
import() { # words
    data_import=(data import f0.mp4 f1.mp4 f2.mp4 media.width=16 media.height=16 media.fps=4
        media.sample_rate=4000 codec.patch_frames=2 codec.patch_size=8 codec.video_channels=8
        codec.audio_hop=400 codec.audio_channels=8 codec.fit_clips=4 "$@")
}
import -o clips.h5 import.empty_features=empty.npy
ok 1 "${data_import[@]}"
says "1 of 3 files have no text features (a .npy of the same name beside them)"
cp clips.h5 one.h5
ok 2 "${data_import[@]}"
cmp clips.h5 one.h5 || fail "two ranks import other bytes than one"
ok 1 data info clips.h5
says "text features 3, of"
says "10 rows of 8 channels, float32"
says "an empty caption has 2 rows"
says "(5 rows of text features) film 0"
ok 2 data check clips.h5
says "and 3 text features, all whole"

import -o bad.h5
hostile() { # what is said of f1.npy, which is as npy makes it of the other words
    local words=$1
    shift
    npy f1.npy "$@"
    refuse "$words" "${data_import[@]}" import.bad=stop
    says f1.npy
    [[ ! -e bad.h5 ]] || fail "a file is left"
}
hostile 'type "<f8"' 3 8 "$one$one" '<f8'
hostile "Fortran order" 3 8 "$one" '<f4' True
hostile "of shape (-3, 8)" -3 8 "$one"
hostile "f0.npy is 8 wide, f1.npy 4" 3 4 "$one"
hostile "row 0 (from 0) is not finite" 3 8 "$nan"
npy f1.npy 3 8 "$one" && truncate -s -4 f1.npy
refuse "f1.npy holds 92 bytes of numbers" "${data_import[@]}" import.bad=stop
echo "not numpy's" >f1.npy
refuse "f1.npy is no .npy file" "${data_import[@]}" import.bad=stop
ok 1 "${data_import[@]}"
says "1 of 3 files cannot be imported and are left out"
rm f0.npy f1.npy
refuse "no media file has text features" "${data_import[@]}" import.empty_features=empty.npy

# ---- training, sampling ----

features=(model.text=features)
ok 1 train run.yaml "${features[@]}"
ok 1 plan run.yaml "${features[@]}"
refuse "text_channels: 9, but the clips' text features are 8 wide" train run.yaml "${features[@]}" model.text_channels=9
npy a.npy 4 8 "$one"
npy b.npy 6 8 "$less"
npy wide.npy 4 9 "$one"
story() { # file, keys of the first shot, of the storyboard
    printf 'checkpoint: run\nsample: {steps: 2, guidance: 2}\n%s\nshots: [{seconds: 1, prompt: a%s}, %s]\n' \
        "$3" "$2" "{seconds: 1, prompt: b, features: b.npy}" >"$1"
}
story s.yaml ", features: a.npy" ""
ok 1 sample s.yaml -o alone
ok 2 sample s.yaml -o tensor parallel.tensor=2
ok 2 sample s.yaml -o pipeline parallel.pipeline=2
cmp alone.png pipeline.png || fail "other pictures in a pipeline"
cmp alone.png tensor.png || fail "other pictures on tensor ranks"
story s2.yaml ", features: b.npy" ""
ok 1 sample s2.yaml -o other
cmp -s alone.png other.png && fail "features of a prompt change nothing"
story s3.yaml ", features: a.npy" "empty_features: b.npy"
ok 1 sample s3.yaml -o led
cmp -s alone.png led.png && fail "features of an empty caption change nothing"
story s4.yaml ", features: a.npy" "empty_features: empty.npy"
ok 1 sample s4.yaml -o same
cmp alone.png same.png || fail "the checkpoint does not know what an empty caption had in training"

# What they say nobody can read: a policy refuses them, unless it says otherwise.
policy() { echo "{roles: [{name: staff, users: ['$(id -u)']}], categories: [{name: trees, words: [oak]}], $1}" >policy.yaml; }
by=(filter.policy=policy.yaml filter.log=log.jsonl)
policy 'listen: false'
if ! "$talkie" plan s.yaml filter.policy=policy.yaml 2>&1 | grep -q 'without filters'; then
    refuse 's3.yaml: refused (given features, of which nobody knows what they say): a.npy; name a checkpoint that reads prompts' sample s3.yaml "${by[@]}" -o x
    grep -qF 'they say): b.npy' out || fail "features of an empty caption are not refused"
    policy 'given: {features: role, role: staff}'
    ok 1 sample s.yaml "${by[@]}" -o staff
    grep -q '"decision":"allowed".*"rule":"given features".*a.npy' log.jsonl || fail "the log does not say who gave features"
fi

story bare.yaml "" ""
refuse "shots[0].features: missing" sample bare.yaml -o x
story wide.yaml ", features: wide.npy" ""
refuse "wide.npy is 9 wide, but the model of run/step-00000001.h5 reads text features of 8" sample wide.yaml -o x
story none.yaml ", features: none.npy" ""
refuse "none.npy" sample none.yaml -o x
refuse "the world's captions have none" eval run eval.clips=1
ok 1 train run.yaml train.out=bytes
refuse "reads the bytes of prompts" sample s.yaml -o x checkpoint=bytes
[[ ! -e x.mp4 ]] || fail "a clip is left"

# ---- weights ----

ok 1 convert run -o w.safetensors convert.type=fp32
ok 2 convert w.safetensors -o w.h5
ok 1 convert w.h5 -o w2.safetensors convert.type=fp32
cmp w.safetensors w2.safetensors || fail "weights do not come back from a checkpoint"
ok 1 convert w2.safetensors -o w2.h5
cmp w.h5 w2.h5 || fail "a checkpoint does not come back from weights"
for w in w.safetensors w.h5; do
    ok 2 sample s.yaml -o from checkpoint=$w parallel.pipeline=2
    cmp alone.png from.png || fail "$w: other pictures"
done
ok 1 convert w.h5 -o folder
ok 1 data world run.yaml -o world.h5 codec.store=refer codec.file=codec.h5
refuse "empty_features: missing" sample s.yaml -o x checkpoint=folder codec.file=codec.h5 size='[16, 16]'
