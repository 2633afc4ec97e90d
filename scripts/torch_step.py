#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A training step of a model of the same shape in PyTorch, to compare ours with on the same GPU.

    scripts/torch_step.py [--documents 256 --rows 128 --hidden 2560 --heads 20 --head-dim 128 --ffn 6912
                           --layers 4 --steps 5 --device cuda]

Rows of documents that are equally long, blocks of norm, modulation by a table, attention within documents
with norms of heads and rotary positions, and SwiGLU; squared error; gradients clipped; fused AdamW on fp32
weights and averaged weights; bf16 by autocast, compiled by torch.compile. Attention is the fastest of
PyTorch's own. Prints one line: milliseconds of a step, the most MiB held, and whose attention it was.
"""
import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


class Block(nn.Module):
    def __init__(self, a):
        super().__init__()
        width = a.heads * a.head_dim
        self.heads, self.head_dim = a.heads, a.head_dim
        self.table = nn.Linear(a.hidden, 6 * a.hidden)
        self.norms = nn.ModuleList(nn.RMSNorm(a.hidden, eps=1e-6) for _ in range(2))
        self.q, self.k, self.v = (nn.Linear(a.hidden, width, bias=False) for _ in range(3))
        self.norm_q, self.norm_k = (nn.RMSNorm(a.head_dim, eps=1e-6) for _ in range(2))
        self.out = nn.Linear(width, a.hidden, bias=False)
        self.up = nn.Linear(a.hidden, 2 * a.ffn, bias=False)
        self.down = nn.Linear(a.ffn, a.hidden, bias=False)

    def rotate(self, x, cos, sin):
        half = cos.shape[-1]
        a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)

    def attend(self, x, cos, sin):
        documents, rows, _ = x.shape
        by_head = (documents, rows, self.heads, self.head_dim)
        q = self.rotate(self.norm_q(self.q(x).view(by_head)), cos, sin).to(x.dtype).transpose(1, 2)
        k = self.rotate(self.norm_k(self.k(x).view(by_head)), cos, sin).to(x.dtype).transpose(1, 2)
        v = self.v(x).view(by_head).to(x.dtype).transpose(1, 2)
        o = functional.scaled_dot_product_attention(q, k, v)
        return self.out(o.transpose(1, 2).reshape(documents, rows, -1))

    def forward(self, x, level, cos, sin):
        shift, scale, gate, shift2, scale2, gate2 = self.table(level).unsqueeze(1).to(x.dtype).chunk(6, dim=-1)
        x = x + gate * self.attend((self.norms[0](x) * (1 + scale) + shift).to(x.dtype), cos, sin)
        h = self.up((self.norms[1](x) * (1 + scale2) + shift2).to(x.dtype))
        value, gate_ffn = h.chunk(2, dim=-1)
        return x + gate2 * self.down(value * functional.silu(gate_ffn))


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.enter = nn.Linear(a.channels, a.hidden)
        self.time = nn.Linear(256, a.hidden)
        self.blocks = nn.ModuleList(Block(a) for _ in range(a.layers))
        self.norm = nn.RMSNorm(a.hidden, eps=1e-6)
        self.leave = nn.Linear(a.hidden, a.channels)

    def forward(self, x, time_features, cos, sin):
        level = functional.silu(self.time(time_features))
        x = self.enter(x).to(torch.bfloat16)
        for block in self.blocks:
            x = block(x, level, cos, sin)
        return self.leave(self.norm(x)).float()


def inputs(a):
    position = torch.arange(a.rows, device=a.device, dtype=torch.float32)
    frequency = 1e4 ** -(torch.arange(48, device=a.device, dtype=torch.float32) / 48)
    angle = (position[:, None] * frequency[: min(48, a.head_dim // 2)])[None, :, None, :]
    shape = (a.documents, a.rows, a.channels)
    x, target = (torch.randn(shape, device=a.device) for _ in range(2))
    return x, torch.randn((a.documents, 256), device=a.device), angle.cos(), angle.sin(), target


def measure(a, backend):
    """Milliseconds of a step and the most MiB held."""
    torch.manual_seed(1)
    torch._dynamo.reset()
    model = Model(a).to(a.device)
    averaged = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=a.device == "cuda")
    compiled = torch.compile(model)
    x, time_features, cos, sin, target = inputs(a)

    def step():
        with torch.autocast(a.device, dtype=torch.bfloat16), sdpa_kernel(backend):
            loss = functional.mse_loss(compiled(x, time_features, cos, sin), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(averaged, [p.detach() for p in model.parameters()], 0.002)

    def wait():
        if a.device == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    wait()
    if a.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    took = []
    for _ in range(a.steps):
        begin = time.perf_counter()
        step()
        wait()
        took.append(1e3 * (time.perf_counter() - begin))
    held = torch.cuda.max_memory_allocated() / 2**20 if a.device == "cuda" else 0
    return statistics.median(took), held


def main():
    parser = argparse.ArgumentParser()
    sizes = dict(documents=256, rows=128, hidden=2560, heads=20, head_dim=128, ffn=6912, layers=4, channels=64, steps=5)
    for name, value in sizes.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--device", default="cuda")
    a = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    backends = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION] if a.device == "cuda" else [SDPBackend.MATH]
    best = None
    for backend in backends:
        try:
            now = (*measure(a, backend), backend.name.lower())
        except RuntimeError as error:
            print(f"{backend.name.lower()}: {str(error).splitlines()[0]}")
            continue
        best = min(best, now) if best else now
    if not best:
        raise SystemExit("none of PyTorch's kernels of attention ran")
    print(f"torch {torch.__version__}: step {best[0]:.2f} ms, {best[1]:.1f} MiB, {best[2]}")


if __name__ == "__main__":
    main()
