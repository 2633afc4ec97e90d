# SPDX-License-Identifier: Apache-2.0
"""Positions of a dozen documents by the released model's own pipeline (diffusers), as text.

    python scripts/make_positions.py > tests/core/model/released_positions.txt

Needs what scripts/requirements-golden.txt lists. A line is "document modality t h w" (0 video, 1
text, 2 audio), sorted within a document. tests/core/model/test_stream.c lays the same documents out by
talkie's code and compares. The documents here and there are the same, in the same order.
"""

from types import SimpleNamespace

import torch
from diffusers.modular_pipelines.minimax_h3 import before_denoise

PATCH = (1, 2, 2)  # of the released transformer


def builder(name):
    """The static method of that name of the step that has it."""
    for step in vars(before_denoise).values():
        if hasattr(step, name):
            return getattr(step, name)
    raise SystemExit(f"this diffusers has no {name}")


def plain(text, frames, high, wide, audio, channels=2, keyframes=()):
    """[text | keyframes | sound | picture]; sizes in rows."""
    tags = torch.ones(text, dtype=torch.long)
    return builder("build_packed_sequence")(
        tags, frames, 2 * high, 2 * wide, audio, PATCH, channels, 2, 0, keyframe_anchors=keyframes
    )


def with_references(text, frames, high, wide, audio, references):
    """[text | references | sound | picture]; a reference is (kind, frames, high, wide, audio)."""
    tags = torch.ones(text, dtype=torch.long)
    kinds, pictures, sounds = [], [], []
    for kind, f, h, w, a in references:
        kinds.append(SimpleNamespace(kind=kind, has_audio=a > 0))
        if f:
            pictures.append(torch.zeros(1, 1, f, 2 * h, 2 * w))
        if a:
            sounds.append(torch.zeros(2 * a, 1))
    return builder("build_ref2va_packed_sequence")(
        tags, kinds, pictures, sounds, frames, 2 * high, 2 * wide, audio, PATCH, 2, 2, 0
    )


DOCUMENTS = [
    plain(3, 1, 2, 2, 2),
    plain(5, 6, 2, 3, 9),
    plain(1, 5, 3, 1, 4),
    plain(7, 11, 1, 2, 12),
    plain(4, 7, 2, 2, 10, keyframes=("first",)),
    plain(4, 7, 2, 2, 10, keyframes=("first", "last")),
    plain(2, 16, 1, 1, 20, keyframes=("last",)),
    with_references(6, 2, 2, 2, 3, [("image", 1, 2, 2, 0)]),
    with_references(6, 2, 2, 2, 3, [("image", 1, 3, 2, 0), ("image", 1, 1, 2, 0)]),
    with_references(3, 3, 2, 3, 4, [("audio", 0, 0, 0, 5)]),
    with_references(3, 2, 2, 2, 3, [("video", 6, 1, 2, 20)]),
    with_references(
        8, 5, 2, 3, 8, [("video", 7, 2, 1, 0), ("audio", 0, 0, 0, 2), ("image", 1, 2, 2, 0)]
    ),
]

for number, (position, tag, *_) in enumerate(DOCUMENTS):
    rows = sorted((int(m), *(float(x) for x in p)) for m, p in zip(tag, position))
    for m, t, h, w in rows:
        print(number, m, repr(t), repr(h), repr(w))
