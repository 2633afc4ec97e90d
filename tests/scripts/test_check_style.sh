#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# Each rule of the style check: a small house that keeps it passes, one that breaks it does not.
set -euo pipefail
root=$PWD house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
spdx='// SPDX-License-Identifier: Apache-2.0'

fresh() {
    rm -rf "$house"
    mkdir -p "$house"/{core,parallel,data,train,infer,scripts,tests/core,.ci}
    cp "$root/.clang-format" "$house"
    cp "$root/Makefile" "$house"
    cp "$root/scripts/check_style.sh" "$house/scripts"
    cp "$root/.ci/run" "$house/.ci"
    printf '%s\nint one(void);\n' "$spdx" >"$house/core/one.h"
    # words in comments and strings are no breaches
    printf '%s\n#include "core/one.h"\n\n// free(x), exit(1)\nint one(void)\n{\n    return sizeof "malloc(3)";\n}\n' \
        "$spdx" >"$house/core/one.c"
    printf '%s\n#include "core/one.h"\n' "$spdx" >"$house/train/two.c"
}

passes() {
    "$house/scripts/check_style.sh" || { echo "should pass: $1"; exit 1; }
}

fails() { # WHAT, then what the report must say
    local said
    if said=$("$house/scripts/check_style.sh"); then
        echo "should fail: $1"
        exit 1
    fi
    grep -q "$2" <<<"$said" || { printf 'for %s, no "%s" in:\n%s\n' "$1" "$2" "$said"; exit 1; }
    fresh
}

put() { # FILE: appends standard input
    cat >>"$house/$1"
}

fresh
passes 'the clean house'
put core/one.c <<<'int   two(void);'
fails 'format' 'core/one.c:9: not formatted'
put core/two.c <<<"$spdx"$'\n#include "train/one.h"'
fails 'include order' 'core/two.c:2: core must not include train/one.h'
put data/two.c <<<"$spdx"$'\n#include "infer/one.h"'
fails 'include order' 'data must not include infer/one.h'
put core/two.c <<<"$spdx"$'\n#include "../core/one.h"'
fails 'relative include' 'core/two.c:2: include from the root'
put core/two.c <<<'int two(void);'
fails 'no licence line' 'core/two.c:1: the first line must be'
put scripts/two.sh <<<'#!/bin/sh'
fails 'no licence line in a script' 'scripts/two.sh:1: no SPDX'
{
    printf '%s\nvoid two(void)\n{\n' "$spdx"
    for ((i = 0; i < 81; i++)); do echo '    one();'; done
    echo '}'
} | put core/two.c
fails 'a long function' 'core/two.c:3: function two has 81 lines'
{
    echo "$spdx"
    for ((i = 0; i < 600; i++)); do echo '// line'; done
} | put core/two.c
fails 'a long file' 'core/two.c:601: has 601 lines'
put core/one.c <<<"// TO""DO: later"
fails 'unfinished' 'core/one.c:9: finish it'
put core/two.c <<<"$spdx"$'\nint *two(void)\n{\n    return malloc(3);\n}'
fails 'raw malloc' 'core/two.c:4: host memory'
put core/two.c <<<"$spdx"$'\nvoid two(char *x)\n{\n    free(x); // style: allow, libpng allocated it\n}'
passes 'an allowed line'
put core/three.c <<<"$spdx"$'\nvoid three(void)\n{\n    exit(1);\n}'
fails 'exit' 'core/three.c:4: return a tk_status'
echo 'every rule was seen to bite'
