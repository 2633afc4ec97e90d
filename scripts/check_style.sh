#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Style as a test: what a reviewer would otherwise have to look for by hand. Prints file:line and
# the rule for each breach; exits 1 if there are any, 77 if there are none but clang-format-14 is not
# here. A line that must break a rule (freeing what a library allocated, say) carries the comment
# "style: allow" and a reason.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# The house, lowest room first: a room includes only itself and rooms before it. Files that lie in a
# folder itself come after its rooms, and core/device/cpu belongs to the room core/device.
rooms=(
    core/{base,numbers,comm,config,store,device,model}
    parallel/{mpi,nccl} parallel
    data/{vocoder,codec,media,draw,speech,clip,scene,film,world,import} data
    train/{checkpoint,update,step,run,plan,parity,preflight} train
    infer/{spool,sampler,reel,story,cut,provenance,mark,cameo,judges,filter,output,gallery,eval,enroll} infer
)
folders=(core parallel data train infer)
max_function=80 max_file=600
# Files in which a function may have the same name as in the others: it fills the same place of a table,
# of kernels or of a communicator.
twins=('core/device/(ref|cpu|cuda)/' 'parallel/(mpi/(comm|device)|nccl/comm)[.]c' 'parallel/(mpi|nccl)/collective[.]c')
shopt -s nullglob globstar
formatter=0
command -v clang-format-14 >/dev/null && formatter=1

house=(*.c)
for folder in "${folders[@]}"; do house+=("$folder"/**/*.{[ch],cu,cuh}); done
tests=(tests/**/*.{[ch],cc,cu})
sources=("${house[@]}" "${tests[@]}")
scripts=(scripts/*.sh scripts/*.py slurm/*.sh slurm/*.sbatch tests/**/*.sh tests/**/*.py .ci/run)

# Source text without comments and string contents, lines kept: "file:line:code".
bare() {
    awk '
    FNR == 1 { inside = 0 }
    {
        keep = /style: allow/
        out = ""; s = $0
        while (s != "") {
            if (inside) {
                i = index(s, "*/")
                if (!i) { s = ""; break }
                s = substr(s, i + 2); inside = 0
            } else if (match(s, /\/\/|\/\*|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)\047/)) {
                tok = substr(s, RSTART, 2)
                out = out substr(s, 1, RSTART - 1)
                if (tok == "//") { s = ""; break }
                s = substr(s, RSTART + (tok == "/*" ? 2 : RLENGTH))
                if (tok == "/*") inside = 1; else out = out "\"\""
            } else { out = out s; s = "" }
        }
        if (!keep) print FILENAME ":" FNR ":" out
    }' "$@"
}

# Prints "file:line: rule" for every breach.
breaches() {
    # 1. Format
    if ((formatter)); then
        clang-format-14 --dry-run -Werror "${sources[@]}" 2>&1 | sed -nE 's/^([^ :]+:[0-9]+):.*error:.*/\1: not formatted (make format)/p' |
            sort -u -t: -k1,1
    fi

    # 2. A room includes only itself and rooms before it
    awk -v rooms="${rooms[*]}" '
        BEGIN { n = split(rooms, name, " "); for (i = 1; i <= n; i++) order[name[i]] = i }
        function room(path,   part, k) {
            k = split(path, part, "/")
            return k > 2 ? part[1] "/" part[2] : part[1]
        }
        FNR == 1 {
            own = room(FILENAME)
            if (FILENAME ~ /\// && !(own in order)) print FILENAME ":1: " own " is no room of the house (scripts/check_style.sh)"
        }
        FILENAME ~ /\// && /^[ \t]*#[ \t]*include[ \t]+"/ {
            split($0, quoted, "\"")
            if (order[room(quoted[2])] > order[own])
                print FILENAME ":" FNR ": " own " must not include " quoted[2]
        }' "${house[@]}"
    # Judges see pixels and samples: they know nothing of how the world is made
    grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"' infer/judges/**/*.[ch] |
        grep -vE '"(core/[a-z/_0-9]+|data/(media|draw)/[a-z_]+|infer/judges/[a-z_/]+)\.h"' |
        sed -E 's/^([^:]+:[0-9]+):.*"(.*)".*/\1: a judge must not include \2/'
    grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"\.\.?/' "${sources[@]}" |
        sed -E 's/^([^:]+:[0-9]+):.*/\1: include from the root of the repository, not relatively/'

    # 3. Licence line
    for file in "${sources[@]}"; do
        [[ $(head -n 1 "$file") == '// SPDX-License-Identifier: Apache-2.0' ]] ||
            echo "$file:1: the first line must be // SPDX-License-Identifier: Apache-2.0"
    done
    for file in "${scripts[@]}" Makefile; do
        head -n 3 "$file" | grep -q '^# SPDX-License-Identifier: Apache-2.0' ||
            echo "$file:1: no SPDX-License-Identifier in the first lines"
    done

    # 4. Lengths
    awk -v max=$max_function '
        FNR == 1 { begin = 0 }
        /^[A-Za-z_].*\(/ && !/;[ \t]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        /^\{/ { begin = FNR }
        /^\}/ { if (begin && FNR - begin - 1 > max)
                    print FILENAME ":" begin ": function " name " has " FNR - begin - 1 " lines (at most " max ")"
                begin = 0 }' "${sources[@]}"
    for file in "${sources[@]}"; do
        lines=$(wc -l <"$file")
        ((lines <= max_file)) || echo "$file:$lines: has $lines lines (at most $max_file)"
    done

    # 5. Nothing unfinished
    grep -nHwE 'TO''DO|FIX''ME|X''XX' "${sources[@]}" "${scripts[@]}" Makefile |
        sed -E 's/^([^:]+:[0-9]+):.*/\1: finish it or leave it out/'

    # 6. One allocation seam, one way out
    mapfile -t seamed < <(printf '%s\n' "${house[@]}" | grep -vx 'core/base/mem.c')
    if ((${#seamed[@]})); then
        bare "${seamed[@]}" |
            grep -E '(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup|asprintf|vasprintf)[ ]*\(' |
            sed -E 's/^([^:]+:[0-9]+):.*/\1: host memory comes through core\/base\/mem.h/'
        bare "${seamed[@]}" | grep -vE '^(talkie|parallel/mpi/end)\.c:' |
            grep -E '(^|[^A-Za-z0-9_.>])(exit|_exit|quick_exit|_Exit)[ ]*\(' |
            sed -E 's/^([^:]+:[0-9]+):.*/\1: return a tk_status; only talkie.c and tk_parallel_abort end the process/'
    fi

    # 7. Devices are chosen by an option and called by functions
    mapfile -t users < <(printf '%s\n' "${house[@]}" | grep -v '^core/device/')
    if ((${#users[@]})); then
        bare "${users[@]}" | grep -E 'tk_device_(cpu|ref|dry)([^A-Za-z0-9_]|$)' |
            sed -E 's/^([^:]+:[0-9]+):.*/\1: which device it is, is the option device (tk_device_find)/'
        bare "${users[@]}" | grep -E 'device(->|\.)ops->[a-z_]+[^a-z_]' | grep -vE 'ops->name[^a-z_]' |
            sed -E 's/^([^:]+:[0-9]+):.*/\1: a device is called by the functions of core\/device\/device.h/'
    fi

    # 8. One name for one thing: a breakpoint by a static function's name stops in one place, and a type's
    # name is one type's.
    awk -v twins="${twins[*]}" '
        BEGIN { groups = split(twins, twin, " ") }
        function group(path,   i) {
            for (i = 1; i <= groups; i++) if (path ~ twin[i]) return i
            return path
        }
        function once(kind, name,   own) {
            own = group(FILENAME)
            if (!((kind, name) in home)) {
                home[kind, name] = own
                place[kind, name] = FILENAME
            } else if (home[kind, name] != own)
                print FILENAME ":" FNR ": " kind " " name " is also in " place[kind, name]
        }
        /^typedef (struct|union|enum) [A-Za-z_0-9]+ \{/ { once("type", $3) }
        FILENAME ~ /[.]c$/ && /^static [^;=]*\(/ {
            name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
            if (name ~ /^[a-z]/) once("function", name)
        }' "${house[@]}"

    # 9. Assertions stand where make ASSERT=1 looks for them
    grep -nHw tk_assert "${house[@]}" | grep -v '^core/base/status[.]h:' |
        sed -nE 's/^([^:]+[.](h|cuh|cu):[0-9]+):.*/\1: tk_assert is for .c files: ASSERT=1 compiles only those anew that have it/p'

    # 10. Tabs and trailing blanks
    grep -nHP '[ \t]+$' "${sources[@]}" "${scripts[@]}" | sed -E 's/^([^:]+:[0-9]+):.*/\1: trailing blanks/'
}

found=$(breaches)
if [[ $found ]]; then
    printf '%s\n' "$found"
    echo "$(wc -l <<<"$found") breaches of style"
    exit 1
fi
if ! ((formatter)); then
    echo "skipped: all but the format is fine; clang-format-14, which looks at that, is not here"
    exit 77
fi
echo "style: ${#sources[@]} sources and ${#scripts[@]} scripts are fine"
