#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 240
# People lend faces and voices to clips: enrolled, granted, used, told, refused, and revoked while a clip is
# made and while what is left of one waits to go on.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/cameo/lender.sh"

# Nobody gets in by the wrong door.
fails 2 'consent.store: missing' cameo list
fails 2 'none of list' cameo borrow
fails 2 'usage: talkie cameo log @HANDLE' cameo log
fails 2 'is no handle' cameo log ../ada "${lent[@]}"
fails 2 'cannot open' cameo list consent.store=nowhere
fails 2 'consent.sign: missing' cameo enroll @ada face.png voice.wav "${lent[@]}"
fails 2 'is not the key of the registrar' cameo enroll @ada face.png voice.wav "${lent[@]}" consent.sign=other.pem
install -m 600 registrar.pub public
fails 2 'no private key' cameo enroll @ada face.png voice.wav "${lent[@]}" consent.sign=public
install -m 640 registrar.pem read
fails 2 'consent.sign: read has mode 0640: others than its owner may read it; chmod 600 read' \
    cameo enroll @ada face.png voice.wav "${lent[@]}" consent.sign=read
fails 2 'FACE, a picture, comes first' cameo enroll @ada voice.wav face.png "${lent[@]}" consent.sign=registrar.pem
fails 2 'nobody of that handle' cameo log @ada "${lent[@]}"

# A handle whose key would be the server's.
cp keys/server.key server.kept
fails 2 '"@server" is no handle: its key would lie where' cameo enroll @server face.png voice.wav consent.sign=registrar.pem "${lent[@]}"
cmp keys/server.key server.kept || fail "enrolling replaces the server's key"

# By a challenge: one try, whatever comes of it.
fails 2 'no challenge was asked for' cameo enroll @cleo face.png "${lent[@]}"
cameo challenge @cleo
[[ $(sed -n '/^[a-z]* [a-z]* [a-z]* [a-z]*$/p' out | wc -l) == 1 ]] || fail "a challenge is not four words"
cp face.png film.png
cp keys/challenges/cleo.words cleo.kept
fails 2 'film.png: has no sound' cameo enroll @cleo film.png "${lent[@]}"
fails 2 'no challenge was asked for, or it was tried' cameo enroll @cleo film.png "${lent[@]}"
sed 's/^until: .*/until: 99999999999/' cleo.kept >keys/challenges/cleo.words
fails 2 'is not as the server gave it' cameo enroll @cleo film.png "${lent[@]}"
cp cleo.kept keys/challenges/bo.words
fails 2 'is not as the server gave it' cameo enroll @bo film.png "${lent[@]}"

# Enrolled, it serves its owner alone; granted, others as far as that goes.
cameo enroll @ada face.png voice.wav consent.sign=registrar.pem
cameo list
grep -q '@ada: of 1001 (1001)\|@ada: of 1001, enrolled' out || fail "the list does not name her"
grep -q 'serves its owner alone' out || fail "the list does not say whom she serves"
[[ $(stat -c '%a %u' store/people/ada/log) == '600 1001' ]] || fail "the log is not hers to read, or is others' too"
[[ $(stat -c '%a %u' store/people/ada/{log.end,card} | sort -u) == '644 0' ]] || fail "what the server signed is hers to put back"
story own.yaml 1001
story his.yaml 1002
"$talkie" sample own.yaml -o own "${lent[@]}" >out 2>&1 || fail "her own clip is not made"
grep -q '"handle": "ada"' own.json || fail "the clip does not tell who is in it"
! grep -q '/proc/' own.json || fail "the clip names files of memory"
fails 2 '@ada: serves its owner alone, not 1002' sample his.yaml -o his "${lent[@]}"
[[ ! -e his.mp4 && ! -e his.windows ]] || fail "what is refused leaves something"
fails 2 'consent.users: missing' cameo grant @ada consent.until=2099-01-01 consent.sign=registrar.pem "${lent[@]}"
fails 2 'is no day' cameo grant @ada consent.users=[1002] consent.until=2099-02-30 consent.sign=registrar.pem "${lent[@]}"
fails 2 'no user here' cameo grant @ada consent.users=[no-such-user] consent.until=2099-01-01 consent.sign=registrar.pem "${lent[@]}"
fails 2 'ends before it begins' cameo grant @ada consent.users=[1002] consent.until=2001-01-01 consent.sign=registrar.pem "${lent[@]}"
cameo grant @ada consent.users=[1002] consent.uses=[face] consent.until=2099-01-01 consent.sign=registrar.pem
fails 2 '@ada: does not consent to voice' sample his.yaml -o his "${lent[@]}"
sed 's/\[ada\]/["@ada:face", bo]/' his.yaml >both.yaml
chown 1002 both.yaml
fails 2 '@bo: nobody of that handle' sample both.yaml -o his "${lent[@]}"
cameo grant @ada consent.users=[1002] consent.until=2099-01-01 consent.sign=registrar.pem
chmod 666 his.yaml
fails 2 'others than its owner may write to it' sample his.yaml -o his "${lent[@]}"
chmod 644 his.yaml
chmod 640 keys/ada.key
fails 2 "consent.keys: keys/ada.key has mode 0640: others than its owner may read it" sample his.yaml -o his "${lent[@]}"
[[ $(grep -c 'sample  ' out) == 0 ]] || fail "a key that others may read is told after the work"
chmod 600 keys/ada.key
ln -s his.yaml link.yaml
fails 2 'of a link' sample link.yaml -o his "${lent[@]}"
mpirun -n 2 "$talkie" sample his.yaml -o his "${lent[@]}" parallel.tensor=2 >out 2>&1 || fail "his clip is not made"
"$talkie" plan his.yaml "${lent[@]}" >out 2>&1 || fail "his clip is not planned"
cameo log @ada
[[ $(grep -c ': as the server\|lines, as the server signed them' out) == 1 ]] || fail "the log is not verified"
grep -q "used .*by 1002.*: $dir/his$" out || fail "the log does not tell of his clip"
grep -q "made .*by 1002.*: $dir/his$" out || fail "the log does not tell that it was made"

# A log that cannot be written leaves no clip; a clip that does not get there after it was told is told of.
story blocked.yaml 1002 '{seconds: 0.5, prompt: a ball}, {seconds: 0.5, prompt: a ball}, {seconds: 0.5, prompt: a ball},'
echo '#!/bin/sh
[ "$1" != used ] || [ ! -e block ] || mkdir store/people/ada/.log.end.new
[ "$1" != made ] || [ ! -e stand ] || mkdir "$5.latents"' >hook
chmod 755 hook
touch block
fails 4 'log.end' sample blocked.yaml -o blocked "${lent[@]}" consent.hook="$dir/hook"
[[ -z $(find . -maxdepth 1 -name 'blocked.*' ! -name '*.yaml' ! -name '*.windows') ]] || fail "a clip is there that no log tells of"
rm -r block store/people/ada/.log.end.new
cameo log @ada
! grep -q "made .*: $dir/blocked$" out || fail "the log tells of a clip that is not there"
touch stand
fails 4 "blocked.latents" sample blocked.yaml -o blocked "${lent[@]}" consent.hook="$dir/hook"
rm -r stand blocked.latents
[[ -z $(find . -maxdepth 1 -name 'blocked.*' ! -name '*.yaml' ! -name '*.windows') ]] || fail "half a clip is there"
cameo log @ada
grep "$dir/blocked$" out | tail -n 1 | grep -q '  unmade  ' || fail "the log does not tell that it came to nothing"
"$talkie" sample blocked.yaml -o blocked "${lent[@]}" >out 2>&1 || fail "it is not made once that is possible"
cameo log @ada
grep "$dir/blocked$" out | tail -n 1 | grep -q '  made  ' || fail "the log does not tell that it was made after all"
grep -q 'lines, as the server signed them' out || fail "the log does not hold any more"
rm blocked.*

# A worker of a spool: its own store, the file's owner.
mkdir -p spool/new spool/files
story spool/new/.his 1002
sed -i 's/checkpoint: run, //' spool/new/.his
cp -p spool/new/.his spool/new/.hers && chown 1003 spool/new/.hers
sed 's/seed: 3/consent: {store: ..}/' spool/new/.his >spool/new/own-store.yaml
mv spool/new/.his spool/new/his.yaml
mv spool/new/.hers spool/new/hers.yaml
"$talkie" serve spool checkpoint=run serve.once=1 "${lent[@]}" >out 2>&1 || fail "the worker failed"
cmp his.mp4 spool/done/his/his.mp4 || fail "another clip than talkie sample's"
"$talkie" cameo log @ada "${lent[@]}" >out 2>&1 || fail "no log"
grep -q "made .*by 1002.*: $dir/spool/done/his/his$" out || fail "the log does not tell where the clip lies"
grep -q 'does not consent to a use by 1003' spool/failed/hers/job.json || fail "a stranger's job is not refused"
grep -q "is the worker's to say" spool/failed/own-store/job.json || fail "a job brings its own store"

# Of a list the worker writes the jobs' files, for whoever dropped it: not for itself, who lends to itself.
cp face.png own-face.png && cp voice.wav own-voice.wav
cameo enroll @own own-face.png own-voice.wav consent.sign=registrar.pem
echo '{shots: [{seconds: 0.5, prompt: <face 1> waves}], cameo: [ada], seed: 4, sample: {steps: 1}}' >spool/files/ada.yaml
sed 's/ada/own/' spool/files/ada.yaml >spool/files/own.yaml
echo 'storyboards: [ada.yaml, own.yaml]' >spool/new/.list
chown 1002 spool/new/.list && mv spool/new/.list spool/new/list.yaml
"$talkie" serve spool checkpoint=run serve.once=1 "${lent[@]}" >out 2>&1 || fail "the worker failed at a list"
"$talkie" cameo log @ada "${lent[@]}" >out 2>&1 || fail "no log"
grep -q "made .*by 1002.*: $dir/spool/done/ada/ada$" out || fail "who dropped the list gets no clip of who lends"
grep -q '@own: serves its owner alone, not 1002' spool/failed/own/job.json || fail "who dropped the list gets what the worker may"

# Revoked between two windows: the clip ends there, nothing of it is kept.
more=$(for i in $(seq 40); do echo "{seconds: 0.5, prompt: ball $i},"; done)
story long.yaml 1002 "$more"
wait_for_window() { for _ in $(seq 600); do ls "$1".windows/*.window >/dev/null 2>&1 && return; sleep 0.05; done; fail "no window is made"; }
"$talkie" sample long.yaml -o long "${lent[@]}" sample.steps=40 >job 2>&1 &
job=$!
wait_for_window long
cameo revoke @ada
grep -q "$dir/his.mp4  made" out || fail "revoking does not list what was made"
code=0
wait $job || code=$?
cp job out
[[ $code == 2 ]] || fail "the job ends with code $code"
grep -q '@ada: was revoked' out || fail "the job does not say why"
[[ ! -e long.windows && ! -e long.mp4 ]] || fail "something of the clip is kept"
[[ ! -e keys/ada.key && ! -e store/people/ada/face ]] || fail "the references are there"
fails 2 '@ada: was revoked' sample his.yaml -o again "${lent[@]}"

# Revoked while what is left of a clip waits to go on: it does not, whatever is put back.
cameo enroll @ada face.png voice.wav consent.sign=registrar.pem
cp -r store old-store
cameo grant @ada consent.users=[1002] consent.until=2099-01-01 consent.sign=registrar.pem
"$talkie" sample long.yaml -o long "${lent[@]}" sample.steps=40 >job 2>&1 &
job=$!
wait_for_window long
kill -9 $job
wait $job 2>/dev/null || true
cp -r long.windows kept
"$talkie" sample his.yaml -o more "${lent[@]}" >out 2>&1 || fail "no clip more"
echo >>store/people/ada/consent # what does not hold by then is told, and in no way of the rest
fails 2 '@ada: is revoked, its key destroyed; but before that: .*its consent is not the one' cameo revoke @ada "${lent[@]}"
grep -q "$dir/more.mp4  made" out || fail "a consent that does not hold hides what was made"
[[ ! -e more.latents && -e more.mp4 ]] || fail "a consent that does not hold keeps latents"
[[ ! -e long.windows ]] || fail "revoking leaves windows of a clip that was not finished"
mv kept long.windows
fails 2 '@ada: was revoked' sample long.yaml -o long "${lent[@]}" sample.steps=40
[[ ! -e long.windows ]] || fail "windows of a revoked cameo are kept"
rm -r store && mv old-store store # the whole store as it was, but for the key
fails 2 '@ada: was revoked' sample own.yaml -o again "${lent[@]}"
echo "lent, told and revoked"
