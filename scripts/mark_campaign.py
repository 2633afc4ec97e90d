#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What marks survive: docs/campaign-mark.md.

    scripts/mark_campaign.py TALKIE TRIAL FOLDER PAGE [--seconds S] [--only PATTERN] [--clips N] [--blind N]
        [--model WEIGHTS|CLIP.mp4]... [--footage CLIP]...

Clips of the world, of the model and of footage, of several lengths and sizes, are marked, attacked by ffmpeg
and asked after. Every answer is a line of FOLDER/answers.jsonl, so that a campaign that was stopped goes on;
PAGE is written from all of them, and keeps rows of which it tells more clips than there are answers.
--seconds: stop after so long, and write what there is. --only: rows whose "seconds widthxheight attack" has the
pattern, '^10 256x144 CRF'. --clips: of each kind. --blind: windows of each kind
under keys that marked nothing, for false alarms.
"""
import argparse
import json
import math
import pathlib
import random
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAYLOAD = "0123456789abcdef"
ALARMS = """
## False alarms

Windows of 3 seconds of a clip of 30 seconds, each under a key of its own that marked nothing. The last column is the
part of windows (at most, with a confidence of 95%) in which more deviations than those seen are found; by itself the table
says nothing beyond. What is told as p is Hoeffding's bound times all tries: in each column at most that part may be found.
"""
SPEAKS_FROM = 15  # seconds of clips whose sound carries a message
# (seconds, width, height)
SHAPES = [(10, 256, 144), (3, 256, 144), (30, 256, 144), (10, 96, 64), (60, 256, 144), (3, 96, 64), (10, 640, 352)]
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
    "contrast 0.7, brighter": ("eq=contrast=0.7:brightness=0.15", "anull", 23),
    "contrast 1.3, darker": ("eq=contrast=1.3:brightness=-0.15", "anull", 23),
    "brightness 0.7": ("colorchannelmixer=rr=0.7:gg=0.7:bb=0.7", "anull", 23),
    "brightness 1.3": ("colorchannelmixer=rr=1.3:gg=1.3:bb=1.3", "anull", 23),
    "blur 2 pixels": ("gblur=2", "anull", 23),
    "letterbox 4:3": ("pad=iw:'trunc(iw*3/8)*2':0:-1", "anull", 23),
    "mirrored, CRF 28": ("hflip", "anull", 28),
    "mirrored, crop to 0.6": ("hflip,crop=trunc(iw*0.3)*2:trunc(ih*0.3)*2:{x}:{y}", "anull", 23),
    "turned by 90 degrees": ("transpose=1", "anull", 23),
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


# What the model is asked for, one after the other.
PROMPTS = ("medium, anime, beach: Ada walks right", "wide: the red ball bounces", "close: Bo turns to us",
           "wide, night: the crate slides", "medium: Ada drops the blue ball", "wide, rain: the ball rolls down the ramp")


def wanted(args, shape, name):
    """Sound is the same at all sizes, and long clips are tried for their sound."""
    if not re.search(args.only, "%d %dx%d " % shape + name):
        return False
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


def made(path, make):
    """A file that make(part) makes, once, whole or not at all."""
    if not path.exists():
        part = path.with_name("part" + path.suffix)
        make(part)
        part.rename(path)
    return path


def from_weights(args, weights, index, folder):
    """A clip of four seconds by a model."""
    board = {"checkpoint": str(pathlib.Path(weights).resolve()), "seed": index, "sample": {"steps": 8},
             "shots": [{"seconds": 4, "prompt": PROMPTS[index % len(PROMPTS)]}]}
    (folder / "model.yaml").write_text(json.dumps(board))
    return made(folder / f"{pathlib.Path(weights).stem}{index}.mp4",
                lambda part: must(args.talkie, "sample", folder / "model.yaml", "-o", part, "log.level=quiet"))


def looped(clip, index, shape, path):
    """So many seconds of a film, from another place and cut out otherwise each time."""
    seconds, width, height = shape
    k = 2 * (index % 8)
    cut = f"crop=iw-{4 * k}:ih-{4 * k}:{2 * k}:{k},scale={width}:{height}"
    return made(path, lambda part: ffmpeg("-stream_loop", 200, "-ss", index * 0.7, "-i", clip, "-t", seconds, "-vf", cut, "-crf", 10, part))


def sources(args, shape, folder, clips):
    """Kinds, numbers and files of clips of a shape, as many of each kind."""
    for index in range(clips):
        name = "%d-%d-%dx%d.mp4" % (index, *shape)
        yield "world", index, made(folder / f"world{name}", lambda part: must(args.trial, "world", index, *shape, part))
        footage = args.footage[index % len(args.footage)]
        kind = f"footage-{pathlib.Path(footage).stem}-"
        yield kind, index, looped(footage, index, shape, folder / f"{kind}{name}")
        if args.model:
            model = args.model[index % len(args.model)]
            kind = f"model-{pathlib.Path(model).stem}-"
            clip = model if model.endswith(".mp4") else from_weights(args, model, index, folder)
            yield kind, index, looped(clip, index, shape, folder / f"{kind}{name}")


def attack(name, marked, to, seed):
    how = ATTACKS[name]
    if how is None:
        return marked
    rng = random.Random(seed)
    probe = must("ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=sample_rate", "-of", "csv=p=0", marked)
    words = {"n": rng.randrange(1000), "x": f"iw*{0.4 * rng.random():.3f}", "y": f"ih*{0.4 * rng.random():.3f}", "rate": probe.strip()}
    video, sound, crf, *more = how
    picture = ["-c:v", "copy"] if name.startswith("sound") else ["-vf", video.format(**words), "-c:v", "libx264", "-crf", crf]
    ffmpeg("-i", marked, *picture, "-af", sound.format(**words), *more, to)
    return to


def ask(args, path, key, folder):
    report = folder / "report.json"
    code, out, err = run(args.talkie, "verify", path, f"watermark.key={key}", "-o", report, "log.level=quiet")
    if code not in (0, 1):
        raise SystemExit(f"verify {path}: {err or out}")
    return json.loads(report.read_text())["mark"]


def trials(args, folder, key, known, answers):
    for shape in SHAPES:
        names = [a for a in ATTACKS if wanted(args, shape, a)]
        for kind, index, path in sources(args, shape, folder, args.clips) if names else ():
            asked = [a for a in names if (kind, index, *shape, a) not in known]
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


def blind(args, folder):
    """False alarms in a clip of each kind, in batches whose kinds and numbers are their names."""
    each = 500
    for first in range(0, args.blind, each):
        for kind, _, path in sources(args, (30, 256, 144), folder, 1):
            if time.time() > args.until:
                return
            made(folder / f"blind-{kind.split('-')[0]}-{first:07d}.txt",
                 lambda part: part.write_text(must(args.trial, "blind", 1, first, each, path, 3)))


def share(hits):
    return f"{100 * sum(hits) / len(hits):.0f}% of {len(hits)}" if hits else "-"


def says_right(part, shape):
    want = PAYLOAD if shape[0] >= 10 and min(shape[1:]) >= 144 else PAYLOAD[-4:]
    return bool(part) and part["payload"] == want


def row(shape, name, answers):
    """The columns of a row, from its answers."""
    found = [[bool(a["mark"][k] and a["mark"][k]["present"]) for a in answers] for k in ("picture", "sound")]
    right = [[says_right(a["mark"][k], shape) for a in answers] for k in ("picture", "sound")]
    cells = [share(x) for k in (0, 1) for x in (found[k], right[k])]
    if shape[0] < SPEAKS_FROM:
        cells[3] = ""
    if name.startswith("sound"):
        cells[:2] = "", ""
    elif name != "as written":
        cells[2:] = "", ""
    return [f"{min(a['psnr'] for a in answers):.1f}", *cells]


def clips_of(cells):
    """How many clips a row tells of."""
    return max([0] + [int(n) for cell in cells for n in re.findall("% of ([0-9]+)", cell)])


def told_by(page, keys):
    """The rows of a page's tables, by their first columns."""
    rows = [[x.strip() for x in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    return {tuple(r[:keys]): r[keys:] for r in rows}


def line_of(cells):
    return "| " + " | ".join(cells) + " |"


def table(answers, page):
    """What is known of each row: by the answers, or by the page where that tells of more clips."""
    told = told_by(page, 3)
    lines = ["| seconds | size | attack | PSNR, dB | picture: found | says it | sound: found | says it |", "|---|---|---|---|---|---|---|---|"]
    for shape in SHAPES:
        for name in ATTACKS:
            at = str(shape[0]), "%d x %d" % shape[1:], name
            mine = [a for a in answers if a["shape"] == list(shape) and a["attack"] == name]
            cells = max(([row(shape, name, mine)] if mine else []) + [told.get(at, [])], key=clips_of)
            if cells:
                lines.append(line_of([*at, *cells]))
    return lines


def alarm_row(windows, k):
    """The columns of false alarms, from log10 p of windows and how many deviations that was."""
    least = sorted(w[k] for w in windows)
    counts = [str(sum(p <= -n for p in least)) for n in (1, 2, 3, 6)]
    return [str(len(least)), *counts, f"{10 ** least[0]:.2g}", f"{max(w[2 + k] for w in windows):.2f}", f"{3 / len(least):.2g}"]


def alarms(folder, page):
    """The table of false alarms: by this folder's windows, or by the page where that tells of more."""
    told = told_by(page, 2)
    lines = ["| of | a clip of | windows | p <= 0.1 | 0.01 | 0.001 | 1e-6 | least p | most deviations | more, of windows |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for k, what in enumerate(("picture", "sound")):
        for kind in ("world", "footage", "model"):
            files = sorted(folder.glob(f"blind-{kind}-*.txt"))
            windows = [list(map(float, line.split())) for f in files for line in f.read_text().splitlines()]
            cells = max(([alarm_row(windows, k)] if windows else []) + [told.get((what, kind), [])], key=lambda c: int(c[0]) if c else 0)
            if cells:
                lines.append(line_of([what, kind, *cells]))
    return lines


def read_answers(log):
    """Of a line that was not written to its end nothing is known."""
    text = log.read_text() if log.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    log.write_text(whole)
    return list(map(json.loads, whole.splitlines()))


def main():
    ask_for = argparse.ArgumentParser()
    for name in ("talkie", "trial", "folder", "page"):
        ask_for.add_argument(name)
    ask_for.add_argument("--seconds", type=float, default=math.inf)
    ask_for.add_argument("--only", default="")
    ask_for.add_argument("--blind", type=int, default=100000)
    ask_for.add_argument("--clips", type=int, default=8)
    ask_for.add_argument("--model", action="append", default=[])
    ask_for.add_argument("--footage", action="append", default=[])
    args = ask_for.parse_args()
    args.until = time.time() + args.seconds
    args.footage = args.footage or [str(ROOT / "tests/media/big-buck-bunny.mp4")]
    folder, page = pathlib.Path(args.folder), pathlib.Path(args.page)
    folder.mkdir(parents=True, exist_ok=True)
    key, log = folder / "key", folder / "answers.jsonl"
    if not key.exists():
        key.write_bytes(random.Random(1).randbytes(32))
    key.chmod(0o600)
    known = {(a["kind"], a["index"], *a["shape"], a["attack"]) for a in read_answers(log)}
    with log.open("a") as answers:
        trials(args, folder, key, known, answers)
    blind(args, folder)
    head, before = (ROOT / "tests/infer/mark/campaign.md").read_text(), page.read_text() if page.exists() else ""
    lines = [*table(read_answers(log), before), ALARMS, *alarms(folder, before)]
    page.write_text(head + "\n".join(lines) + "\n")


main()
