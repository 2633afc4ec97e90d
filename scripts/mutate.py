#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the tests of kernels find faults: takes away every barrier, tail guard, mask and store of
device code in core/device/cuda, one at a time, and runs the conformance test of the operators that it
belongs to on the emulated GPU. Each such mutant must make that test fail, or be listed in
tests/cuda/survivors.txt with the reason why it cannot.

    scripts/mutate.py [--jobs 2] [--seconds 30] [NAME...]    only files whose name holds NAME

Needs what `make emulated` built. Verdicts are kept in $BUILD/emulated/mutants, so that a run goes on
where the last one stopped; a file that has changed begins anew. --seconds: a few mutants only, drawn
from all by what the files hold.

Exit: 0 where at least nine of ten are caught and every other one is listed, else 1.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import re
import subprocess
import sys
import time

HERE = "core/device/cuda"
SURVIVORS = "tests/cuda/survivors.txt"
TIMEOUT = 300  # seconds of one test
BUILD = os.environ.get("BUILD", "build")
KEPT = f"{BUILD}/emulated/mutants"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def bare(text):
    """The text with comments and strings blanked, every character where it was."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', blank, text, flags=re.S)


def closing(text, at):
    """Where the bracket that opens at `at` is closed."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    return len(text) - 1


def device_functions(text):
    """(name, begin, end) of the body of each function of device code."""
    found = []
    for m in re.finditer(r"\b__(?:global|device)__\b[^;{}]*?\b(\w+)\s*(?:<[^()]*>)?\(", text):
        end = closing(text, m.end() - 1)
        brace = re.match(r"[\s\w]*\{", text[end + 1 :])
        if brace:
            begin = end + brace.end()
            found.append((m.group(1), begin, closing(text, begin)))
    return found


def condition_before(text, at, begin):
    """Where the condition of the `?` at `at` begins."""
    depth, i = 0, at - 1
    while i > begin:
        c = text[i]
        depth += (c in ")]") - (c in "([")
        if depth < 0 or (depth == 0 and (c in ",;{}?:" or (c == "=" and text[i - 1] not in "<>=!" and text[i + 1] != "="))):
            return i + 1
        if depth == 0 and text.startswith("return ", i):
            return i + 7
        i -= 1
    return i + 1


def edits(text, begin, end):
    """(kind, from, to, what is put there) of the mutants of one body."""
    body = text[begin:end]
    for m in re.finditer(r"__sync(?:threads|warp)\s*\([^;]*\)\s*;", body):
        yield "barrier", m.start(), m.end(), ";"
    for m in re.finditer(r"\b__(?:shfl\w*|ballot|any|all)_sync\s*\(\s*([^,]+),", body):
        yield "mask", m.start(1), m.end(1), "0x7fffffffu"
    for m in re.finditer(r"\btk_store\s*(?:<[^;()]*>)?\s*\(", body):
        stop = body.index(";", closing(body, m.end() - 1))
        yield "store", m.start(), stop + 1, ";"
    for m in re.finditer(r"(?<=[;{})])\s*(\*?\b[A-Za-z_][\w.]*(?:->\w+)?(?:\s*\[[^;=]*?\])+(?:\.\w+)?)\s*[-+*/|&]?=(?!=)[^;{}]*;", body):
        if not re.match(r"(const|int|float|return)\b", m.group(1)):
            yield "store", m.start(1), m.end(), ";"
    for m in re.finditer(r"\bif\s*\(", body):
        stop = closing(body, m.end() - 1)
        if "<" in body[m.end() : stop] or ">" in body[m.end() : stop] or re.match(r"\)\s*(return|continue|break)\b", body[stop:]):
            leaves = re.match(r"\)\s*(?:return|continue|break)\b[^;]*;", body[stop:])
            yield "guard", m.end(), stop, "false" if leaves else "true"
    for m in re.finditer(r"\bfor\s*\(", body):
        stop = closing(body, m.end() - 1)
        parts = body[m.end() : stop].split(";")
        if len(parts) == 3 and re.search(r"<[^<=]", parts[1]):
            at = m.end() + len(parts[0]) + 1 + parts[1].index("<")
            yield "guard", at, at + 1, "<="
    for m in re.finditer(r"\?", body):
        start = condition_before(body, m.start(), 0)
        fixed = "constexpr" in body[body.rfind(";", 0, start) + 1 : start]  # by the compiler
        if re.search(r"[<>]", body[start : m.start()]) and not fixed:
            yield "guard", start, m.start(), " true "


class Mutant:
    def __init__(self, path, text, function, kind, begin, end, put):
        self.path, self.function, self.kind = path, function, kind
        self.text = text[:begin] + put + text[end:]
        self.line = text.count("\n", 0, begin) + 1
        self.code = " ".join(text.splitlines()[self.line - 1].split())
        column = begin - text.rfind("\n", 0, begin)
        self.was = " ".join(text[begin:end].split())
        self.name = f"{os.path.basename(path)}:{self.line}:{column}"
        self.key = hashlib.sha256((path + self.text).encode()).hexdigest()[:16]

    def words(self):
        return f"{self.name}: {self.kind} `{self.was}` in {self.function}"

    def listed(self, survivors):
        return any(f == os.path.basename(self.path) and k == self.kind and code == self.code for f, k, code in survivors)


def mutants_of(path):
    text = read(path)
    plain = bare(text)
    for name, begin, end in device_functions(plain):
        for kind, first, last, put in edits(plain, begin, end):
            yield Mutant(path, text, name, kind, begin + first, begin + last, put)


def read_survivors():
    """file | kind | the line of code | why no test can fail"""
    rows = [line.split(" | ") for line in read(SURVIVORS).splitlines() if line and line[0] != "#"]
    return [(r[0].strip(), r[1].strip(), r[2].strip()) for r in rows]


def operators_of(path, table):
    """Names of the operators whose functions the .cu file defines."""
    functions = set(re.findall(r"\b(tk_cuda_\w+)\s*\(tk_device", bare(read(path))))
    rows = re.findall(r"\[TK_OP_(\w+)\]\s*=\s*\{([^}]*)\}", table)
    return [op.lower() for op, row in rows if functions & set(re.findall(r"tk_cuda_\w+", row))]


def with_headers(path):
    """The text of a file and of the headers of kernels that it includes."""
    text = read(path)
    names = re.findall(rf'#include "({HERE}/\w+\.cuh)"', text)
    return text, set(names).union(*(with_headers(n)[1] for n in names))


def users_of(m, sources):
    """The .cu files that a mutant is part of; of a header's, the three shortest that use the function."""
    if m.path.endswith(".cu"):
        return [m.path]
    users = []
    for source in sources:
        text, headers = with_headers(source)
        uses = [text] + [read(h) for h in headers if h != m.path]
        if m.path in headers and any(re.search(rf"\b{m.function}\b", t) for t in uses):
            users.append((len(text), source))
    return [source for _, source in sorted(users)[:3]]


def shell(command, *words, **more):
    return subprocess.run(["sh", "-c", f". {BUILD}/emulated/commands; {command} \"$@\"", "sh", *words],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more).returncode


def test(m, place, sources, operators):
    """caught, survived, or why it is no mutant."""
    users = users_of(m, sources)
    ops = sorted({op for u in users for op in operators[u]})
    users = [u for u in users if operators[u]]
    if not ops:
        return "no operator"
    os.makedirs(f"{place}/{HERE}", exist_ok=True)
    mutated = f"{place}/{m.path}"
    with open(mutated, "w", encoding="utf-8") as file:
        file.write(m.text)
    objects = []
    for user in users:
        objects.append(f"{place}/{os.path.basename(user)}.o")
        if shell("compile", place, mutated if user == m.path else user, objects[-1]):
            os.remove(mutated)
            return "does not compile"
    os.remove(mutated)
    if shell("link_test", f"{place}/test", *objects):
        return "does not link"
    try:
        code = subprocess.run([f"{place}/test"], timeout=TIMEOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, "TK_TEST_DEVICE": "cuda", "CMOCKA_TEST_ABORT": "1", "OMP_NUM_THREADS": "1",
                                   "TK_TEST_OPS": f" {' '.join(ops)} "}).returncode
    except subprocess.TimeoutExpired:
        return "caught"
    return "caught" if code else "survived"


def known():
    try:
        return dict(line.split("\t")[:2] for line in read(f"{KEPT}/verdicts").splitlines())
    except FileNotFoundError:
        return {}


def run_all(mutants, sources, operators, jobs, seconds):
    verdicts = known()
    until = time.monotonic() + seconds if seconds else None
    os.makedirs(KEPT, exist_ok=True)
    places = [f"{KEPT}/{i}" for i in range(jobs)]
    done = open(f"{KEPT}/verdicts", "a", encoding="utf-8")

    def one(m):
        if until and time.monotonic() > until:
            return
        place = places.pop()
        verdict = test(m, place, sources, operators)
        places.append(place)
        verdicts[m.key] = verdict
        done.write(f"{m.key}\t{verdict}\t{m.words()}\n")
        done.flush()
        if verdict != "caught":
            print(f"{verdict}: {m.words()}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, [m for m in mutants if m.key not in verdicts]))
    done.close()
    return verdicts


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--jobs", type=int, default=2)
    args.add_argument("--seconds", type=float, default=0)
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    sources = sorted(glob.glob(f"{HERE}/*.cu"))
    paths = [p for p in sources + sorted(glob.glob(f"{HERE}/*.cuh")) if not args.names or any(n in p for n in args.names)]
    table = read(f"{HERE}/table.c")
    operators = {s: operators_of(s, table) for s in sources}
    mutants = [m for p in paths for m in mutants_of(p)]
    if args.seconds:
        mutants.sort(key=lambda m: m.key)
    verdicts = run_all(mutants, sources, operators, args.jobs, args.seconds)
    tried = [m for m in mutants if verdicts.get(m.key) in ("caught", "survived")]
    survivors = [m for m in tried if verdicts[m.key] == "survived"]
    strange = [m for m in survivors if not m.listed(read_survivors())]
    for m in strange:
        print(f"not caught, and not in {SURVIVORS}: {m.words()}")
    caught = len(tried) - len(survivors)
    print(f"{caught} of {len(tried)} mutants caught ({100 * caught / max(1, len(tried)):.0f}%), {len(mutants)} in all")
    return 1 if strange or not tried or (not args.seconds and caught < 0.9 * len(tried)) else 0


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    sys.exit(main())
