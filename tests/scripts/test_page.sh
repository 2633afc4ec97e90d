#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# A page of clips shows clips, sheets and storyboards as they are, the curve, and the table of eval to the
# letter; what it names is there, whatever the names, and nothing comes from elsewhere.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../support/small.sh"
page=$root/scripts/page.sh
refuse() { # what the message must hold, words
    local words=$1
    shift
    if "$page" "$@" >out 2>&1; then fail "page.sh $*: not refused"; fi
    grep -qF -- "$words" out || fail "page.sh $*: nothing of '$words'"
}
unescape() { sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&amp;/\&/g'; }

cat >story.yaml <<'END'
# Signs that HTML reads: <b> & "&amp;".
checkpoint: run
shots: [{seconds: 0.5, prompt: 'wide: "a < b" & <so> on'}]
END
{
    "$talkie" data world run.yaml -o clips.h5 && "$talkie" train run.yaml train.steps=3 &&
        "$talkie" sample story.yaml sample.steps=1 &&
        "$talkie" sample story.yaml sample.steps=2 -o 'clips/odd/a b#1&"é%' &&
        "$talkie" sample story.yaml sample.steps=1 -o elsewhere/c
} >out 2>&1 || fail "no clips"
"$talkie" eval run.yaml eval.clips=2 eval.shown=12 eval.pictures=0 sample.steps=1 >table 2>out || fail "no eval"

mkdir none
"$page" clips/p.html clips/story run 'One & <two>' 'clips/odd/a b#1&"é%' none Three >out 2>&1 || fail "no page"
[[ $(sed -n 's,^<h2>\(.*\)</h2>$,\1,p' clips/p.html | unescape) == $'One & <two>\nThree' ]] || fail "other titles"

named=0
while IFS= read -r link; do
    [[ $link != data:* ]] || continue
    printf -v file '%b' "$(sed 's/%/\\x/g' <<<"$link")"
    [[ -s clips/$file ]] || fail "the page names $link, which is not there"
    named=$((named + 1))
done < <(grep -oE '(src|href)="[^"]*"' clips/p.html | sed -E 's/^[a-z]+="(.*)"$/\1/')
((named == 4)) || fail "the page names $named files, not two clips and two sheets"
! grep -qE '//|@import|<script' <(sed 's/base64,[^"]*//' clips/p.html) || fail "the page asks for something from elsewhere"

sed -n 's/.*base64,\([^"]*\)".*/\1/p' clips/p.html | base64 -d | cmp - run/loss.png || fail "another curve"
sed -n 's,^<pre>,,; /^# Signs/,/^shots/{s,</pre>,,;p}' clips/p.html | unescape | cmp - <(cat story.yaml story.yaml) ||
    fail "another storyboard"
sed -nE 's/^<tr><t[hd]( colspan=[0-9]+)?>//; T; s/<t[hd]>/\t/g; p' clips/p.html >shown
sed -E 's/^ +//; s/ +$//; s/  +/\t/g; 1s/^/\t/' table >printed
cmp shown printed || { diff shown printed || true; fail "another table than eval's"; }
(($(grep -c % printed) > 5)) || fail "eval found too little to compare"

rm clips/p.html
refuse 'usage: ' clips/p.html clips/story run
refuse 'clips/none.mp4 is missing' clips/p.html clips/story run One clips/none run Two
refuse 'does not lie in clips' clips/p.html elsewhere/c run One
mv story.yaml other.yaml
refuse 'story.yaml is not here' clips/p.html clips/story run One
[[ -z $(find clips -name 'p.html*') ]] || fail "something is left of a page that failed"
