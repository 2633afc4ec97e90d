#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our model in PyTorch: what a step of ours is compared with on the same GPU or processor.

    scripts/torch_step.py step CONFIG.yaml [model.hidden=2560 ...] documents=32 video=1024 audio=40 text=20
    scripts/torch_step.py golden FILE.h5...       outputs and gradients of golden files (scripts/make_golden.py)
    scripts/torch_step.py attention documents=32 rows=1024 heads=20 head_dim=128

More words: device=cpu (default cuda), precision=fp32 (default bf16), compile=0 (default 1), steps=5; parameters, flop and rows of a step of ours, which this is to have. The
model is the one of MODEL.md, with its names of weights; `golden` shows that on the processor. A step: rows of documents
that are all alike, squared error, gradients clipped by their norm, fused AdamW on fp32 weights, averaged weights; bf16
by autocast, compiled by torch.compile unless told otherwise, with the fastest of PyTorch's kernels of attention. It prints one line, as
    torch 2.11.0: step 12.34 ms, 567.8 MiB, cudnn_attention, 89 parameters, 1.2e+13 FLOP, 345 rows
where MiB are the most held; `attention` one of cuDNN's kernels, called directly:
    torch 2.11.0: attention forward 67.8 GFLOP/s, backward 9.1 GFLOP/s
"""
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

VIDEO, TEXT, AUDIO = range(3)  # the order of a modulation table
BYTES = 257  # and the mark of a shot


class Config(dict):
    """Keys of a YAML file of sections and of words "section.key=value", without the section's name."""

    DEFAULTS = dict(text="bytes", rope_theta=1e4, norm_eps=1e-5, qk_norm_eps=1e-5, final_norm_eps=1e-5)

    def __init__(self, lines, section="model"):
        super().__init__(self.DEFAULTS)
        inside = section
        for line in lines:
            key, _, value = line.split("#")[0].partition(":")
            if key.strip() and not key.startswith(" "):
                inside = key if not value.strip() else section
            if value.strip() and inside in ("model", "codec"):
                self.set(key.strip(), value.strip())

    def set(self, key, value):
        try:
            self[key] = float(value) if any(c in value for c in ".e") else int(value)
        except ValueError:
            self[key] = value

    __getattr__ = dict.__getitem__


def rms(x, weight, eps):
    y = x.float()
    return y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps) * weight


def mixed(x, **how):
    return torch.autocast("cuda" if x.is_cuda else "cpu", **how)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Documents:
    """Which rows lie in which document: `count` documents that are alike, or so many rows in each."""

    def __init__(self, lengths):
        self.lengths = lengths
        self.alike = len(set(lengths)) == 1

    def attend(self, q, k, v):
        """(rows, heads, head_dim) each."""
        if self.alike:
            q, k, v = (x.unflatten(0, (len(self.lengths), -1)).transpose(1, 2) for x in (q, k, v))
            return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(0, 1)
        parts = zip(*(x.split(self.lengths) for x in (q, k, v)))
        one = [functional.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in p)) for p in parts]
        return torch.cat([x[0].transpose(0, 1) for x in one])


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        inner = c.heads * c.head_dim
        self.by_head, self.eps = (c.heads, c.head_dim), c.qk_norm_eps
        self.to_q, self.to_k, self.to_v = (nn.Linear(c.hidden, inner, bias=False) for _ in range(3))
        self.norm_q, self.norm_k = Norm(c.head_dim), Norm(c.head_dim)
        self.to_out = nn.ModuleList([nn.Linear(inner, c.hidden, bias=False)])

    def turned(self, x, norm, turn):
        y = rms(x.unflatten(-1, self.by_head), norm.weight, self.eps)
        if turn is not None:
            cos, sin = (t[:, None] for t in turn)
            n = cos.shape[-1]
            a, b, rest = y.split((n, n, y.shape[-1] - 2 * n), dim=-1)
            y = torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)
        return y.to(x.dtype)

    def forward(self, x, turn, documents):
        q, k = self.turned(self.to_q(x), self.norm_q, turn), self.turned(self.to_k(x), self.norm_k, turn)
        o = documents.attend(q, k, self.to_v(x).unflatten(-1, self.by_head))
        return self.to_out[0](o.flatten(1))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        up = nn.Module()
        up.proj = nn.Linear(c.hidden, 2 * c.ffn, bias=False)
        self.net = nn.ModuleDict({"0": up, "2": nn.Linear(c.ffn, c.hidden, bias=False)})

    def forward(self, x):
        value, gate = self.net["0"].proj(x).chunk(2, dim=-1)
        return self.net["2"](value * functional.silu(gate))


class Block(nn.Module):
    def __init__(self, c, modulated):
        super().__init__()
        self.eps = c.norm_eps
        self.norm1, self.attn, self.norm2, self.ff = Norm(c.hidden), Attention(c), Norm(c.hidden), FeedForward(c)
        if modulated:
            self.adaln_proj = nn.Module()
            self.adaln_proj.linear = nn.Linear(c.time_dim, 18 * c.hidden)

    def refine(self, x, turn, documents):
        x = x + self.attn(rms(x, self.norm1.weight, self.eps).to(x.dtype), turn, documents)
        return x + self.ff(rms(x, self.norm2.weight, self.eps).to(x.dtype))

    def forward(self, x, level, table_row, turn, documents):
        with mixed(x, enabled=False):
            table = self.adaln_proj.linear(level).view(-1, 6 * x.shape[-1])
        shift, scale, gate, shift2, scale2, gate2 = table[table_row].chunk(6, dim=-1)
        y = rms(x, self.norm1.weight, self.eps) * (1 + scale) + shift
        x = (x + gate * self.attn(y.to(x.dtype), turn, documents)).to(x.dtype)
        y = rms(x, self.norm2.weight, self.eps) * (1 + scale2) + shift2
        return (x + gate2 * self.ff(y.to(x.dtype))).to(x.dtype)


class Rows:
    """What a stream is made of beside its numbers."""

    def __init__(self, c, modality, level, position, lengths, device):
        self.of = [torch.nonzero(modality == m).flatten().to(device) for m in (VIDEO, AUDIO, TEXT)]
        self.pack = torch.argsort(torch.cat([x.cpu() for x in self.of])).to(device)
        self.level, self.table_row = level.to(device), (level * 3 + modality).to(device)
        rate = c.rope_theta ** -(torch.arange(c.rope_freq_dim, dtype=torch.float64) / c.rope_freq_dim)
        angle = (position.double()[:, :, None] * rate).flatten(1)
        self.turn = [t.float().to(device) for t in (angle.cos(), angle.sin())]
        texts = [int((part == TEXT).sum()) for part in modality.split(lengths)]
        self.documents, self.texts = Documents(lengths), Documents(texts)
        self.text_turn = [t[self.of[2]] for t in self.turn] if c.text == "bytes" else None


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.proj_in, self.audio_proj_in = nn.Linear(c.video_channels, c.hidden), nn.Linear(c.audio_channels, c.hidden)
        if c.text == "bytes":
            self.text_embed = nn.Embedding(BYTES, c.text_channels)
        self.context_embedder = nn.Linear(c.text_channels, c.hidden)
        self.token_refiner, self.time_embedder, self.norm_out = nn.Module(), nn.Module(), nn.Module()
        self.token_refiner.refiner_blocks = nn.ModuleList(Block(c, False) for _ in range(c.refiner_layers))
        self.token_refiner.final_norm = Norm(c.hidden)
        self.time_embedder.linear_1 = nn.Linear(c.freq_dim, c.time_hidden)
        self.time_embedder.linear_2 = nn.Linear(c.time_hidden, c.time_dim)
        self.transformer_blocks = nn.ModuleList(Block(c, True) for _ in range(c.layers))
        self.norm_out.norm, self.norm_out.linear = Norm(c.hidden), nn.Linear(c.time_dim, 2 * c.hidden)
        self.proj_out, self.audio_proj_out = (nn.Linear(c.hidden, n) for n in (c.video_channels, c.audio_channels))

    def levels(self, timestep):
        rate = 1e4 ** -(torch.arange(self.c.freq_dim // 2, device=timestep.device) / (self.c.freq_dim // 2))
        angle = timestep[:, None] * rate
        x = torch.cat((angle.cos(), angle.sin()), dim=-1)
        x = self.time_embedder.linear_2(functional.silu(self.time_embedder.linear_1(x)))
        return functional.silu(x)

    def embed(self, video, audio, text, r, dtype):
        y = self.context_embedder(self.text_embed(text) if self.c.text == "bytes" else text).to(dtype)
        for block in self.token_refiner.refiner_blocks:
            y = block.refine(y, r.text_turn, r.texts)
        y = rms(y, self.token_refiner.final_norm.weight, self.c.final_norm_eps).to(dtype)
        return torch.cat((self.proj_in(video).to(dtype), self.audio_proj_in(audio).to(dtype), y))[r.pack]

    def forward(self, video, audio, text, timestep, r, dtype):
        x = self.embed(video, audio, text, r, dtype)
        with mixed(x, enabled=False):
            level = self.levels(timestep)
            shift, scale = self.norm_out.linear(level)[r.level].chunk(2, dim=-1)
        for block in self.transformer_blocks:
            x = block(x, level, r.table_row, r.turn, r.documents)
        y = (rms(x, self.norm_out.norm.weight, self.c.final_norm_eps) * (1 + scale) + shift).to(dtype)
        with mixed(x, enabled=False):
            return self.proj_out(y[r.of[0]].float()), self.audio_proj_out(y[r.of[1]].float())


# ---- golden files -----------------------------------------------------------------------------------


def worst(found, wanted):
    """The largest relative error, in norm."""
    return max(float((a.detach() - b).norm() / b.norm().clamp(min=1e-30)) for a, b in zip(found, wanted))


def golden(path):
    import h5py

    with h5py.File(path) as f:
        c = Config(str(f.attrs["config"]).splitlines())
        read = {g: {n: torch.from_numpy(x[()]) for n, x in f[g].items()} for g in ("inputs", "outputs", "cotangent")}
        weights, grads = ({n: torch.from_numpy(x[()]) for n, x in f[g].items()} for g in ("weights", "grads"))
    given = read["inputs"]
    model = Model(c)
    model.load_state_dict(weights)
    lengths = torch.bincount(given["document"]).tolist()
    r = Rows(c, given["modality"].long(), given["level"].long(), given["position"], lengths, "cpu")
    out = model(given["video"], given["audio"], given["text"], given["timestep"], r, torch.float32)
    sum((o * read["cotangent"][n]).sum() for o, n in zip(out, ("video", "audio"))).backward()
    fore = worst(out, (read["outputs"]["video"], read["outputs"]["audio"]))
    back = worst([p.grad for _, p in model.named_parameters()], [grads[n] for n, _ in model.named_parameters()])
    print(f"{path}: outputs {fore:.1e}, gradients {back:.1e}")
    return fore <= 1e-5 and back <= 1e-4


# ---- a step -----------------------------------------------------------------------------------------


def inputs(c, a):
    """Numbers at random and the rows of a["documents"] documents: text, audio, video each."""
    n, per = a["documents"], (a["video"], a["audio"], a["text"])
    device = a["device"]
    modality = torch.cat([torch.full((k,), m) for m, k in ((TEXT, per[2]), (AUDIO, per[1]), (VIDEO, per[0]))]).repeat(n)
    level = torch.arange(n).repeat_interleave(sum(per)) * 2 + (modality == AUDIO)
    position = torch.arange(sum(per)).repeat(n)[:, None].expand(-1, 3)
    rows = Rows(c, modality, level, position, [sum(per)] * n, device)
    video = torch.randn(n * per[0], c.video_channels, device=device)
    audio = torch.randn(n * per[1], c.audio_channels, device=device)
    text = torch.randint(BYTES, (n * per[2],), device=device)
    dtype = torch.float32 if a["precision"] == "fp32" else torch.bfloat16
    return (video, audio, text, torch.rand(2 * n, device=device), rows, dtype)


def loss_of(model, given):
    with mixed(given[0], dtype=torch.bfloat16, enabled=given[5] == torch.bfloat16):
        video, audio = model(*given)
    return functional.mse_loss(video, torch.ones_like(video)) + 0.5 * functional.mse_loss(audio, torch.ones_like(audio))


def count_flop(c, a):
    """FLOP of products and of attention, forward and backward, counted where nothing is computed."""
    given = [x.to("meta") if isinstance(x, torch.Tensor) else x for x in inputs(c, dict(a, device="cpu", documents=1))]
    for part in (given[4], given[4].documents, given[4].texts):
        part.__dict__.update({k: v.to("meta") for k, v in vars(part).items() if isinstance(v, torch.Tensor)})
    given[4].of = [x.to("meta") for x in given[4].of]
    given[4].turn = [x.to("meta") for x in given[4].turn]
    given[4].text_turn = given[4].text_turn and [x.to("meta") for x in given[4].text_turn]
    given[5] = torch.float32
    with torch.device("meta"):
        model = Model(c)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss_of(model, given).backward()
    return counter.get_total_flops() * a["documents"]


def check_model(c, a):
    """Weights and FLOP of a step, which are to be those of ours where the words say them; of `rows` rows."""
    weights, flop = sum(p.numel() for p in Model(c).parameters()), count_flop(c, a)
    if "flop" in a:
        text = a["rows"] / a["documents"] - a["video"] - a["audio"]
        same = count_flop(c, dict(a, text=round(text)))
        if weights != a["parameters"] or abs(same / a["flop"] - 1) > 0.03:
            raise SystemExit(f"{weights} weights and {same:.4g} FLOP are not {a['parameters']} and {a['flop']:.4g}")
    return weights, flop


def measure(c, a, backend):
    """Milliseconds of a step and the most MiB held."""
    torch.manual_seed(1)
    torch._dynamo.reset()
    on_gpu = a["device"] == "cuda"
    model = Model(c).to(a["device"])
    averaged = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    compiled = torch.compile(model) if a.get("compile", 1) else model
    given = inputs(c, a)

    def step():
        with sdpa_kernel(backend):
            loss_of(compiled, given).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(averaged, [p.detach() for p in model.parameters()], 0.002)
        if on_gpu:
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    took = []
    for _ in range(a["steps"]):
        begin = time.perf_counter()
        step()
        took.append(1e3 * (time.perf_counter() - begin))
    held = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0
    return statistics.median(took), held


def fastest(c, a):
    best = None
    weights, flop = check_model(c, a)
    backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION if a["device"] == "cuda" else SDPBackend.MATH]
    for backend in backends:
        try:
            now = (*measure(c, a, backend), backend.name.lower())
        except RuntimeError as error:
            print(f"{backend.name.lower()}: {str(error).splitlines()[0]}")
            continue
        best = min(best, now) if best else now
    if not best:
        raise SystemExit("none of PyTorch's kernels of attention ran")
    rows = a["documents"] * (a["video"] + a["audio"] + a["text"])
    print(f"torch {torch.__version__}: step {best[0]:.2f} ms, {best[1]:.1f} MiB, {best[2]}, {weights} parameters, "
          f"{flop:.4g} FLOP, {rows} rows")


# ---- attention --------------------------------------------------------------------------------------


def seconds_of(work, on_gpu):
    took = []
    for i in range(8):
        begin = time.perf_counter()
        work()
        if on_gpu:
            torch.cuda.synchronize()
        took += [time.perf_counter() - begin] if i >= 3 else []
    return statistics.median(took)


def attention(a):
    on_gpu = a["device"] == "cuda"
    shape = (a["documents"], a["heads"], a["rows"], a["head_dim"])
    q, k, v, g = (torch.randn(shape, device=a["device"], dtype=torch.bfloat16) for _ in range(4))
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION if on_gpu else SDPBackend.MATH):
        fore = seconds_of(lambda: functional.scaled_dot_product_attention(q, k, v), on_gpu)
        for x in (q, k, v):
            x.requires_grad_()
        o = functional.scaled_dot_product_attention(q, k, v)
        back = seconds_of(lambda: torch.autograd.grad(o, (q, k, v), g, retain_graph=True), on_gpu)
    flop = 4 * shape[0] * shape[1] * shape[2] ** 2 * shape[3]
    print(f"torch {torch.__version__}: attention forward {flop / fore / 1e9:.1f} GFLOP/s, "
          f"backward {2 * flop / back / 1e9:.1f} GFLOP/s")


def main():
    what, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else (None, [])
    words = dict(w.split("=", 1) for w in rest if "=" in w)
    a = {"device": words.pop("device", "cuda"), "precision": words.pop("precision", "bf16"), "steps": 5}
    a.update({k: int(float(v)) for k, v in words.items() if "." not in k})
    torch.set_float32_matmul_precision("highest" if a["precision"] == "fp32" else "high")
    if what == "golden":
        return not all([golden(path) for path in rest])
    if what == "attention":
        return attention(a)
    if what != "step":
        print(__doc__, file=sys.stderr)
        return 2
    with open(rest[0], encoding="utf-8") as f:
        c = Config(f)
    for key, value in words.items():
        if "." in key:
            c.set(key.split(".", 1)[1], value)
    return fastest(c, a)


if __name__ == "__main__":
    sys.exit(main())
