#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What marks survive: docs/campaign-mark.md.

    scripts/mark_campaign.py TALKIE TRIAL FOLDER PAGE [--seconds S] [--blind N] [--model CLIP.mp4]...

Clips of the world, of the model and of footage, of several lengths and sizes, are marked, attacked by ffmpeg
and asked after. Every answer is a line of FOLDER/answers.jsonl, so that a campaign that was stopped goes on;
PAGE is written from all of them. --seconds: stop after so long, and write what there is. --blind: windows
under keys that marked nothing, for false alarms.
"""
import argparse
import json
import math
import pathlib
import random
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAYLOAD = "0123456789abcdef"
SPEAKS_FROM = 15  # seconds of clips whose sound carries a message
# (seconds, width, height)
SHAPES = [(10, 256, 144), (3, 256, 144), (30, 256, 144), (10, 96, 64), (60, 256, 144), (3, 96, 64), (10, 640, 360)]
SHORT = "scale='trunc(iw*%g/2)*2':'trunc(ih*%g/2)*2'"
# name: filter of pictures, filter of sound, quality, further options; None: as it is
ATTACKS = {
    "as written": None,
    "CRF 23": ("null", "anull", 23),
    "CRF 28": ("null", "anull", 28),
    "CRF 36": ("null", "anull", 36),
    "resize 0.5": (SHORT % (0.5, 0.5), "anull", 23),
    "resize 1.5": (SHORT % (1.5, 1.5), "anull", 23),
    "crop to 0.6": ("crop=trunc(iw*0.3)*2:trunc(ih*0.3)*2:{x}:{y}", "anull", 23),
    "10% of frames dropped": ("select='gt(random({n})\\,0.1)'", "anull", 23),
    "10% dropped, faster": ("select='gt(random({n})\\,0.1)',setpts=N/24/TB", "anull", 23),
    "contrast 0.7": ("eq=contrast=0.7:brightness=-0.1", "anull", 23),
    "contrast 1.3": ("eq=contrast=1.3:brightness=0.1", "anull", 23),
    "blur 2 pixels": ("gblur=2", "anull", 23),
    "letterbox 4:3": ("pad=iw:'trunc(iw*3/8)*2':0:-1", "anull", 23),
    "25 frames a second": ("fps=25", "anull", 23),
    "15 frames a second": ("fps=15", "anull", 23),
    "crop to 0.6, CRF 28": ("crop=trunc(iw*0.3)*2:trunc(ih*0.3)*2:{x}:{y}", "anull", 28),
    "resize 0.5, CRF 28": (SHORT % (0.5, 0.5), "anull", 28),
    "blur, contrast 0.7, CRF 28": ("gblur=2,eq=contrast=0.7", "anull", 28),
    "25 frames a second, 10% dropped, CRF 28": ("select='gt(random({n})\\,0.1)',fps=25", "anull", 28),
    "sound: AAC 64 kb/s": ("null", "anull", 23, "-b:a", "64k"),
    "sound: 8 kHz": ("null", "aresample=8000", 23),
    "sound: 48 kHz": ("null", "aresample=48000", 23),
    "sound: gain 0.3": ("null", "volume=0.3", 23),
    "sound: 1.37 s cut off": ("null", "atrim=start=1.37,asetpts=PTS-STARTPTS", 23),
    "sound: 5% faster": ("null", "asetrate={rate}*1.05,aresample={rate}", 23),
    "sound: 5% slower": ("null", "asetrate={rate}*0.95,aresample={rate}", 23),
    "sound: 5% faster, same pitch": ("null", "atempo=1.05", 23),
}


def wanted(shape, name):
    """Sound is the same at all sizes, and long clips are tried for their sound."""
    if name.startswith("sound"):
        return shape[1:] == (256, 144)
    return shape[0] <= 10 or name in ("as written", "CRF 28", "CRF 36")


def run(*words):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


def must(*words):
    code, out, err = run(*words)
    if code:
        raise SystemExit(f"{' '.join(map(str, words))}: {err or out}")
    return out


def ffmpeg(*words):
    must("ffmpeg", "-v", "error", "-y", "-nostdin", *words)


def sources(args, shape, folder):
    """Names and files of clips of a shape, made once."""
    seconds, width, height = shape
    for index in range(args.clips):
        path = folder / f"world{index}-{seconds}-{width}x{height}.mp4"
        if not path.exists():
            must(args.trial, "world", index, seconds, width, height, path)
        yield "world", index, path
        footage = ROOT / "tests/media/big-buck-bunny.mp4"
        path = folder / f"footage{index}-{seconds}-{width}x{height}.mp4"
        if not path.exists():
            ffmpeg("-stream_loop", 20, "-ss", index * 0.7, "-i", footage, "-t", seconds, "-vf",
                   f"crop=iw-{8 * index}:ih-{8 * index}:{4 * index}:{2 * index},scale={width}:{height}", "-crf", 10, path)
        yield "footage", index, path
        if args.model:
            model = args.model[index % len(args.model)]
            path = folder / f"model{index}-{seconds}-{width}x{height}.mp4"
            if not path.exists():
                ffmpeg("-stream_loop", 200, "-i", model, "-t", seconds, "-vf", f"scale={width}:{height}", "-crf", 10, path)
            yield "model", index, path


def attack(name, marked, to, seed):
    how = ATTACKS[name]
    if how is None:
        return marked
    rng = random.Random(seed)
    probe = must("ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=sample_rate", "-of", "csv=p=0", marked)
    words = {"n": rng.randrange(1000), "x": f"iw*{0.4 * rng.random():.3f}", "y": f"ih*{0.4 * rng.random():.3f}", "rate": probe.strip()}
    video, sound, crf, *more = how
    ffmpeg("-i", marked, "-vf", video.format(**words), "-af", sound.format(**words), "-c:v", "libx264", "-crf", crf, *more, to)
    return to


def ask(args, path, key, folder):
    report = folder / "report.json"
    code, out, err = run(args.talkie, "verify", path, f"watermark.key={key}", "-o", report, "log.level=quiet")
    if code not in (0, 1):
        raise SystemExit(f"verify {path}: {err or out}")
    return json.loads(report.read_text())["mark"]


def trials(args, folder, key, known, answers):
    for shape in SHAPES:
        for kind, index, path in sources(args, shape, folder):
            asked = [a for a in ATTACKS if wanted(shape, a) and (kind, index, *shape, a) not in known]
            if not asked:
                continue
            marked = folder / "marked.mp4"
            seconds, width, height = shape
            psnr, snr = must(args.trial, "mark", key, PAYLOAD, path, width, height, seconds, 16000, marked).split()
            for name in asked:
                if time.time() > args.until:
                    return
                mark = ask(args, attack(name, marked, folder / "attacked.mp4", f"{kind}{index}{shape}{name}"), key, folder)
                answers.write(json.dumps({"kind": kind, "index": index, "shape": shape, "attack": name, "psnr": float(psnr),
                                          "snr": float(snr), "mark": mark}) + "\n")
                answers.flush()


def blind(args, folder, path):
    """False alarms, in batches whose numbers are their names."""
    each = 500
    for first in range(0, args.blind, each):
        to = folder / f"blind-{first:07d}.txt"
        if to.exists():
            continue
        if time.time() > args.until:
            return
        out = must(args.trial, "blind", 1, first, each, path, 3)
        to.write_text(out)


def share(hits):
    return f"{100 * sum(hits) / len(hits):.0f}% of {len(hits)}" if hits else "-"


def says_right(part, shape):
    want = PAYLOAD if shape[0] >= 10 and min(shape[1:]) >= 144 else PAYLOAD[-4:]
    return bool(part) and part["payload"] == want


def table(answers):
    lines = ["| seconds | size | attack | PSNR, dB | picture: found | says it | sound: found | says it |", "|---|---|---|---|---|---|---|---|"]
    for shape in SHAPES:
        for name in ATTACKS:
            rows = [a for a in answers if a["shape"] == list(shape) and a["attack"] == name]
            if not rows:
                continue
            found = [[bool(a["mark"][k] and a["mark"][k]["present"]) for a in rows] for k in ("picture", "sound")]
            right = [[says_right(a["mark"][k], shape) for a in rows] for k in ("picture", "sound")]
            psnr = min(a["psnr"] for a in rows)
            cells = [share(x) for k in (0, 1) for x in (found[k], right[k])]
            if shape[0] < SPEAKS_FROM:
                cells[3] = ""
            if name.startswith("sound"):
                cells[:2] = "", ""
            elif name != "as written":
                cells[2:] = "", ""
            lines.append(f"| {shape[0]} | {shape[1]} x {shape[2]} | {name} | {psnr:.1f} | {' | '.join(cells)} |")
    return lines


def alarms(folder):
    rows = [list(map(float, line.split())) for f in sorted(folder.glob("blind-*.txt")) for line in f.read_text().splitlines()]
    lines = []
    for k, what in enumerate(("picture", "sound")):
        least = sorted(r[k] for r in rows)
        z = sorted((r[2 + k] for r in rows), reverse=True)
        if not least:
            continue
        cells = " | ".join(str(sum(p <= -n for p in least)) for n in (1, 2, 3, 6))
        lines.append(f"| {what} | {len(rows)} | {cells} | {10 ** least[0]:.2g} | {z[0]:.2f} |")
    return len(rows), lines


def main():
    ask_for = argparse.ArgumentParser()
    for name in ("talkie", "trial", "folder", "page"):
        ask_for.add_argument(name)
    ask_for.add_argument("--seconds", type=float, default=math.inf)
    ask_for.add_argument("--blind", type=int, default=100000)
    ask_for.add_argument("--clips", type=int, default=8)
    ask_for.add_argument("--model", action="append", default=[])
    args = ask_for.parse_args()
    args.until = time.time() + args.seconds
    folder = pathlib.Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "key"
    if not key.exists():
        key.write_bytes(random.Random(1).randbytes(32))
    key.chmod(0o600)
    log = folder / "answers.jsonl"
    text = log.read_text().splitlines() if log.exists() else []
    known = {(a["kind"], a["index"], *a["shape"], a["attack"]) for a in map(json.loads, text)}
    with log.open("a") as answers:
        trials(args, folder, key, known, answers)
    blind(args, folder, next(sources(args, (30, 256, 144), folder))[2])
    answers = list(map(json.loads, log.read_text().splitlines()))
    windows, found = alarms(folder)
    head = (ROOT / "tests/infer/mark/campaign.md").read_text()
    low = ["", "## False alarms", "", f"Windows of 3 seconds of a clip of the world, each under a key of its own that marked nothing, {windows} so far.",
           "", "| of | windows | p <= 0.1 | 0.01 | 0.001 | 1e-6 | least p | most deviations |", "|---|---|---|---|---|---|---|---|", *found,
           "", f"By itself this says that at most {3 / max(windows, 1):.2g} of windows (95%) are found above the most deviations seen, and",
           "nothing beyond. What is told as p is Hoeffding's bound times all tries: in each column at most that part may be found."]
    pathlib.Path(args.page).write_text(head + "\n".join(table(answers) + low) + "\n")


main()
