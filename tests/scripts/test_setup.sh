#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 30
# scripts/setup.sh on an imagined Debian: what is installed is a list, apt-get adds to it.
set -euo pipefail
world=$(mktemp -d)
trap 'rm -rf "$world"' EXIT
export world PATH="$world/bin:$PATH"
mkdir "$world/bin"
: >"$world/installed"
: >"$world/calls"

cat >"$world/bin/dpkg-query" <<'FAKE'
#!/usr/bin/env bash
while read -r name; do echo "$name ii "; done <"$world/installed"
[[ ! -s $world/removed ]] || echo "$(<"$world/removed") rc "
exit 1 # as the real one does when any package is unknown
FAKE
cat >"$world/bin/apt-get" <<'FAKE'
#!/usr/bin/env bash
echo "$DEBIAN_FRONTEND $*" >>"$world/calls"
[[ ! -e $world/broken ]] || { echo "E: no network" >&2; exit 100; }
[[ $* == *install* ]] || exit 0
rm -f "$world/removed"
printf '%s\n' "${@##-*}" | grep -E '^[a-z].*[a-z0-9]$' | grep -vxE 'install|update' >>"$world/installed"
FAKE
printf '#!/usr/bin/env bash\nexec "$@"\n' >"$world/bin/sudo"
chmod +x "$world"/bin/*

touch "$world/broken"
if scripts/setup.sh >"$world/out" 2>&1; then echo 'a failing apt-get must fail set-up'; exit 1; fi
grep -q 'E: no network' "$world/out"
rm "$world/broken"
: >"$world/calls"

scripts/setup.sh | tee "$world/out"
grep -qE 'libhdf5-dev +[a-z]' "$world/out" # says what and why
[[ $(wc -l <"$world/calls") == 2 ]]
grep -q '^noninteractive .*update' "$world/calls"
grep -q '^noninteractive .*install .*libopenmpi-dev.*libcmocka-dev' "$world/calls"

: >"$world/calls"
[[ $(scripts/setup.sh | tee /dev/stderr | wc -l) == 1 ]] # nothing left to do, in one line
[[ ! -s $world/calls ]]

# what the cluster test needs comes only when asked for
if grep -q slurm "$world/installed"; then echo 'Slurm must not come unasked'; exit 1; fi
scripts/setup.sh --cluster | grep 'installing 5 of'
grep -qE 'install .*slurmctld.*munge' "$world/calls"
: >"$world/calls"
if scripts/setup.sh --nonsense 2>"$world/out"; then echo 'an unknown option must be refused'; exit 1; fi
grep -q usage "$world/out"

# one package removed, its configuration left behind: it alone is installed again
grep -v '^libpng-dev$' "$world/installed" >"$world/rest"
mv "$world/rest" "$world/installed"
echo libpng-dev >"$world/removed"
scripts/setup.sh | grep 'installing 1 of'
grep -qE 'install .*libpng-dev$' "$world/calls"
