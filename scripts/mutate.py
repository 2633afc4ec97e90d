#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the tests of kernels find faults: takes away every barrier, tail guard, mask and store of
device code in core/device/cuda/kernels, one at a time, and runs the tests that it belongs to on the emulated
GPU: the conformance of the operators whose functions reach the file, and the test of tests/cuda that
includes its header. Each such mutant must make them fail, or be
listed in tests/cuda/survivors.txt with the reason why it cannot.

    scripts/mutate.py [--jobs 2] [--seconds 30] [NAME...]    only files whose name holds NAME

All mutants of a file are compiled at once, each behind a question that TK_MUTANT in the environment
answers. Needs what `make emulated` built. Verdicts are kept in $BUILD/emulated/mutants, so that a run
goes on where the last one stopped; a file that has changed begins anew. --seconds: a few mutants only,
of one file, both drawn by what the files hold.

Exit: 0 where at least nine of ten are caught and every other one is listed, else 1.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import random
import re
import subprocess
import sys
import threading
import time

HERE = "core/device/cuda/kernels"
SURVIVORS = "tests/cuda/survivors.txt"
LONGEST = 20  # seconds of a test, and ten times what it takes without a fault
FEW = 4  # that a sample tries however long it takes
CONFORMANCE = "tests/core/device/test_ops_conformance"
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
    """(kind, from, to, before, behind) of the mutants of one body: what is put around that part of it, with
    `@` for the question whether it is this mutant."""
    body = text[begin:end]
    for m in re.finditer(r"__sync(?:threads|warp)\s*\([^;]*\)\s*;", body):
        yield "barrier", m.start(), m.end(), "{ if (!@) ", " }"
    for m in re.finditer(r"\b__(?:shfl\w*|ballot|any|all)_sync\s*\(\s*([^,]+),", body):
        yield "mask", m.start(1), m.end(1), "(@ ? 0x7fffffffu : (", "))"
    for m in re.finditer(r"\btk_store\s*(?:<[^;()]*>)?\s*\(", body):
        yield "store", m.start(), closing(body, m.end() - 1) + 1, "(@ ? (void)0 : ", ")"
    for m in re.finditer(r"(?<=[;{})])\s*(\*?\b[A-Za-z_][\w.]*(?:->\w+)?(?:\s*\[[^;=]*?\])+(?:\.\w+)?)\s*[-+*/|&]?=(?!=)[^;{}]*;", body):
        if not re.match(r"(const|int|float|return)\b", m.group(1)):
            yield "store", m.start(1), m.end(), "{ if (!@) ", " }"
    for m in re.finditer(r"\bif\s*\(", body):
        stop = closing(body, m.end() - 1)
        leaves = re.match(r"\)\s*(?:return|continue|break)\b[^;]*;", body[stop:])
        if leaves or re.search("[<>]", body[m.end() : stop]):
            yield "guard", m.end(), stop, "!@ && (" if leaves else "@ || (", ")"
    for m in re.finditer(r"\bfor\s*\(", body):
        stop = closing(body, m.end() - 1)
        parts = body[m.end() : stop].split(";")
        if len(parts) == 3 and re.search(r"<[^<=]", parts[1]):
            at = m.end() + len(parts[0]) + 2 + parts[1].index("<")
            yield "guard", at, at, " @ + ", ""  # one more
    for m in re.finditer(r"\?", body):
        start = condition_before(body, m.start(), 0)
        fixed = "constexpr" in body[body.rfind(";", 0, start) + 1 : start]  # by the compiler
        if re.search(r"[<>]", body[start : m.start()]) and not fixed:
            yield "guard", start, m.start(), "(@ || (", "))"


class Mutant:
    def __init__(self, path, text, function, kind, begin, end, before, behind):
        self.path, self.function, self.kind = path, function, kind
        self.begin, self.end, self.before, self.behind = begin, end, before, behind
        self.line, self.last = (text.count("\n", 0, at) + 1 for at in (begin, end))
        self.code = " ".join(text.splitlines()[self.line - 1].split())
        column = begin - text.rfind("\n", 0, begin)
        self.was = " ".join(text[begin:end].split()) or "<"
        self.name = f"{os.path.basename(path)}:{self.line}:{column}"
        self.key = hashlib.sha256(f"{path} {text} {begin} {end} {kind}".encode()).hexdigest()[:16]
        self.compiles, self.number = True, 0

    def words(self):
        return f"{self.name}: {self.kind} `{self.was}` in {self.function}"

    def listed(self, survivors):
        return any(f == os.path.basename(self.path) and k == self.kind and code == self.code for f, k, code in survivors)


def mutants_of(path):
    text = read(path)
    plain = bare(text)
    for name, begin, end in device_functions(plain):
        for kind, first, last, before, behind in edits(plain, begin, end):
            yield Mutant(path, text, name, kind, begin + first, begin + last, before, behind)


def with_all(path, mutants):
    """The text of the file with all of its mutants that compile."""
    put = []
    for m in mutants:
        if m.path != path or not m.compiles:
            continue
        before = m.before.replace("@", f"(tk_mutant == {m.number})")
        long = m.end - m.begin
        put.append((m.begin, 1, -long, before))
        put.append((m.end, 0 if long else 2, long, m.behind))  # the inner one's end first
    text, at, out = read(path), 0, "extern int tk_mutant; "
    for where, _, _, what in sorted(put, key=lambda x: x[:3]):
        out += text[at:where] + what
        at = where
    return out + text[at:]


def read_survivors():
    """file | kind | the line of code | why no test can fail"""
    rows = [line.split(" | ") for line in read(SURVIVORS).splitlines() if line and line[0] != "#"]
    return [(r[0].strip(), r[1].strip(), r[2].strip()) for r in rows]


def operators_of():
    """For each file of kernels: names of the operators whose functions it defines, or that call what it does."""
    texts = {p: bare(read(p)) for p in glob.glob(f"{HERE}/*.c") + glob.glob(f"{HERE}/*.cu") if not p.endswith("/table.c")}
    rows = re.findall(r"\[TK_OP_(\w+)\]\s*=\s*\{([^{}]*)\}", read(f"{HERE}/table.c"))
    defines = {p: set(re.findall(r"^(?!static\b)[\w \"*]*\b(tk_\w+)\s*\([^;{]*\)\s*\{", t, re.M)) for p, t in texts.items()}
    found = {p: {op.lower() for op, row in rows if defines[p] & set(re.findall(r"tk_cuda_\w+", row))} for p in texts}
    more = True
    while more:
        more = False
        for p in texts:
            for other, t in texts.items():
                if p != other and not found[other] <= found[p] and any(re.search(rf"\b{f}\b", t) for f in defines[p]):
                    found[p] |= found[other]
                    more = True
    return {p: sorted(ops) for p, ops in found.items() if p.endswith(".cu")}


def test_of(path):
    """The test of tests/cuda that includes a file's own header."""
    header = f'#include "{path[:-3]}.h"'
    return next((t[:-2] for t in sorted(glob.glob("tests/cuda/test_*.c")) if header in read(t)), None)


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


def shell(command, *words):
    return subprocess.run(["sh", "-c", f". {BUILD}/emulated/commands; {command} \"$@\"", "sh", *words],
                          capture_output=True, text=True, check=False)


class Build:
    """Programs that hold all mutants of the files `units`."""

    def __init__(self, units, mutants, jobs):
        self.mutants, self.place = mutants, f"{KEPT}/source"
        self.seconds, self.locks, self.lock = {}, {}, threading.Lock()
        os.makedirs(f"{self.place}/{HERE}", exist_ok=True)
        for number, m in enumerate(mutants):
            m.number = number + 1
        with open(f"{KEPT}/which.cc", "w", encoding="utf-8") as file:
            file.write('#include <stdlib.h>\nint tk_mutant;\n__attribute__((constructor)) static void ask(void)\n'
                       '{\n    const char *x = getenv("TK_MUTANT");\n    tk_mutant = x ? atoi(x) : 0;\n}\n')
        headers = set().union(*(with_headers(u)[1] for u in units))
        for path in headers:
            self.write(path)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            self.objects = list(pool.map(self.compile, units))
        self.objects.append(f"{KEPT}/which.o")
        if shell("compile", self.place, f"{KEPT}/which.cc", self.objects[-1]).returncode:
            sys.exit("which mutant it is does not compile")
        self.programs = {}

    def write(self, path):
        with open(f"{self.place}/{path}", "w", encoding="utf-8") as file:
            file.write(with_all(path, self.mutants))

    def compile(self, unit):
        """Leaves out what the compiler complains of."""
        out = f"{KEPT}/{os.path.basename(unit)}.o"
        while True:
            with self.lock:
                self.write(unit)
            said = shell("compile", self.place, f"{self.place}/{unit}", out)
            if said.returncode == 0:
                return out
            with self.lock:
                bad = {(f, int(line)) for f, line in re.findall(r"(\w+\.cuh?):(\d+)(?::\d+)?: error", said.stderr)}
                gone = [m for m in self.mutants if m.compiles and
                        any(f == os.path.basename(m.path) and m.line <= line <= m.last for f, line in bad)]
                if not bad or (not gone and all(m.compiles for m in self.mutants)):
                    sys.exit(f"{unit} does not compile:\n{said.stderr[-2000:]}")
                for m in gone:
                    m.compiles = False
                for path in {m.path for m in gone if m.path.endswith(".cuh")}:
                    self.write(path)

    def program(self, test):
        with self.lock:
            if test not in self.programs:
                out = f"{KEPT}/{os.path.basename(test)}"
                said = shell("link_test", out, test, *self.objects)
                if said.returncode:
                    sys.exit(f"{test} does not link:\n{said.stderr[-2000:]}")
                self.programs[test] = out
        return self.programs[test]

    def run(self, number, test, ops, limit):
        """Whether the test passes."""
        env = {**os.environ, "TK_TEST_DEVICE": "cuda", "CMOCKA_TEST_ABORT": "1", "OMP_NUM_THREADS": "1",
               "TK_TEST_OPS": f" {' '.join(ops)} ", "TK_MUTANT": str(number)}
        try:
            return subprocess.run([self.program(test)], timeout=limit, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=env, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def limit(self, test, ops):
        """Seconds that the test may take, which must pass where nothing is amiss."""
        what = (test, tuple(ops))
        with self.lock:
            mine = self.locks.setdefault(what, threading.Lock())
        with mine:
            if what not in self.seconds:
                begin = time.monotonic()
                if not self.run(0, test, ops, None):
                    sys.exit(f"{test} fails without any fault: {' '.join(ops)}")
                self.seconds[what] = time.monotonic() - begin
        return LONGEST + 10 * self.seconds[what]


def verdict_of(build, m, users, operators):
    """caught, survived, or why it is no mutant."""
    if not m.compiles:
        return "does not compile"
    ops = sorted({op for u in users for op in operators[u]})
    tests = [(CONFORMANCE, ops)] if ops else []
    tests += [(t, []) for t in map(test_of, users) if t]
    if not tests:
        return "no test"
    passes = all(build.run(m.number, test, ops, build.limit(test, ops)) for test, ops in tests)
    return "survived" if passes else "caught"


def known():
    try:
        return dict(line.split("\t")[:2] for line in read(f"{KEPT}/verdicts").splitlines())
    except FileNotFoundError:
        return {}


def run_all(build, todo, sources, operators, jobs, until):
    verdicts = known()
    done = open(f"{KEPT}/verdicts", "a", encoding="utf-8")

    def one(m):
        if until and time.monotonic() > until and m.number > FEW:
            return
        verdicts[m.key] = verdict_of(build, m, users_of(m, sources), operators)
        if verdicts[m.key] in ("caught", "survived"):
            done.write(f"{m.key}\t{verdicts[m.key]}\t{m.words()}\n")
            done.flush()
        if verdicts[m.key] != "caught":
            print(f"{verdicts[m.key]}: {m.words()}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, todo))
    done.close()
    return verdicts


def sample(mutants, sources):
    """One file of kernels, drawn by what all hold, and its mutants in a drawn order."""
    drawn = random.Random("".join(read(s) for s in sources))
    path = drawn.choice([s for s in sources if any(m.path == s for m in mutants)])
    some = [m for m in mutants if m.path == path]
    drawn.shuffle(some)
    return some


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--jobs", type=int, default=2)
    args.add_argument("--seconds", type=float, default=0)
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    begin = time.monotonic()
    sources = sorted(glob.glob(f"{HERE}/*.cu"))
    paths = [p for p in sources + sorted(glob.glob(f"{HERE}/*.cuh")) if not args.names or any(n in p for n in args.names)]
    mutants = [m for p in paths for m in mutants_of(p)]
    if args.seconds:
        mutants = sample(mutants, sources)
    verdicts = {} if args.seconds else known()
    todo = [m for m in mutants if m.key not in verdicts]
    if todo:
        os.makedirs(KEPT, exist_ok=True)
        build = Build(sorted({u for m in todo for u in users_of(m, sources)}), todo, args.jobs)
        verdicts.update(run_all(build, todo, sources, operators_of(), args.jobs, args.seconds and begin + args.seconds))
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
