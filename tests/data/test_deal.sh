#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 120
# Clips of the world are dealt out: a rank whose disk is slow makes fewer of them instead of being
# waited for, one that cannot write ends the others within seconds, and the bytes are the same as ever.
set -euo pipefail
RANKS=2
. "$(dirname "$0")/../support/small.sh"

# Half of the clips would take rank 1 half a second each: 16 seconds.
"$faulty" 0 none 0 data world run.yaml -o alone.h5 world.clips=64 >out 2>&1 || fail "one rank fails"
mv alone.h5 alone
begin=$SECONDS
mpirun -n 2 "$faulty" 1 slow 250 data world run.yaml -o alone.h5 world.clips=64 >out 2>&1 || fail "two ranks fail"
took=$((SECONDS - begin))
cmp alone alone.h5 || fail "the bytes depend on who made what"
((took < 12)) || fail "a slow rank was waited for: $took s"
echo "one slow rank: $took s"

# Files may grow to a size that the clips dealt to rank 1 lie behind, as may the shared memory that ranks would talk
# through; rank 0 would work for minutes.
export OMPI_MCA_btl=self,tcp
printf '#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" != 1 ] || { trap "" XFSZ; ulimit -f 1000; }\nexec "$@"\n' >limited
chmod +x limited
code=0 begin=$SECONDS
timeout -k 5 60 mpirun -n 2 ./limited "$faulty" 0 slow 5 data world run.yaml -o full.h5 world.clips=30000 \
    >out 2>&1 || code=$?
took=$((SECONDS - begin))
[[ $code == 4 ]] || fail "a rank that cannot write: exit code $code after $took s, not 4"
[[ $(grep -c '^talkie: ' out) == 1 ]] || fail "not one message"
[[ -z $(ls | grep '^full') ]] || fail "something was left: $(ls)"
((took < 20)) || fail "the others went on for $took s"
echo "one rank that cannot write: $took s"
