#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 300
# Faults planted in a file of kernels, as many as half a minute takes, others each time: each makes its
# tests fail, or is listed with the reason why it cannot (make mutate tries all). TK_SEED=N draws
# those again that a run names so.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[[ -z ${SAN:-} ]] || {
    echo "skipped: faults are planted in kernels as the plain build has them"
    exit 77
}
command -v python3 >/dev/null || {
    echo "skipped: python3, which plants faults in kernels, is missing"
    exit 77
}
exec scripts/mutate.py --jobs 2 --seconds 20
