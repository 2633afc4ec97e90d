#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds talkie's safetensors against the packages whose format it is.

    python -m venv golden && golden/bin/pip install -r scripts/requirements-golden.txt
    golden/bin/python scripts/check_safetensors.py [--talkie build/talkie] [GOLDEN.h5 ...]

For the instance of every golden file (all in tests/golden unless some are named):

* diffusers saves it by save_pretrained, as one file and as shards with an index; `talkie parity`
  with these weights must give the golden's outputs and gradients;
* `talkie convert` makes a file of it, which the safetensors package reads: the same numbers, in fp32
  to the bit and in bf16 rounded as torch rounds;
* `talkie convert` makes of that file a folder again, whole and in shards, which diffusers loads by
  from_pretrained: the same numbers, and outputs within 1e-5 of the golden's.

--save DIR GOLDEN.h5 does nothing but save the instance there, in shards: tests/weights/ is such.

Exit codes: 0 all holds, 1 something does not, 77 a package is missing.
"""

import argparse
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from safetensors import safe_open

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from make_golden import FORWARD_BOUND, build, compute, worst
    from diffusers import MiniMaxH3Transformer3DModel
except ImportError as missing:
    print(f"skipped: {missing}; scripts/requirements-golden.txt lists what is needed")
    sys.exit(77)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read_golden(path):
    """The model of a golden file, what goes in and what comes out."""
    with h5py.File(path) as f:
        config = {}
        for line in f.attrs["config"].splitlines()[1:]:
            key, value = line.split(":")
            value = value.strip()
            config[key.strip()] = value if value == "features" else float(value)
        for key, value in config.items():
            if not key.endswith(("eps", "theta", "text")):
                config[key] = int(value)
        groups = {
            name: {k: v[()] for k, v in f[name].items()}
            for name in ("inputs", "outputs", "cotangent")
        }
        weights = {}
        f["weights"].visititems(
            lambda name, item: weights.update({name: torch.from_numpy(item[()])})
            if isinstance(item, h5py.Dataset)
            else None
        )
    model = build(config)
    model.load_state_dict(weights)
    return model, groups


def state(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def same(got, want, what):
    if sorted(got) != sorted(want):
        raise SystemExit(f"{what}: other tensors: {sorted(set(got) ^ set(want))}")
    for name, value in want.items():
        if got[name].shape != value.shape or not np.array_equal(got[name], value):
            raise SystemExit(f"{what}: {name} differs")


def read_file(path):
    """The weights of a file of talkie's, bf16 widened, without its codec."""
    with safe_open(path, "pt") as f:
        if f.metadata()["format"] != "talkie-weights":
            raise SystemExit(f"{path}: its metadata are {f.metadata()}")
        return {k: f.get_tensor(k).to(torch.float32).numpy() for k in f.keys() if k != "codec"}


def check(golden, talkie, folder):
    def run(*words):
        done = subprocess.run([talkie, *words], capture_output=True, text=True, cwd=folder)
        if done.returncode:
            raise SystemExit(f"talkie {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def comes_back(where):
        """What diffusers makes of a folder of talkie's."""
        again = MiniMaxH3Transformer3DModel.from_pretrained(os.path.join(folder, where))
        same(state(again), state(model), f"{golden}: {where}")
        again.train(False)
        for p in again.parameters():
            p.requires_grad_(True)
        outputs, _ = compute(again, groups["inputs"], groups["cotangent"])
        error, name = worst(outputs, groups["outputs"])
        if not error < FORWARD_BOUND:
            raise SystemExit(f"{golden}: {where}: {name} is off by {error:.1e}")
        return error

    model, groups = read_golden(golden)
    golden = os.path.abspath(golden)
    model.save_pretrained(os.path.join(folder, "one"))
    model.save_pretrained(os.path.join(folder, "shards"), max_shard_size="60KB")
    shards = [n for n in os.listdir(os.path.join(folder, "shards")) if n.endswith(".safetensors")]
    if len(shards) < 2:
        raise SystemExit("diffusers made no shards")
    for name in ("one", "shards"):
        print(run("parity", golden, f"checkpoint={name}", "parallel.threads=1"))
    run("convert", "shards", "-o", "w.safetensors", "convert.type=fp32")
    same(read_file(os.path.join(folder, "w.safetensors")), state(model), "w.safetensors")
    run("convert", "one", "-o", "b.safetensors")
    rounded = {k: torch.from_numpy(v).bfloat16().float().numpy() for k, v in state(model).items()}
    same(read_file(os.path.join(folder, "b.safetensors")), rounded, "b.safetensors")
    run("parity", golden, "checkpoint=w.safetensors", "parallel.threads=1")
    run("convert", "w.safetensors", "-o", "back", "convert.type=fp32")
    run("convert", "w.safetensors", "-o", "cut", "convert.type=fp32", "convert.shard=0.05")
    if len(os.listdir(os.path.join(folder, "cut"))) < 4:
        raise SystemExit("talkie made no shards")
    errors = [comes_back("back"), comes_back("cut")]
    print(f"  {len(shards)} shards; back in diffusers: outputs {max(errors):.1e}")


def main():
    parser = argparse.ArgumentParser(description="talkie's safetensors against the packages'.")
    parser.add_argument("--talkie", default=os.path.join(ROOT, "build", "talkie"))
    parser.add_argument("--save", metavar="DIR", help="only save the instance of one golden file")
    parser.add_argument("goldens", nargs="*", metavar="GOLDEN.h5")
    args = parser.parse_args()
    torch.set_num_threads(1)
    where = os.path.join(ROOT, "tests", "golden")
    goldens = args.goldens or sorted(os.path.join(where, n) for n in os.listdir(where))
    if args.save:
        read_golden(goldens[0])[0].save_pretrained(args.save, max_shard_size="60KB")
        return
    for golden in goldens:
        with tempfile.TemporaryDirectory() as folder:
            check(golden, os.path.abspath(args.talkie), folder)
    print(f"{len(goldens)} instances: all holds")


if __name__ == "__main__":
    main()
