#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the tests of kernels find faults: takes away every barrier, tail guard, mask and store of
device code in core/device/cuda/kernels, one at a time, and runs the tests that it belongs to on the
emulated GPU: the conformance of the operators whose functions reach the file, and tests whose header
says "kernels: FILE". Each such mutant must make them fail, or be listed in tests/cuda/survivors.txt
with the reason why it cannot.

    scripts/mutate.py [--jobs 2] [NAME...]       only files whose name holds NAME
    scripts/mutate.py [--jobs 2] --seconds 20    as many as that takes, of a file drawn, then another

All mutants of a file are compiled at once, each behind a question that TK_MUTANT in the environment
answers. Cases of the conformance are run one by one, small ones first, and only those that come by
the mutant. Needs what `make emulated` built. Verdicts are kept in $BUILD/emulated/mutants, so that a
run goes on where the last one stopped; a file that has changed begins anew, and what was not caught
and is not listed is tried again. A whole run writes docs/mutants.md. --seconds draws by TK_SEED, or
anew each time, from the files that are in there.

Exit: 0 where at least nine of ten are caught and every other one is listed, else 1.
"""
import argparse
import collections
import concurrent.futures
import functools
import glob
import hashlib
import math
import os
import random
import re
import subprocess
import sys
import threading
import time

DEVICE = "core/device/cuda"
HERE = f"{DEVICE}/kernels"
SURVIVORS = "tests/cuda/survivors.txt"
RESULTS = "docs/mutants.md"
LONGEST = 2  # seconds that a test may compute, and ten times what it does without a fault
HANGS = 1800  # seconds after which it waits for nothing
CONFORMANCE = "tests/core/device/test_ops_conformance"
CASES = "tests/core/device/ops_cases.h"
BUILD = os.environ.get("BUILD", "build")
KEPT = f"{BUILD}/emulated/mutants"
FINAL = ("caught", "survived", "does not compile")


@functools.lru_cache(None)
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
    def __init__(self, path, text, function, which, kind, begin, end, before, behind):
        self.path, self.file, self.function, self.kind = path, os.path.basename(path), function, kind
        self.begin, self.end, self.before, self.behind = begin, end, before, behind
        self.line, self.last = (text.count("\n", 0, at) + 1 for at in (begin, end))
        self.code = " ".join(text.splitlines()[self.line - 1].split())
        column = begin - text.rfind("\n", 0, begin)
        self.was = " ".join(text[begin:end].split()) or "<"
        self.name = f"{self.file}:{self.line}:{column}"
        lines = re.sub(r"(?m)^#include.*\n", "", text)  # files move
        self.key = hashlib.sha256(f"{self.file} {lines} {function} {which} {kind}".encode()).hexdigest()[:16]
        self.compiles, self.number, self.met = True, 0, False

    def words(self):
        return f"{self.name}: {self.kind} `{self.was}` in {self.function}"

    def row(self):
        return (self.file, self.function, self.kind, self.code)


def mutants_of(path):
    text, seen = read(path), collections.Counter()
    plain = bare(text)
    for name, begin, end in device_functions(plain):
        for kind, first, last, before, behind in edits(plain, begin, end):
            yield Mutant(path, text, name, seen[name], kind, begin + first, begin + last, before, behind)
            seen[name] += 1


def with_all(path, mutants):
    """The text of the file with all of its mutants that compile."""
    put = []
    for m in mutants:
        if m.path != path or not m.compiles:
            continue
        before = m.before.replace("@", f"tk_is_mutant({m.number})")
        long = m.end - m.begin
        put.append((m.begin, 1, -long, before))
        put.append((m.end, 0 if long else 2, long, m.behind))  # the inner one's end first
    text, at, out = read(path), 0, ""
    for where, _, _, what in sorted(put, key=lambda x: x[:3]):
        out += text[at:where] + what
        at = where
    return out + text[at:]


def read_survivors():
    """file | function | kind | the line of code | why no test can fail"""
    rows = [line.split(" | ") for line in read(SURVIVORS).splitlines() if line and line[0] != "#"]
    for r in rows:
        if len(r) < 5 or not r[-1].strip():
            sys.exit(f"{SURVIVORS}: not file | function | kind | the line of code | why: {' | '.join(r)}")
    return {tuple(r[:3]) + (" | ".join(r[3:-1]),) for r in rows}


# ---- which tests a file belongs to ------------------------------------------------------------------

def operators_of():
    """For each file of kernels: names of the operators whose functions it defines, or that call what it does."""
    paths = glob.glob(f"{DEVICE}/*.c") + glob.glob(f"{HERE}/*.cu")
    texts = {p: bare(read(p)) for p in paths if not p.endswith("/table.c")}
    rows = re.findall(r"\[TK_OP_(\w+)\]\s*=\s*\{([^{}]*)\}", read(f"{DEVICE}/table.c"))
    says = {p: set(re.findall(r"\btk_\w+", t)) for p, t in texts.items()}
    defines = {p: set(re.findall(r"^(?!static)\w[^;{}()=]*\b(tk_\w+)\([^;{]*\)\s*\{", t, re.M)) for p, t in texts.items()}
    found = {p: {op.lower() for op, row in rows if defines[p] & set(re.findall(r"tk_cuda_\w+", row))} for p in texts}
    before = None
    while before != found:
        before = {p: set(ops) for p, ops in found.items()}
        for p in texts:
            found[p].update(*(found[other] for other in texts if other != p and defines[p] & says[other]))
    return {p: sorted(ops) for p, ops in found.items() if p.endswith(".cu")}


def others_of():
    """For each file of kernels: tests besides the conformance that say they are of it."""
    found = collections.defaultdict(list)
    for test in sorted(glob.glob("tests/**/test_*.c", recursive=True)):
        for names in re.findall(r"^/\*TEST .*\bkernels: ([\w ]+)", read(test), re.M):
            for name in names.split():
                found[f"{HERE}/{name}.cu"].append(test[:-2])
    return found


def cases_of(ops):
    """(operators to look at, number, about how much there is to do) of the cases of operators."""
    both = ("adamw", "clip_scale")  # which have a test together
    rows = re.findall(r"^    \{TK_OP_(\w+), ([^{}]*)\{([^{}]*)\}", read(CASES), re.M)
    for number, (op, sizes, docs) in enumerate(rows):
        n, c, m = (int(x) for x in sizes.split(",")[:3])
        asked, op = sum(int(x) for x in docs.split(",")), op.lower()
        if op in ops:
            yield both if op in both else (op,), number, c * (n + asked * asked) * (m + 1 if "linear" in op else 1)


@functools.lru_cache(None)
def headers_of(path):
    """The headers of kernels that a file includes."""
    names = re.findall(rf'#include "({HERE}/\w+\.cuh)"', read(path))
    return set(names).union(*map(headers_of, names))


@functools.lru_cache(None)
def users_of(path, function):
    """The .cu files that a function is part of; of a header's, the three shortest that use it, or the header."""
    if path.endswith(".cu"):
        return [path]
    uses = lambda other: other != path and re.search(rf"\b{function}\b", read(other))
    included = [s for s in glob.glob(f"{HERE}/*.cu") if path in headers_of(s)]
    users = [s for s in included if any(map(uses, headers_of(s) | {s}))] or included
    return sorted(users, key=lambda s: (len(read(s)), s))[:3]


# ---- programs with faults ---------------------------------------------------------------------------

# Mutant -1 asks who comes by: a byte for each in the file TK_REACHED.
ASKED = """#pragma once
extern int tk_mutant;
extern char tk_reached[];
static inline bool tk_is_mutant(int n)
{
    if (__builtin_expect(tk_mutant < 0, 0)) tk_reached[n] = 1;
    return tk_mutant == n;
}
"""
ASKS = """#include <stdio.h>
#include <stdlib.h>
int tk_mutant;
char tk_reached[%d];
__attribute__((constructor)) static void ask(void)
{
    const char *x = getenv("TK_MUTANT");
    tk_mutant = x ? atoi(x) : 0;
}
__attribute__((destructor)) static void answer(void)
{
    FILE *file = tk_mutant < 0 ? fopen(getenv("TK_REACHED"), "w") : NULL;
    if (file && (fwrite(tk_reached, sizeof tk_reached, 1, file) != 1 || fclose(file))) abort();
}
"""


def shell(command, *words):
    return subprocess.run(["sh", "-c", f". {BUILD}/emulated/commands; {command} \"$@\"", "sh", *words],
                          capture_output=True, text=True, check=False)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Late(Exception): ...


class Build:
    """Programs that hold all mutants of the files `units`."""

    def __init__(self, units, mutants, jobs, kept, until):
        self.mutants, self.kept, self.place, self.until = mutants, kept, f"{kept}/source", until
        self.operators, self.others = operators_of(), others_of()
        self.seen, self.locks, self.lock, self.programs = {}, {}, threading.Lock(), {}
        os.makedirs(f"{self.place}/{HERE}", exist_ok=True)  # and so self.kept
        for number, m in enumerate(mutants):
            m.number = number + 1
        write(f"{self.kept}/asks.cc", ASKS % (len(mutants) + 1))
        write(f"{self.place}/mutant.h", ASKED)
        for path in set().union(*map(headers_of, units)):
            self.write(path)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            self.objects = list(pool.map(self.compile, units))
        self.objects.append(f"{self.kept}/asks.o")
        if shell("compile", self.place, f"{self.kept}/asks.cc", self.objects[-1]).returncode:
            sys.exit("the question which mutant it is does not compile")

    def write(self, path):
        write(f"{self.place}/{path}", with_all(path, self.mutants))

    def compile(self, unit):
        """Leaves out what the compiler complains of."""
        out = f"{self.kept}/{os.path.basename(unit)}.o"
        while True:
            with self.lock:
                self.write(unit)
            said = shell("compile", self.place, f"{self.place}/{unit}", out)
            if said.returncode == 0:
                return out
            with self.lock:
                bad = {(f, int(line)) for f, line in re.findall(r"(\w+\.cuh?):(\d+)(?::\d+)?: error", said.stderr)}
                gone = [m for m in self.mutants if m.compiles and
                        any(f == m.file and m.line <= line <= m.last for f, line in bad)]
                if not bad or (not gone and all(m.compiles for m in self.mutants)):
                    sys.exit(f"{unit} does not compile:\n{said.stderr[-2000:]}")
                for m in gone:
                    m.compiles = False
                for path in {m.path for m in gone if m.path.endswith(".cuh")}:
                    self.write(path)

    def program(self, test):
        with self.lock:
            if test not in self.programs:
                out = f"{self.kept}/{os.path.basename(test)}"
                said = shell("link_test", out, test, *self.objects)
                if said.returncode:
                    sys.exit(f"{test} does not link:\n{said.stderr[-2000:]}")
                self.programs[test] = out
        return self.programs[test]

    def run(self, number, what, most):
        """Whether the test passes, and the seconds that it computed, of at most `most`."""
        test, ops, case = what
        env = {**os.environ, "TK_TEST_DEVICE": "cuda", "CMOCKA_TEST_ABORT": "1", "OMP_NUM_THREADS": "1",
               "TK_TEST_OPS": f" {' '.join(ops)} ", "TK_TEST_CASE": str(case), "TK_MUTANT": str(number),
               "TK_REACHED": f"{self.kept}/reached.{os.path.basename(test)}.{case}"}
        wall = max(1, self.until - time.monotonic()) if self.until else HANGS # rounded up: ended sooner it would seem to fail
        child = subprocess.Popen(["timeout", "--foreground", "-s", "KILL", f"{math.ceil(wall)}", "sh", "-c",
                                  'ulimit -c 0; ulimit -t "$1"; exec "$2"', "sh", str(most), self.program(test)],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if self.until and child.returncode and time.monotonic() >= self.until:
            raise Late()
        return child.returncode == 0, used.ru_utime + used.ru_stime

    def without_fault(self, what):
        """Seconds that a test takes, which must pass so, and the mutants that it comes by."""
        with self.lock:
            mine = self.locks.setdefault(what, threading.Lock())
        with mine:
            if what not in self.seen:
                passes, seconds = self.run(-1, what, "unlimited")
                if not passes:
                    sys.exit(f"{what[0]} fails without any fault: {' '.join(what[1])}, case {what[2]}")
                with open(f"{self.kept}/reached.{os.path.basename(what[0])}.{what[2]}", "rb") as file:
                    self.seen[what] = seconds, {i for i, x in enumerate(file.read()) if x}
        return self.seen[what]

    def tests(self, users):
        """What is to be run for a mutant of these files, what takes least first."""
        ops = {op for u in users for op in self.operators[u]}
        tests = {(CONFORMANCE, some, case): much / 1e6 for some, case, much in cases_of(ops)}
        tests.update({(t, (), 0): 0 for u in users for t in self.others[u]})
        return sorted(tests, key=lambda what: self.seen[what][0] if what in self.seen else tests[what])

    def verdict(self, m, users):
        if not m.compiles:
            return "does not compile"
        for what in self.tests(users):
            seconds, reached = self.without_fault(what)
            if m.number not in reached:
                continue
            m.met = True
            if not self.run(m.number, what, int(LONGEST + 10 * seconds))[0]:
                return "caught"
        return "survived"


# ---- all of them, or a sample -----------------------------------------------------------------------

def known():
    lines = read(f"{KEPT}/verdicts").splitlines() if os.path.exists(f"{KEPT}/verdicts") else []
    return dict(line.split("\t")[:2] for line in lines)


def run_all(build, todo, args):
    """The verdicts of those that there was time for, or of one."""
    verdicts = {}

    def one(m):
        if build.until and time.monotonic() > build.until:
            return
        try:
            verdicts[m.key] = said = build.verdict(m, users_of(m.path, m.function))
        except Late:
            return
        with build.lock:
            if args.seconds:
                build.until = args.until
            else:
                with open(f"{KEPT}/verdicts", "a", encoding="utf-8") as file:
                    file.write(f"{m.key}\t{said}\t{m.words()}\n")
        if said == "survived":
            print(f"not caught: {m.words()}{'' if m.met else ', which no test comes by'}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, todo))
    return verdicts


def run_some(mutants, args):
    """Those of a file, or of a function of a header, that is done with, then of another, while there is time."""
    seed = os.environ.get("TK_SEED") or str(int.from_bytes(os.urandom(4), "big"))
    done = set(re.findall(r"^\| (\S+\.cuh?) \|", read(RESULTS), re.M))
    verdicts, drawn, rest = {}, random.Random(seed), [m for m in mutants if m.file in done]
    print(f"TK_SEED={seed}", flush=True)
    drawn.shuffle(rest)
    begin, half = time.monotonic(), args.seconds / 2
    args.until = begin + args.seconds
    while rest and (not verdicts or time.monotonic() < begin + half):
        first = rest[0]
        some = [m for m in rest if m.path == first.path and (first.path.endswith(".cu") or m.function == first.function)]
        rest = [m for m in rest if m not in some]
        units = sorted({u for m in some for u in users_of(m.path, m.function)})
        build = Build(units, some, args.jobs, f"{KEPT}/sample", args.until if verdicts else 0)
        tried = run_all(build, some, args)
        print(f"{len(tried)} of {len(some)} in {first.file}", flush=True)
        verdicts.update(tried)
    return verdicts


def run_rest(mutants, args):
    """Those that are not known yet, or were not caught and are not listed, file by file."""
    verdicts, listed = {k: v for k, v in known().items() if v in FINAL}, read_survivors()
    for m in mutants:
        m.compiles = verdicts.get(m.key) != "does not compile"
    todo = [m for m in mutants if m.key not in verdicts or (verdicts[m.key] == "survived" and m.row() not in listed)]
    for path in sorted({m.path for m in todo}):
        mine = [m for m in todo if m.path == path]
        units = sorted({u for m in mine for u in users_of(m.path, m.function)})
        build = Build(units, [m for m in mutants if m.path == path], args.jobs, KEPT, 0)
        verdicts.update(run_all(build, mine, args))
    return verdicts


def write_results(mutants, verdicts, bad):
    """Of the files that are done with, of which everything is caught or listed."""
    rows = {}
    for m in mutants:
        rows.setdefault(m.file, collections.Counter())["bad" if m in bad else verdicts.get(m.key, "bad")] += 1
    rows = {f: c for f, c in rows.items() if c["caught"] + c["survived"] and not c["bad"]}
    rows["all"] = sum(rows.values(), collections.Counter())
    table = "".join(f"| {f} | {c['caught'] + c['survived']} | {c['caught']} | {c['survived']} |\n" for f, c in rows.items())
    write(RESULTS, f"""# Faults planted in kernels

What `make mutate` gave: each barrier, tail guard, mask and store of device code was taken away, one at a
time, and the tests of that file were run on the emulated GPU. Written by `scripts/mutate.py`, of the
files that are done with. Those that no test can catch are in `{SURVIVORS}`, each with the
reason.

| file | faults | caught | cannot be |
|---|---|---|---|
{table}""")


def judge(mutants, verdicts, args):
    tried = [m for m in mutants if verdicts.get(m.key) in ("caught", "survived")]
    survivors = [m for m in tried if verdicts[m.key] == "survived"]
    listed = read_survivors()
    strange = [m for m in survivors if m.row() not in listed]
    for m in strange:
        print(f"neither caught nor in {SURVIVORS}: {m.words()}\n    {' | '.join(m.row())} | why")
    files = set() if args.seconds else {m.file for m in mutants}
    stale = {row for row in listed - {m.row() for m in survivors} if row[0] in files or not (args.names or args.seconds)}
    for row in sorted(stale):
        print(f"in {SURVIVORS}, but caught or not there: {' | '.join(row)}")
    caught = len(tried) - len(survivors)
    print(f"{caught} of {len(tried)} mutants caught ({100 * caught / max(1, len(tried)):.0f}%), {len(mutants)} in all")
    if not args.names and not args.seconds:
        write_results(mutants, verdicts, strange)
    return bool(tried) and not strange and not stale and (args.seconds or caught >= 0.9 * len(tried))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--jobs", type=int, default=2)
    args.add_argument("--seconds", type=float, default=0)
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    paths = sorted(glob.glob(f"{HERE}/*.cu")) + sorted(glob.glob(f"{HERE}/*.cuh"))
    paths = [p for p in paths if not args.names or any(n in p for n in args.names)]
    mutants = [m for p in paths for m in mutants_of(p)]
    verdicts = (run_some if args.seconds else run_rest)(mutants, args)
    return 0 if judge(mutants, verdicts, args) else 1


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    sys.exit(main())
