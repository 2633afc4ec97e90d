# SPDX-License-Identifier: Apache-2.0
"""Writes golden files: the executable specification of talkie's model.

A golden file holds a small random instance of `MiniMaxH3Transformer3DModel` of the diffusers
package (weights, inputs, outputs, gradients), computed by that package in float32 on the CPU.
`talkie parity FILE` must reproduce it.

    python -m venv golden && golden/bin/pip install -r scripts/requirements-golden.txt
    golden/bin/python scripts/make_golden.py --out tests/golden             # the named instances
    golden/bin/python scripts/make_golden.py --out /tmp --random 20 --seed 7  # unseen ones

Layout of a file (HDF5, datasets contiguous, little-endian; N rows in the stream, K noise levels):

    attributes          format = "talkie-golden", version = 1,
                        config = YAML text, the `model:` section that builds the instance
    weights/NAME        float32, under the package's own dotted parameter names
    inputs/video        (Nv, Cv) float32   rows in stream order, likewise audio and text
    inputs/timestep     (K)      float32   distinct noise levels, 1 = clean
    inputs/level        (N)      int32     index into timestep
    inputs/modality     (N)      int32     0 video, 1 text, 2 audio
    inputs/position     (N, 3)   float64   t, h, w
    inputs/document     (N)      int32     attention stays within a document
    inputs/*_rows       int32              stream row of each video, audio and text row, ascending
    outputs/*           video (Nv, Cv), audio (Na, Ca), float32; all rows, given ones included
    cotangent/*         the same shapes
    grads/NAME          dL/dweight of L = sum(outputs * cotangent)

The package attends over everything it is given, so several documents are run one after another
and their gradients added up.

Each instance is computed again in float64 and the errors of the float32 values are printed; the
script fails if they are not small, or if some parameter has no influence on the outputs.
"""

import argparse
import copy
import os
import zlib
from dataclasses import dataclass, field

import h5py
import numpy as np
import torch
from diffusers import MiniMaxH3Transformer3DModel

VIDEO, TEXT, AUDIO = 0, 1, 2  # the package's numbers
STREAMS = {"video": VIDEO, "audio": AUDIO, "text": TEXT}
CLOCK = 40.0  # units of rotary time a second
SPATIAL = 32.0  # units a square frame spans

FORWARD_BOUND = 1e-5  # largest accepted relative error of the float32 outputs (norm)
GRADIENT_BOUND = 1e-4  # ... of the gradient of any one parameter

# ---- Positions -------------------------------------------------------------------------------


def axis(n, other):
    """Coordinates of `n` patches along a side of a frame that is `other` patches the other way.

    The side spans n / sqrt(area) around 1/2, its right end excluded; a square spans [0, 32).
    """
    span = n / np.sqrt(n * other)
    return ((1.0 - span) / 2.0 + span * np.arange(n) / n) * SPATIAL


def video_rows(start, units, height, width):
    """Rows (t, h, w) of a run of latent frames; `units` is how long each of them lasts."""
    times = start + np.concatenate([[0.0], np.cumsum(units)[:-1]])
    t, h, w = np.meshgrid(times, axis(height, width), axis(width, height), indexing="ij")
    return np.stack([t, h, w], axis=-1).reshape(-1, 3)


def audio_rows(start, count, channels, grid):
    """Rows of `count` audio latents, channel after channel: h = 0, w the first and last column."""
    columns = axis(grid[1], grid[0])[[0, -1]][:channels]
    w, t = np.meshgrid(columns, start + np.arange(count, dtype=np.float64), indexing="ij")
    return np.stack([t, np.zeros_like(t), w], axis=-1).reshape(-1, 3)


def frame_units(pattern, fps, frames):
    """Length of each latent frame: pixel frames per latent, cyclically, at `fps`."""
    return [CLOCK / fps * pattern[i % len(pattern)] for i in range(frames)]


# ---- Streams ---------------------------------------------------------------------------------


@dataclass
class Block:
    """Consecutive rows of one modality on one noise level, times relative to the media start."""

    modality: int
    rows: np.ndarray  # (n, 3)
    level: int


@dataclass
class Document:
    """Text rows, then the rows of the blocks, in the order `order` gives."""

    text: int
    text_level: int
    blocks: list = field(default_factory=list)
    order: str = "blocks"  # "blocks": one after another; "time": merged by time; "shuffle"


def lay_out(documents, rng):
    """The structural inputs of a stream of documents laid end to end."""
    modality, level, position, document = [], [], [], []
    for number, doc in enumerate(documents):
        kinds = np.concatenate([np.full(len(b.rows), b.modality) for b in doc.blocks])
        levels = np.concatenate([np.full(len(b.rows), b.level) for b in doc.blocks])
        rows = np.concatenate([b.rows for b in doc.blocks])
        if doc.order == "time":
            order = np.argsort(rows[:, 0], kind="stable")
        elif doc.order == "shuffle":
            order = rng.permutation(len(rows))
        else:
            order = np.arange(len(rows))
        text = np.zeros((doc.text, 3))
        text[:, 0] = np.arange(doc.text)
        modality += [np.full(doc.text, TEXT), kinds[order]]
        level += [np.full(doc.text, doc.text_level), levels[order]]
        position += [text, rows[order] + [doc.text, 0.0, 0.0]]
        document.append(np.full(doc.text + len(rows), number))
    inputs = {
        "level": np.concatenate(level).astype(np.int32),
        "modality": np.concatenate(modality).astype(np.int32),
        "position": np.concatenate(position),
        "document": np.concatenate(document).astype(np.int32),
    }
    for name, kind in STREAMS.items():
        inputs[name + "_rows"] = np.flatnonzero(inputs["modality"] == kind).astype(np.int32)
    return inputs


# ---- Instances -------------------------------------------------------------------------------

BASE = {
    "hidden": 24,
    "heads": 3,
    "head_dim": 8,
    "layers": 2,
    "refiner_layers": 2,
    "ffn": 40,
    "video_channels": 12,
    "audio_channels": 10,
    "text_channels": 14,
    "text": "features",
    "freq_dim": 16,
    "time_hidden": 28,
    "time_dim": 18,
    "rope_freq_dim": 1,
    "rope_theta": 10000.0,
    "norm_eps": 1e-5,
    "qk_norm_eps": 1e-5,
    "final_norm_eps": 1e-5,
}

RELEASED = (1, 4, 4, 4, 4)  # pixel frames per latent frame of the released video autoencoder


def odd(rng):
    """Odd counts of everything: rows per modality, heads, channels; a width 2 and 4 do not divide."""
    config = BASE | {
        "hidden": 27, "heads": 3, "head_dim": 10, "ffn": 45, "video_channels": 13,
        "audio_channels": 9, "text_channels": 15, "time_hidden": 29, "time_dim": 17,
    }  # fmt: skip
    doc = Document(text=7, text_level=0)
    doc.blocks += [
        Block(AUDIO, audio_rows(0.0, 13, 1, (5, 3)), 1),
        Block(VIDEO, video_rows(0.0, frame_units((4,), 30, 3), 5, 3), 0),
    ]
    return config, [0.3125, 0.6875], [doc]


def wide(rng):
    """heads * head_dim above hidden, rotary over 12 of 16 channels; epsilons that can be told
    apart; the released model's own layout: keyframe, stereo, 1-4-4-4-4 latent frames."""
    config = BASE | {
        "hidden": 28, "heads": 4, "head_dim": 16, "rope_freq_dim": 2, "ffn": 52, "time_dim": 14,
        "norm_eps": 2e-3, "qk_norm_eps": 5e-3, "final_norm_eps": 0.1,
    }  # fmt: skip
    units = frame_units(RELEASED, 24, 7)
    doc = Document(text=9, text_level=0)
    doc.blocks += [
        Block(VIDEO, video_rows(0.0, [1.0], 2, 4), 2),  # first frame, given
        Block(AUDIO, audio_rows(0.0, 37, 2, (2, 4)), 1),
        Block(VIDEO, video_rows(0.0, units, 2, 4), 0),
    ]
    return config, [0.125, 0.40625, 0.999], [doc]


def documents(rng):
    """Four documents of different sizes on four noise levels (not in order), given and target rows
    in one document, times before the media start, rows merged by time and in no order at all."""
    config = BASE | {"heads": 2, "head_dim": 12, "rope_freq_dim": 2, "rope_theta": 300.0}
    levels = [0.8125, 1.0, 0.15625, 0.46875]
    fps25 = frame_units((2,), 25, 4)
    docs = [
        # The target after memory of an earlier shot, given clean with its sound.
        Document(11, 0, [
            Block(AUDIO, audio_rows(-8.0, 8, 2, (3, 4)), 1),
            Block(VIDEO, video_rows(-20.0 / 3.0, frame_units((4,), 24, 1), 3, 4), 1),
            Block(AUDIO, audio_rows(0.0, 14, 2, (3, 4)), 3),
            Block(VIDEO, video_rows(0.0, frame_units((4,), 24, 2), 3, 4), 0),
        ]),
        # Sound and picture interleaved on the clock.
        Document(5, 2, [
            Block(VIDEO, video_rows(0.0, fps25, 2, 3), 2),
            Block(AUDIO, audio_rows(0.0, 12, 1, (2, 3)), 0),
        ], "time"),
        # The smallest there is.
        Document(1, 3, [
            Block(AUDIO, audio_rows(0.0, 1, 1, (1, 1)), 2),
            Block(VIDEO, video_rows(0.0, [1.0], 1, 1), 3),
        ]),
        # All four levels, a reference far back in time, rows in no order.
        Document(8, 3, [
            Block(VIDEO, video_rows(-400.0, [1.0], 3, 2), 1),
            Block(AUDIO, audio_rows(-400.5, 5, 1, (3, 2)), 1),
            Block(VIDEO, video_rows(0.0, frame_units(RELEASED, 24, 3), 2, 2), 3),
            Block(AUDIO, audio_rows(0.0, 15, 2, (2, 2)), 2),
            Block(VIDEO, video_rows(15.0, [5.0 / 3.0], 2, 2), 0),
        ], "shuffle"),
    ]  # fmt: skip
    return config, levels, docs


def sparse(rng):
    """Five heads, a feed-forward width neither 2 nor 3 divides, three blocks; a document without
    sound, one without picture, and a single audio row beside a picture."""
    config = BASE | {
        "hidden": 25, "heads": 5, "head_dim": 6, "layers": 3, "refiner_layers": 1, "ffn": 35,
        "time_dim": 11,
    }  # fmt: skip
    docs = [
        Document(6, 0, [Block(VIDEO, video_rows(0.0, frame_units((1,), 24, 3), 3, 3), 0)]),
        Document(2, 1, [Block(AUDIO, audio_rows(0.0, 9, 1, (1, 1)), 1)]),
        Document(4, 0, [
            Block(AUDIO, audio_rows(0.0, 1, 1, (2, 4)), 1),
            Block(VIDEO, video_rows(0.0, frame_units((1,), 24, 2), 2, 4), 0),
        ]),
    ]  # fmt: skip
    return config, [0.21875, 0.59375], docs


NAMED = {f.__name__: f for f in (odd, wide, documents, sparse)}


def any_instance(rng):
    """An instance drawn at random: any widths, any documents."""

    def pick(low, high):  # both ends included
        return int(rng.integers(low, high + 1))

    def chance(p):
        return rng.random() < p

    rope = pick(1, 3)
    config = BASE | {
        "hidden": pick(12, 48),
        "heads": pick(1, 7),
        "head_dim": 6 * rope + 2 * pick(0, 4),
        "layers": pick(1, 4),
        "refiner_layers": pick(1, 3),
        "ffn": pick(9, 90),
        "video_channels": pick(1, 40),
        "audio_channels": pick(1, 40),
        "text_channels": pick(1, 40),
        "freq_dim": 2 * pick(2, 24),
        "time_hidden": pick(5, 50),
        "time_dim": pick(5, 30),
        "rope_freq_dim": rope,
        "rope_theta": float(rng.choice([100.0, 1000.0, 10000.0])),
    }
    for key in ("norm_eps", "qk_norm_eps", "final_norm_eps"):
        config[key] = float(rng.choice([1e-6, 1e-5, 1e-3, 1e-2]))
    # Distinct levels, the last one clean.
    count = pick(1, 5)
    levels = [float(v) / 64.0 for v in rng.permutation(64)[:count]] + [1.0]
    clean = count

    docs = []
    for number in range(pick(1, 5)):
        grid = (pick(1, 5), pick(1, 5))
        fps = float(rng.choice([8.0, 24.0, 25.0, 30.0]))
        pattern = RELEASED if chance(0.3) else (pick(1, 4),)
        units = frame_units(pattern, fps, pick(1, 5))
        video, audio = pick(0, count - 1), pick(0, count - 1)
        # The first document has both modalities and more than one text row (attention over one
        # row ignores queries and keys), so that every parameter matters.
        doc = Document(pick(2 if number == 0 else 1, 17), video)
        doc.order = str(rng.choice(["blocks", "time", "shuffle"]))
        has_video = number == 0 or chance(0.85)
        has_audio = number == 0 or not has_video or chance(0.8)
        if has_video and chance(0.4):  # a keyframe, or memory before the start
            doc.blocks.append(Block(VIDEO, video_rows(-pick(0, 90) / 3.0, [1.0], *grid), clean))
        if has_audio and chance(0.3):
            doc.blocks.append(Block(AUDIO, audio_rows(-pick(1, 60), pick(1, 9), 1, grid), clean))
        if has_audio:
            doc.blocks.append(Block(AUDIO, audio_rows(0.0, pick(1, 25), pick(1, 2), grid), audio))
        if has_video:
            doc.blocks.append(Block(VIDEO, video_rows(0.0, units, *grid), video))
        docs.append(doc)
    return config, levels, docs


def build(config):
    """The package's model for a talkie `model:` section."""
    return MiniMaxH3Transformer3DModel(
        num_attention_heads=config["heads"],
        attention_head_dim=config["head_dim"],
        hidden_size=config["hidden"],
        num_layers=config["layers"],
        num_refiner_layers=config["refiner_layers"],
        ffn_dim=config["ffn"],
        in_channels=config["video_channels"],
        audio_in_channels=config["audio_channels"],
        patch_size=(1, 1, 1),
        text_dim=config["text_channels"],
        freq_dim=config["freq_dim"],
        time_embed_hidden_dim=config["time_hidden"],
        time_embed_dim=config["time_dim"],
        rope_freq_dim=config["rope_freq_dim"],
        rope_theta=config["rope_theta"],
        norm_eps=config["norm_eps"],
        qk_norm_eps=config["qk_norm_eps"],
        final_norm_eps=config["final_norm_eps"],
    )


def randomize(model, rng):
    """Draws every parameter so that each of them matters: nothing is zero, one, or all alike.

    numpy draws them, so that a file does not depend on the generator of the torch version.
    """
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1 and name.endswith("weight"):  # a norm
                value = 1.0 + 0.25 * rng.standard_normal(p.shape)
            elif p.ndim == 1:
                value = (0.5 if "adaln" in name else 0.2) * rng.standard_normal(p.shape)
            else:
                value = rng.standard_normal(p.shape) / np.sqrt(p.shape[1])
                if name.startswith("time_embedder"):
                    value *= 3.0  # so that noise levels differ clearly: t is at most 1
            p.copy_(torch.from_numpy(value.astype(np.float32)))


# ---- Computation -----------------------------------------------------------------------------


class ExactRotary(torch.nn.Module):
    """Rotary angles in float64 throughout, to see how much their rounding matters."""

    def __init__(self, freq_dim, theta):
        super().__init__()
        self.freq = theta ** (-torch.arange(freq_dim, dtype=torch.float64) / freq_dim)

    def forward(self, position):
        angle = (position.double()[:, :, None] * self.freq).flatten(1)
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos(), angle.sin()


def in_float64(model, exact_angles):
    """A float64 copy. The package computes rotary angles in float32 whatever the weights are, and
    so does this copy, unless told otherwise: both then rotate by the very same angles."""
    twin = copy.deepcopy(model).double()
    if exact_angles:
        twin.rope = ExactRotary(model.config.rope_freq_dim, model.config.rope_theta)
    else:
        twin.rope.inv_freq = model.rope.inv_freq.clone()
        assert twin.rope.inv_freq.dtype == torch.float32
    return twin


def compute(model, inputs, cotangent):
    """Outputs and gradients, documents one after another; arrays of the model's precision."""
    dtype = next(model.parameters()).dtype
    outputs = {name: torch.zeros(cotangent[name].shape, dtype=dtype) for name in cotangent}
    model.zero_grad()
    for number in range(int(inputs["document"].max()) + 1):
        rows = np.flatnonzero(inputs["document"] == number)
        # Which rows of each modality are this document's, and where they lie within it.
        own = {n: np.isin(inputs[n + "_rows"], rows) for n in STREAMS}
        at = {n: np.searchsorted(rows, inputs[n + "_rows"][own[n]]) for n in STREAMS}
        feed = {n: torch.from_numpy(inputs[n][own[n]]).to(dtype)[None] for n in STREAMS}
        result = model(
            hidden_states=feed["video"],
            audio_hidden_states=feed["audio"],
            encoder_hidden_states=feed["text"],
            timestep=torch.from_numpy(inputs["timestep"]),
            timestep_indices=torch.from_numpy(inputs["level"][rows]).long(),
            token_tags=torch.from_numpy(inputs["modality"][rows]).long(),
            position_ids=torch.from_numpy(inputs["position"][rows]),
            video_indices=torch.from_numpy(at["video"]),
            audio_indices=torch.from_numpy(at["audio"]),
            text_indices=torch.from_numpy(at["text"]),
        )
        loss = 0.0
        for name, value in (("video", result.sample), ("audio", result.audio_sample)):
            mine = torch.from_numpy(own[name])
            outputs[name][mine] = value[0].detach()
            loss = loss + (value[0] * torch.from_numpy(cotangent[name][own[name]])).sum()
        loss.backward()  # adds to the gradients of the documents before
    grads = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    return {name: value.numpy() for name, value in outputs.items()}, grads


def worst(values, truth):
    """The largest relative error (norms) over named arrays, and its name."""

    def error(name):
        t = truth[name].astype(np.float64)
        return float(np.linalg.norm(values[name] - t) / np.linalg.norm(t))

    name = max(values, key=error)
    return error(name), name


# ---- Files -----------------------------------------------------------------------------------


def scalar(value):
    """YAML text of a value; 1e-05 as 1.0e-05, which YAML 1.1 takes for a number too."""
    text = str(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def write(path, config, groups):
    """Writes under a temporary name first: a golden is whole or absent."""
    partial = path + ".part"
    with h5py.File(partial, "w") as f:
        f.attrs["format"] = "talkie-golden"
        f.attrs["version"] = np.int32(1)
        f.attrs["config"] = "model:\n" + "".join(f"  {k}: {scalar(v)}\n" for k, v in config.items())
        for group, arrays in groups.items():
            for name, value in arrays.items():
                f.create_dataset(f"{group}/{name}", data=value)
    os.replace(partial, path)


def make(path, instance, rng):
    config, levels, docs = instance(rng)
    inputs = lay_out(docs, rng)
    inputs["timestep"] = np.array(levels, dtype=np.float32)
    for name in STREAMS:
        shape = (len(inputs[name + "_rows"]), config[name + "_channels"])
        inputs[name] = rng.standard_normal(shape).astype(np.float32)
    cotangent = {
        name: rng.standard_normal(inputs[name].shape).astype(np.float32)
        for name in ("video", "audio")
    }
    model = build(config)
    randomize(model, rng)

    outputs, grads = compute(model, inputs, cotangent)
    idle = [name for name, g in grads.items() if not np.any(g)]
    if idle:
        raise SystemExit(f"{path}: the outputs do not depend on {', '.join(idle)}")

    true_outputs, true_grads = compute(in_float64(model, False), inputs, cotangent)
    forward, forward_name = worst(outputs, true_outputs)
    gradient, gradient_name = worst(grads, true_grads)
    exact_outputs, exact_grads = compute(in_float64(model, True), inputs, cotangent)
    if not (forward < FORWARD_BOUND and gradient < GRADIENT_BOUND):
        raise SystemExit(
            f"{path}: float32 is off by {forward:.1e} ({forward_name}) "
            f"and {gradient:.1e} ({gradient_name})"
        )

    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    groups = {"weights": weights, "inputs": inputs, "outputs": outputs}
    groups |= {"cotangent": cotangent, "grads": grads}
    write(path, config, groups)
    counts = " ".join(f"{n} {len(inputs[n + '_rows'])}" for n in STREAMS)
    print(f"{path}: {os.path.getsize(path)} bytes, {len(docs)} documents, rows: {counts}")
    print(f"  float32 error: outputs {forward:.1e}, gradients {gradient:.1e} ({gradient_name})")
    print(
        "  off from exact rotary angles: "
        f"outputs {worst(outputs, exact_outputs)[0]:.1e}, "
        f"gradients {worst(grads, exact_grads)[0]:.1e}"
    )


def main():
    parser = argparse.ArgumentParser(
        description="Write golden files of the model, computed by the diffusers package."
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="directory to write to")
    parser.add_argument("--seed", type=int, default=1, help="of weights and inputs (default 1)")
    parser.add_argument(
        "--random",
        type=int,
        metavar="N",
        help="write N instances drawn at random, random-SEED-I.h5, in place of the named ones",
    )
    parser.add_argument(
        "names", nargs="*", help=f"named instances to write (default all: {', '.join(NAMED)})"
    )
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in NAMED]
    if unknown:
        parser.error(f"no instance named {', '.join(unknown)}; there are {', '.join(NAMED)}")
    if args.seed < 0:
        parser.error("--seed must not be negative")
    if args.random is not None and (args.random < 1 or args.names):
        parser.error("--random takes a positive count and no names")

    torch.set_num_threads(1)  # the order of sums, and so the last bits, then never change
    os.makedirs(args.out, exist_ok=True)
    if args.random is not None:
        jobs = {f"random-{args.seed}-{i}": any_instance for i in range(args.random)}
    else:
        jobs = {name: NAMED[name] for name in args.names or NAMED}
    for name, instance in jobs.items():
        rng = np.random.default_rng([args.seed, zlib.crc32(name.encode())])
        make(os.path.join(args.out, name + ".h5"), instance, rng)


if __name__ == "__main__":
    main()
