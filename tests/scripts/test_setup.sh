#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# scripts/setup.sh in an imagined world: only what is linked into its bin/ is there, apt-get adds
# what the packages' signs (the second column of setup.sh's tables) stand for.
set -euo pipefail
world=$(mktemp -d)
trap 'rm -rf "$world"' EXIT
export world real=$PATH
mkdir "$world/bin"
: >"$world/calls"
echo 0 >"$world/uid"
for tool in bash env mktemp rm tail cat grep sed true; do ln -s "$(type -P $tool)" "$world/bin"; done
sed -nE 's/^([a-z0-9-]+) +\| ([^|]*[^ |]) +\| .*/\1 \2/p' scripts/setup.sh >"$world/signs"

fake() { # NAME: a command of the world, from standard input
    { printf '#!/usr/bin/env bash\n'; cat; } >"$world/bin/$1"
    chmod +x "$world/bin/$1"
}
fake id <<<'cat "$world/uid"'
fake sudo <<<'[[ $1 != -n ]] || shift; exec "$@"'
fake broken <<<'echo "E: no network" >&2; exit 100'
# one package's sign: a command becomes one, anything else is listed under its name
fake add <<'FAKE'
read -r _ kind name _ < <(grep "^$1 " "$world/signs")
if [[ $kind == command && $name != pkg-config && $name != gcc && $name != clang-14 ]]; then
    PATH=$real ln -sf bash "$world/bin/$name"
fi
echo "$name" >>"$world/there"
FAKE
fake pkg-config <<<'grep -qxF -- "$2" "$world/there"'
fake gcc <<<'read -r _ name; name=${name#<}; grep -qxF -- "${name%>}" "$world/there"'
fake ls <<<'grep -qxF -- "$1" "$world/there"'
fake clang-14 <<<'name=${1#*=}; if grep -qxF -- "$name" "$world/there"; then echo /; else echo "$name"; fi'
apt() {
    fake apt-get <<'FAKE'
echo "$DEBIAN_FRONTEND $*" >>"$world/calls"
[[ ! -e $world/no_network ]] || exec broken
[[ $* == *install* ]] || exit 0
for word; do if grep -q "^$word " "$world/signs"; then add "$word"; fi; done
FAKE
}
setup() { PATH=$world/bin scripts/setup.sh "$@"; }
fails() { # TEXT COMMAND...: fails, saying so
    if "${@:2}" >"$world/out" 2>&1; then echo "must fail: $1"; exit 1; fi
    grep -q -- "$1" "$world/out" || { cat "$world/out"; echo "does not say: $1"; exit 1; }
}
: >"$world/there"

# the first command of all, with nothing here but make: it complains of nothing
PATH=$world/nothing "$(type -P make)" -n setup >/dev/null 2>"$world/out"
if [[ -s $world/out ]]; then cat "$world/out"; echo 'make setup complains before it sets up'; exit 1; fi

# not Debian: what is needed is named, and why
fails 'no apt-get here' setup
grep -qE 'libhdf5-dev +clip files' "$world/out"
if grep -q ffmpeg "$world/out"; then echo 'what is not needed must not be called so'; exit 1; fi

apt
touch "$world/no_network"
fails 'E: no network' setup
rm "$world/no_network"

# neither root nor sudo: what it would do
echo 1000 >"$world/uid"
mv "$world/bin/sudo" "$world/sudo"
: >"$world/calls"
fails 'apt-get install .*libopenmpi-dev' setup
[[ ! -s $world/calls ]]
mv "$world/sudo" "$world/bin/sudo"

setup </dev/null >"$world/out" # by sudo
cat "$world/out"
grep -qE 'libhdf5-dev +[a-z]' "$world/out" # says what and why
[[ $(wc -l <"$world/calls") == 2 ]]
grep -q '^noninteractive .*update' "$world/calls"
grep -q '^noninteractive .*install .*libopenmpi-dev.*libcmocka-dev' "$world/calls"

: >"$world/calls"
[[ $(setup | tee /dev/stderr | wc -l) == 1 ]] # nothing left to do, in one line
[[ ! -s $world/calls ]]

# what the cluster test and the fuzzers need comes only when asked for
if grep -qE 'slurm|fuzzer' "$world/there"; then echo 'Slurm must not come unasked'; exit 1; fi
setup --cluster | grep 'installing 5 of'
grep -qE 'install .*slurmctld.*munge' "$world/calls"
setup --fuzz | grep 'installing 2 of' # its compiler is there
: >"$world/calls"
fails usage setup --nonsense
fails usage setup --cluster --fuzz

# one library gone: it alone is installed again
lose() {
    grep -vx "$1" "$world/there" >"$world/rest"
    mv "$world/rest" "$world/there"
    rm -f "$world/bin/$1"
}
lose jansson
setup | grep 'installing 1 of'
grep -qE 'install .*libjansson-dev$' "$world/calls"

# a library that no package brought is there as well; HDF5 goes by either name
lose hdf5-serial
echo hdf5 >>"$world/there"
setup | grep 'are here'

# only spared things are missing and nothing can be installed: it goes on
lose ffmpeg
rm "$world/bin/sudo"
setup | tee "$world/out"
grep -q 'Going on' "$world/out"
grep -q 'ffmpeg' "$world/out"
rm "$world/bin/apt-get"
setup | grep 'no apt-get here. Going on'
lose yaml-0.1
fails 'libyaml-dev' setup
