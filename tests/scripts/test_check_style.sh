#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#TEST timeout: 60
# Each rule of the style check: a small house that keeps it passes, one that breaks it does not.
set -euo pipefail
command -v clang-format-14 >/dev/null || { echo 'skipped: clang-format-14 is not here'; exit 77; }
root=$PWD house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
spdx='// SPDX-License-Identifier: Apache-2.0'

fresh() {
    rm -rf "$house"
    mkdir -p "$house"/{core/{base,model},parallel,data/{codec,clip},train,infer,scripts,tests/core,.ci}
    cp "$root/.clang-format" "$house"
    cp "$root/Makefile" "$house"
    cp "$root/scripts/check_style.sh" "$house/scripts"
    cp "$root/.ci/run" "$house/.ci"
    printf '%s\nint one(void);\n' "$spdx" >"$house/core/model/one.h"
    # words in comments and strings are no breaches
    printf '%s\n#include "core/model/one.h"\n\n// free(x), exit(1)\nint one(void)\n{\n    return sizeof "malloc(3)";\n}\n' \
        "$spdx" >"$house/core/model/one.c"
    printf '%s\n#include "core/model/one.h"\n' "$spdx" >"$house/train/two.c"
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
put core/model/one.c <<<'int   two(void);'
fails 'format' 'core/model/one.c:9: not formatted'
put core/model/two.c <<<"$spdx"$'\n#include "train/one.h"'
fails 'include order' 'core/model/two.c:2: core/model must not include train/one.h'
put data/codec/two.c <<<"$spdx"$'\n#include "data/clip/one.h"'
fails 'order of rooms' 'data/codec/two.c:2: data/codec must not include data/clip/one.h'
put data/codec/two.c <<<"$spdx"$'\n#include "data/one.h"'
fails 'a file of the folder itself' 'data/codec must not include data/one.h'
put data/two.c <<<"$spdx"$'\n#include "data/clip/one.h"'
passes 'a file of the folder itself'
fresh
mkdir "$house/core/cellar"
put core/cellar/two.c <<<"$spdx"
fails 'a room of no house' 'core/cellar is no room'
for file in core/model/two.c data/two.c; do
    put $file <<<"$spdx"$'\nstatic int add(int x)\n{\n    return x;\n}\n'
done
clang-format-14 -i "$house"/{core/model,data}/two.c
fails 'a function in two files' 'data/two.c:2: function add is also in core/model/two.c'
for file in core/model/two.h data/two.c; do put $file <<<"$spdx"$'\ntypedef struct two {\n    int x;\n} two;'; done
fails 'a type in two files' 'data/two.c:2: type two is also in core/model/two.h'
mkdir "$house"/core/device{,/cpu,/ref}
for file in core/device/{cpu,ref}/two.c; do
    put $file <<<"$spdx"$'\nstatic int add(int x)\n{\n    return x;\n}'
done
passes 'a kernel of two devices'
fresh
put core/model/two.c <<<"$spdx"$'\n#include "../model/one.h"'
fails 'relative include' 'core/model/two.c:2: include from the root'
put core/model/two.c <<<'int two(void);'
fails 'no licence line' 'core/model/two.c:1: the first line must be'
put scripts/two.sh <<<'#!/bin/sh'
fails 'no licence line in a script' 'scripts/two.sh:1: no SPDX'
{
    printf '%s\nvoid two(void)\n{\n' "$spdx"
    for ((i = 0; i < 81; i++)); do echo '    one();'; done
    echo '}'
} | put core/model/two.c
fails 'a long function' 'core/model/two.c:3: function two has 81 lines'
{
    echo "$spdx"
    for ((i = 0; i < 600; i++)); do echo '// line'; done
} | put core/model/two.c
fails 'a long file' 'core/model/two.c:601: has 601 lines'
put core/model/one.c <<<"// TO""DO: later"
fails 'unfinished' 'core/model/one.c:9: finish it'
put train/three.c <<<"$spdx"$'\nvoid *two(void)\n{\n    return &tk_device_cpu;\n}'
fails 'a device by name' 'train/three.c:4: which device it is'
put train/three.c <<<"$spdx"$'\nint two(x *t)\n{\n    return t->device->ops->computes;\n}'
fails 'into the table of a device' 'train/three.c:4: a device is called'
put train/three.c <<<"$spdx"$'\nchar *two(x *t)\n{\n    return t->device->ops->name;\n}'
passes 'the name of a device'
fresh
put core/model/two.c <<<"$spdx"$'\nint *two(void)\n{\n    return malloc(3);\n}'
fails 'raw malloc' 'core/model/two.c:4: host memory'
put core/model/two.c <<<"$spdx"$'\nvoid two(char *x)\n{\n    free(x); // style: allow, a library allocated it\n}'
passes 'an allowed line'
put core/model/three.c <<<"$spdx"$'\nvoid three(void)\n{\n    exit(1);\n}'
fails 'exit' 'core/model/three.c:4: return a tk_status'
put core/model/one.h <<<'#define ONE(x) tk_assert(x)'
fails 'an assertion in a header' 'core/model/one.h:3: tk_assert is for .c files'
echo 'every rule was seen to bite'
