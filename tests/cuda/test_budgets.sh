#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# What ptxas says of each kernel, beside nvcc's objects, against the budgets of budgets.txt: registers
# of its largest instance on sm_90a, nothing spilled, no shared memory but what launches ask for. A
# kernel that the table does not name fails, and so does a row without a kernel.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
budgets=tests/cuda/budgets.txt
shopt -s nullglob
said=("$BUILD"/core/device/cuda/kernels/*.cu.ptxas)
if ((${#said[@]} == 0)); then
    echo "skipped: nvcc compiled nothing here"
    exit 77
fi

# "file kernel registers spilled shared", a line for each instance of a template
instances() {
    local file
    for file in "${said[@]}"; do
        c++filt <"$file" | awk -v file="$(basename "$file" .cu.ptxas)" '
            /Compiling entry function/ {
                here = /for .sm_90a.$/
                name = $0
                sub(/.*Compiling entry function ./, "", name)
                sub(/^void /, "", name)
                gsub(/\(anonymous namespace\)::/, "", name)
                sub(/[<(].*/, "", name)
            }
            here && /spill stores/ { spilled = $5 + $9 }
            here && /Used [0-9]+ registers/ {
                shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART) + 0 : 0
                match($0, /Used [0-9]+/)
                print file, name, substr($0, RSTART + 5, RLENGTH - 5), spilled + 0, shared
            }'
    done
}

instances | awk -v budgets="$budgets" '
    BEGIN { while ((getline line < budgets) > 0) if (line !~ /^#/ && split(line, f, " ") == 3) budget[f[1] " " f[2]] = f[3] }
    function fault(words) { print words; faults++ }
    {
        kernel = $1 " " $2
        seen[kernel] = 1
        if ($3 > most[kernel]) most[kernel] = $3
        if ($4) fault($1 ".cu: " $2 " spills " $4 " bytes")
        if ($5) fault($1 ".cu: " $2 " has " $5 " bytes of shared memory of its own")
        instances++
    }
    END {
        for (k in seen) {
            if (!(k in budget)) fault(budgets ": no budget for " k ", which takes " most[k] " registers")
            else if (most[k] > budget[k]) fault(k " takes " most[k] " registers, " budget[k] " are its budget")
        }
        for (k in budget) if (!(k in seen)) fault(budgets ": there is no kernel " k)
        if (!instances) fault("nothing is compiled for sm_90a")
        print instances + 0 " instances of kernels, " faults + 0 " faults"
        exit faults > 0
    }'
