#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Weights to and from safetensors: the instance that diffusers saved gives its golden's numbers on every
# layout, whatever way its weights have gone; what a run trained goes on from them to the bit; files that
# are not right are refused in words. scripts/check_safetensors.py holds the same against the packages.
#TEST timeout: 240
set -euo pipefail
RANKS=4
. "$(dirname "$0")/../support/small.sh"
saved=$root/tests/weights golden=$root/tests/golden/documents.h5

ok() { # ranks, words
    local n=$1
    shift
    mpirun -n "$n" "$talkie" "$@" >out 2>&1 || fail "talkie $* on $n ranks"
}
refuse() { # what the message must hold, words
    local words=$1 code=0
    shift
    "$talkie" "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] || fail "talkie $*: exit code $code, expected 2"
    [[ $(grep -c '^talkie: ' out) == 1 ]] || fail "talkie $*: not one message"
    grep -qF -- "$words" out || fail "talkie $*: nothing of '$words'"
}

# ---- a model of the published family ----

ok 1 parity "$golden" checkpoint="$saved" parallel.threads=1
ok 2 parity "$golden" checkpoint="$saved" parallel.tensor=2
ok 4 parity "$golden" checkpoint="$saved" parallel.tensor=2 parallel.pipeline=2
ok 1 convert "$saved" -o w.safetensors convert.type=fp32
ok 3 convert "$saved" -o w3.safetensors convert.type=fp32
cmp w.safetensors w3.safetensors || fail "three ranks write other bytes than one"
ok 2 parity "$golden" checkpoint=w.safetensors parallel.pipeline=2
ok 1 convert w.safetensors -o one/ convert.type=fp32
ok 2 convert one -o cut convert.type=fp32 convert.shard=0.05
[[ -e one/diffusion_pytorch_model.safetensors && -e cut/diffusion_pytorch_model.safetensors.index.json ]] ||
    fail "the layout of diffusers is another"
cmp one/config.json cut/config.json || fail "a folder's config.json does not stay as it came"
ok 4 parity "$golden" checkpoint=cut parallel.tensor=4
ok 3 convert cut -o again.h5
ok 2 parity "$golden" checkpoint=again.h5 parallel.tensor=2
ok 1 convert again.h5 -o again.safetensors convert.type=fp32
cmp w.safetensors again.safetensors || fail "weights do not come back from a folder"

# ---- a run of ours ----

"$talkie" data world run.yaml -o clips.h5 >out 2>&1 && "$talkie" train run.yaml train.ema=0 >out 2>&1 || fail "no run"
ok 1 convert run -o run32.safetensors convert.type=fp32
ok 2 convert run -o run16.safetensors
first() { # weights ranks layout: the first loss from there
    rm -rf tuned
    ok "$2" train run.yaml train.out=tuned train.ema=0 train.from="$1" $3
    sed -nE '1s/.*"loss":([^,]*),.*/\1/p' tuned/metrics.jsonl
}
alone=$(first run 1 "")
[[ $(first run32.safetensors 1 "") == "$alone" ]] || fail "another first loss from safetensors"
ok 2 convert run32.safetensors -o run32.h5
[[ $(first run32.h5 1 "") == "$alone" ]] || fail "another first loss from a checkpoint of weights"
ok 1 convert run32.h5 -o back.safetensors convert.type=fp32
cmp run32.safetensors back.safetensors || fail "weights do not come back from a checkpoint"
ok 1 convert run16.safetensors -o run16.h5
ok 1 convert run16.h5 -o back.safetensors
cmp run16.safetensors back.safetensors || fail "weights of bf16 do not come back from a checkpoint"
rounded=$(first run16.safetensors 1 "")
awk -v a="$alone" -v b="$rounded" 'BEGIN { d = a - b; exit !(d != 0 && d < 0.01 && d > -0.01) }' ||
    fail "bf16 weights give $rounded, fp32 $alone"
for layout in "parallel.tensor=2" "parallel.pipeline=2"; do
    [[ $(first run32.safetensors 2 "$layout") == $(first run 2 "$layout") ]] || fail "$layout: other weights"
done
layout="parallel.tensor=2 parallel.pipeline=2"
[[ $(first run32.safetensors 4 "$layout") == $(first run 4 "$layout") ]] || fail "$layout: other weights"

printf 'checkpoint: run\nshots: [{seconds: 1, prompt: a red ball}]\nsample: {steps: 1}\n' >story.yaml
ok 1 sample story.yaml -o a
ok 2 sample story.yaml -o b checkpoint=run32.safetensors parallel.data=2
ok 1 sample story.yaml -o c checkpoint=run32.safetensors
cmp a.png c.png || fail "other pictures from safetensors"
grep -q '"digest"' c.json || fail "no digest of the weights in the provenance"
mkdir -p far/stories
sed 's,run$,../../run32.safetensors,;1q' story.yaml >far/stories/story.yaml
sed 1d story.yaml >>far/stories/story.yaml
ok 2 sample far/stories/story.yaml -o d
cmp c.png d.png || fail "another checkpoint than the one that the storyboard names from where it lies"
cp clips.h5 held-out.h5
printf 'base: run.yaml\neval: {checkpoint: %s/mean}\n' "$PWD" >mean.yaml
ok 1 train mean.yaml data.files="$PWD/clips.h5" data.check="$PWD/held-out.h5" train.check_every=1 train.out="$PWD/mean" \
    train.from="$PWD/run32.safetensors" train.ema=0.5
ok 1 convert mean -o mean.safetensors
! grep -qaF "$PWD" mean.safetensors || fail "weights tell of folders of the machine that trained them"
ok 1 sample story.yaml checkpoint=mean.safetensors -o e
grep -q 'step 1, averaged weights' out || fail "averages are not told as such"
grep -q '"averaged": true' e.json || fail "the provenance does not say that averages made the clip"
grep -q '"averaged": false' c.json || fail "the provenance says averages of weights that are none"
ok 1 eval run16.safetensors eval.clips=1 sample.steps=1 -o eval.json
ok 1 plan run.yaml train.from=run16.safetensors
ok 1 train run.yaml train.out=old train.init=run
grep -q 'called train.from now' out || fail "the old name of train.from is taken in silence"

# ---- clips to go on with ----

"$talkie" data world run.yaml world.seed=2 -o other.h5 >out 2>&1 || fail "no other clips"
refuse "with codec.from=run32.safetensors" train run.yaml data.files=other.h5 train.out=x train.from=run32.safetensors
ok 1 data world run.yaml codec.file=codec.h5 codec.store=refer -o refers.h5
for from in run32.safetensors run/step-00000001.h5 clips.h5 codec.h5 "refers.h5 codec.file=codec.h5"; do
    # what options say of the codec's shape is the codec's
    for n in 1 2; do
        ok $n data world run.yaml world.seed=2 codec.patch_frames=1 codec.from=$from -o own.h5
        mv own.h5 own$n.h5
    done
    cmp own1.h5 own2.h5 || fail "two ranks make other clips by the codec of $from"
    rm -rf tuned
    ok 2 train run.yaml data.files=own1.h5 train.out=tuned train.from=run32.safetensors
done
sed -i 's,run32,nowhere,' far/stories/story.yaml
refuse "no checkpoint at ../../nowhere.safetensors, looked for from $PWD and from far/stories on" sample far/stories/story.yaml
cp run32.safetensors codec-broken.safetensors
printf 'broken' | dd of=codec-broken.safetensors bs=1 seek=$(($(stat -c %s run32.safetensors) - 3000)) conv=notrunc status=none
by() { echo "data world run.yaml -o x.h5 codec.from=$1"; }
refuse "codec-broken.safetensors: the codec it carries: codec" $(by codec-broken.safetensors)
refuse "w.safetensors carries no codec" $(by "$PWD/w.safetensors")
refuse "run is a folder" $(by run)
refuse "nowhere.h5" $(by nowhere.h5)
refuse "is for 4 fps, 4000 Hz and 1 channels; media.fps, media.sample_rate and media.channels are 5" \
    $(by clips.h5) media.fps=5
refuse "same file as the input" data world run.yaml codec.from=clips.h5 -o ./clips.h5
refuse 'it has no group "codec"' $(by "$golden")
[[ ! -e x.h5 ]] || fail "clips were made"

# ---- what is refused ----

echo mine >mine.safetensors && cp mine.safetensors mine.h5
refuse "output: missing: -o names a file" convert run
refuse "not a checkpoint" convert run -o mine.h5
refuse "reads bytes" convert run -o folder
[[ ! -e folder ]] || fail "a folder is left"
refuse "there already and holds" convert w.safetensors -o one
refuse "not a weights file" convert run -o mine.safetensors
refuse "same file" convert run32.safetensors -o ./run32.safetensors
refuse "cannot open nowhere, looked for from $PWD on" convert nowhere -o x.safetensors
head -c 5000 run16.safetensors >cut.safetensors
for name in nowhere.safetensors:"nowhere.safetensors, looked for from $PWD on" cut.safetensors:truncated; do
    refuse "${name#*:}" sample story.yaml checkpoint="${name%%:*}"
    refuse "${name#*:}" eval "${name%%:*}"
    refuse "${name#*:}" eval run.yaml eval.checkpoint="${name%%:*}"
    refuse "${name#*:}" train run.yaml train.out=x train.from="${name%%:*}"
done
refuse "without a codec" sample story.yaml checkpoint=w.safetensors
refuse "model.norm_eps: 1e-05 -> 0.001" train run.yaml train.out=x train.from=run32.safetensors model.norm_eps=1e-3
refuse "model.hidden: 24 -> 36" plan run.yaml train.from=run32.safetensors model.hidden=36
numbered="train.ema=0 model.shots=numbered"
"$talkie" train run.yaml train.out=numbered $numbered >out 2>&1 || fail "no run of numbered shots"
ok 1 convert numbered -o numbered.safetensors convert.type=fp32
grep -q shot_embed.weight numbered.safetensors || fail "the table of shots is not among the weights"
refuse "model.shots: numbered -> alike" train run.yaml train.out=x train.from=numbered.safetensors
[[ $(first numbered.safetensors 1 model.shots=numbered) == "$(first numbered 2 model.shots=numbered)" ]] ||
    fail "another first loss of numbered shots from safetensors"
refuse "(model.shots)" convert numbered -o folder
refuse "model.shots" train run.yaml train.out=x model.shots=some
refuse "world.cuts" data world run.yaml -o x.h5 world.cuts=2
refuse "does not say which model" convert one/diffusion_pytorch_model.safetensors -o x.safetensors

damage() { # name, sed expression: a copy of the folder, changed
    rm -rf "$1"
    cp -r one "$1"
    LC_ALL=C sed -bi "$2" "$1"/*
}
damage stranger 's/"proj_in\.weight"/"proj_on.weight"/'
refuse "missing are 1: proj_in.weight (the nearest is proj_on.weight); unknown are 1: proj_on.weight" \
    convert stranger -o x.safetensors
damage shape 's/"shape":\[12,24\]/"shape":[24,12]/'
refuse "of other shapes are 1: proj_out.weight is F32 (24, 12), not (12, 24)" convert shape -o x.safetensors
damage dtype 's/"dtype":"F32"/"dtype":"F64"/'
refuse "dtype F64 is not known" convert dtype -o x.safetensors
damage key 's/"ffn_dim"/"ffn_dims"/'
refuse "ffn_dims is not known" convert key -o x.safetensors
damage text 's/"ffn_dim": 40/"ffn_dim": "40"/'
refuse 'text/config.json: ffn_dim is "40", not a whole number from 1 to ' convert text -o x.safetensors
damage several 's/"ffn_dim": 40/"ffn_dims": 40/; s/"hidden_size": 24/"hidden_size": 99999999/; s/"norm_eps": [^,]*/"norm_eps": -1/'
refuse "several/config.json: hidden_size is 99999999, not a whole number from 1 to 65536" convert several -o x.safetensors
for words in "ffn_dims is not known" "ffn_dim is not there, not a whole" "norm_eps is -1, not a number from"; do
    grep -qF "several/config.json: $words" out || fail "config.json: not all at once: nothing of '$words'"
done
damage class 's/MiniMaxH3/Other/'
refuse "is of a OtherTransformer3DModel" convert class -o x.safetensors
damage none '/^{$/d'
refuse "none/config.json:" convert none -o x.safetensors
rm one/config.json
refuse "config.json" convert one -o x.safetensors
cp "$saved/config.json" one
mkdir pipeline && cp -r one pipeline/transformer
refuse "give that folder" convert pipeline -o x.safetensors

cp -r "$saved" short && rm short/*-00002-of-00003.safetensors
refuse "1 of which are not there: diffusion_pytorch_model-00002-of-00003.safetensors" convert short -o x.safetensors
cp -r "$saved" outside && sed -i 's|: "diff|: "../short/diff|' outside/*.json
refuse "of this very folder" convert outside -o x.safetensors
cp -r "$saved" cut-off && truncate -s -4 cut-off/*-00003-of-00003.safetensors
refuse "truncated" convert cut-off -o x.safetensors
nan() { printf '\377\377\377\377' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 4)) conv=notrunc status=none; }
cp -r "$saved" nan && nan nan/*-00003-of-00003.safetensors
refuse "is no finite number" convert nan -o x.safetensors
cp w.safetensors flipped.safetensors
printf '\0' | dd of=flipped.safetensors bs=1 seek=$(($(stat -c %s w.safetensors) - 2)) conv=notrunc status=none
refuse "flipped.safetensors is damaged" convert flipped.safetensors -o x.safetensors
cp numbered.safetensors codec.safetensors # its codec begins as HDF5 does
at=$(LC_ALL=C grep -obaUm1 $'\x89HDF' codec.safetensors | head -n 1)
printf '\0' | dd of=codec.safetensors bs=1 seek="${at%%:*}" conv=notrunc status=none
refuse "codec.safetensors: the codec it carries is not an HDF5 file" convert codec.safetensors -o x.safetensors
[[ -z $(find . -name 'x.safetensors*' -o -name '*.part-*') ]] || fail "something is left"
