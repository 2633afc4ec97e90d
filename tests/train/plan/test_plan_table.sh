#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# docs/plan-h3-33b.md is what the program prints: the best layouts of the smallest cluster, their times
# and memory within a fiftieth.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
program=${TALKIE:-build/talkie}
said=$("$program" plan configs/tiny.yaml device=cuda 2>&1)
if [[ $said == *'built without CUDA'* ]]; then
    echo 'skipped: plans for GPUs need a program that was built with CUDA'
    exit 77
fi

best() { # the lines of the first table of a section, from standard input
    awk '/^## 64 GPUs/ { inside = 1 } /^Do not fit/ { inside = 0 } inside && /^ +[0-9]+\.[0-9]+ / { $1 = $1; print }'
}

now=$(TALKIE=$program scripts/plan_table.sh 64 | best)
paste -d ' ' <(best <docs/plan-h3-33b.md) <(printf '%s\n' "$now") | awk '
    function near(a, b) { return a <= b * 1.02 && b <= a * 1.02 }
    NF != 20 { print "not two layouts: " $0; bad = 1; next }
    {
        good = near($1, $11) && near($2, $12) && near($10, $20)
        for (i = 4; i < 10; i++) good = good && $i == $(i + 10)
        if (!good) { print "written, then planned: " $0; bad = 1 }
    }
    END { if (NR != 10) print NR " layouts, not 10"; exit bad || NR != 10 }'
code=$?
((code == 0)) || echo 'docs/plan-h3-33b.md is not what is planned now: make plans'
exit $code
