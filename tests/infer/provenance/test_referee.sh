#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# The official reader of C2PA, c2pa-python, takes what talkie signs and finds what talkie verify finds. It is
# looked for in $C2PA_PYTHON (default: python3); without it the test is skipped.
set -euo pipefail
python=${C2PA_PYTHON:-python3}
"$python" -c 'import c2pa' 2>/dev/null || {
    echo "skipped: c2pa-python is not here (pip install c2pa-python; C2PA_PYTHON=its python3)"
    exit 77
}
RANKS=1
. "$(dirname "$0")/../../support/small.sh"
. "$root/tests/infer/provenance/clips.sh"
"$python" "$root/tests/infer/provenance/referee.py" "$talkie" child.mp4 keys/root.pem >out 2>&1 ||
    fail "the official reader and talkie do not agree"
cat out
