#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60; waits: mostly
# talkie jobs as a person meets it: the table in a pipe, live on a terminal that changes its size, as JSON,
# with hostile words in it; cancelling; a spool that may only be read.
set -euo pipefail
RANKS=1
. "$(dirname "$0")/../support/small.sh"

refuses() { # WORDS ARGUMENT...
    local code=0 words=$1
    shift
    "$talkie" jobs "$@" >out 2>&1 || code=$?
    [[ $code == 2 ]] && grep -q -- "$words" out || fail "jobs $*: ends with $code, not with 2 and '$words'"
}
refuses 'a spool.s folder is missing'
refuses 'cannot open nowhere' nowhere
mkdir empty
refuses 'is no spool' empty
refuses 'jobs.every' empty jobs.every=0

# A job of each state, as workers leave them; words that would move a cursor, and no UTF-8.
mkdir -p spool/{new,taking,waiting,running,done,failed,cancelled,cancel,names,workers,files}
entry() { # FOLDER NAME MORE: job.json
    mkdir -p "spool/$1"
    printf '{"format": "talkie-job", "version": 1, "name": "%s", "user": "ann"%b}' "$2" "$3" >"spool/$1/job.json"
}
entry waiting/2,20261126-203101,soon,0 soon ', "tries": 0'
entry waiting/7,20261126-203100,later,1 later ', "tries": 1, "most_tries": 3, "history": [{"claim": 1, "worker": "w", "end": "no luck"}]'
entry running/0,20261126-203059,walk,1,host-1-ab walk ', "worker": "host-1-ab", "claim": 1, "done": 14, "total": 24, "unit": "steps", "seconds_left": 83'
entry 'failed/bad' bad ', "error": "line one\\nline two\\u001b[31mred\\u009b"'
mkdir spool/done/old
printf x >spool/new/fresh.yaml
mkdir spool/workers/host-1-ab
echo 'host 1 1 1 60' >spool/workers/host-1-ab/heartbeat

"$talkie" jobs spool >out 2>&1 || fail "no table"
LC_ALL=C grep -q $'[\001-\011\013-\037\177\233]' out && fail "controls come through"
told() { grep -Eq -- "$1" out || fail "the table does not tell: $1"; }
told '1 running, 2 waiting, 1 new, 1 done, 1 failed, 0 cancelled'
told '^walk +running +0 +14/24 steps +83 s +ann +host-1-ab$'
told '^soon +waiting +2 +ann$'
told '^later +waiting +7 .*tried 1 of 3 times: no luck$'
told '^bad +failed .*line one line two'
told '^fresh.yaml +new$'
[[ $(awk 'NR > 2 { printf "%s ", $1 }' out) == 'walk soon later fresh.yaml bad old ' ]] || fail "another order"
touch -d '1 hour ago' spool/workers/host-1-ab/heartbeat
"$talkie" jobs spool >out 2>&1
told '^walk +lost\? .*host-1-ab, which shows no sign of life$'

"$talkie" jobs spool jobs.json=1 >out 2>&1 || fail "no JSON"
grep -q '"counts": {"running": ' out || fail "JSON counts nothing"
[[ $(grep -c '"format":"talkie-job"' out) == 6 ]] || fail "other than six jobs as JSON"
grep -q '"name":"walk","state":"running".*"done":14,.*"lost":true' out || fail "JSON does not tell of walk"
"$json" out || fail "it is no JSON"

# Who may only read sees the same.
if ((EUID == 0)) && command -v setpriv >/dev/null; then
    chmod 755 "$dir" && chmod -R go-w spool
    setpriv --reuid=12345 --clear-groups "$talkie" jobs spool >out 2>&1 || fail "who may only read sees nothing"
    told '^walk '
fi

"$talkie" jobs spool jobs.cancel=soon >out 2>&1 || fail "soon cannot be cancelled"
[[ -e spool/cancel/soon ]] || fail "nothing asks to cancel soon"
refuses 'has ended' spool jobs.cancel=bad
refuses 'no job in spool is called nobody' spool jobs.cancel=nobody
refuses 'no job can be called' spool jobs.cancel=../x

# On a terminal: drawn until q, as wide and high as the window, and the screen is put back.
drawn_anew() { # waits for it
    for ((i = 0; i < 300; i++)); do
        (($(grep -c $'\033\\[H' out) > 1)) && return
        sleep 0.1
    done
}
on_terminal() { # ROWS COLUMNS KEYS
    : >out
    { drawn_anew; printf '%s' "$3"; sleep 0.3; } |
        script -qec "stty rows $1 cols $2; exec '$talkie' jobs spool jobs.every=0.1" /dev/null >out || fail "the live table ends with $?"
}
if command -v script >/dev/null; then
    on_terminal 24 60 q
    (($(grep -c $'\033\\[H' out) > 1)) || fail "it is not drawn anew"
    tail -c 40 out | grep -q $'\033\\[?1049l' || fail "the screen is not put back"
    grep -q 'and [0-9]* more' out && fail "a high window does not show all"
    sed $'s/\033\\[[?0-9]*[A-Za-z]//g' out | tr -d '\r' | awk 'length > 60 { exit 1 }' || fail "lines are longer than the window"
    on_terminal 6 40 q
    grep -q 'and [0-9]* more' out || fail "a low window shows all the same"
    on_terminal 24 60 $'\003' # Ctrl-C
    tail -c 40 out | grep -q $'\033\\[?1049l' || fail "after Ctrl-C the screen is not put back"
fi

# ---- of a folder with more jobs than are told both tables say how many more there are
rm -r spool/done && mkdir spool/done
seq -f 'spool/done/job%05.0f' 10003 | xargs mkdir
"$talkie" jobs spool >many 2>out || fail "no table of many"
grep -q '^spool: .* 10003 done, .*; of folders with more than 10000 jobs only so many are told$' many || fail "that some are not told is not told"
[[ $(tail -n 1 many) == 'and 3 more' ]] || fail "how many are not told is not told"
"$talkie" jobs spool jobs.json=1 >many 2>out || fail "no JSON of many"
tells many counts.done 10003
tells many more 3
