#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the official reader of C2PA (c2pa-python) says of clips, held against `talkie verify`.

    referee.py TALKIE CHILD.mp4 ROOT.pem

CHILD.mp4 is signed and carries the manifest of another clip. It must be Trusted with the root, and without it
fail in nothing but that; with one byte changed both must find the same fault.
"""
import json
import subprocess
import sys

import c2pa

talkie, child, root = sys.argv[1:]
anchors = open(root).read()
whole = open(child, "rb").read()
bad = []


def official(path, trusted):
    """The state, and the codes of failures, those of ingredients with them."""
    settings = {"verify": {"verify_trust": True}}
    if trusted:
        settings["trust"] = {"trust_anchors": anchors}
    try:
        with c2pa.Context.from_dict(settings) as context:
            told = json.loads(c2pa.Reader(path, context=context).json())
    except c2pa.C2paError as error:
        return f"unreadable: {error}", set()
    results = told["validation_results"]
    found = list(results["activeManifest"]["failure"])
    for delta in results.get("ingredientDeltas", []):
        found += delta["validationDeltas"]["failure"]
    return told["validation_state"], {x["code"] for x in found}


def ours(path, trusted):
    subprocess.run([talkie, "verify", path, "-o", "report.json", "log.level=quiet"]
                   + ([f"provenance.anchors={root}"] if trusted else []), capture_output=True, check=False)
    told = json.load(open("report.json"))["manifest"]
    return told["state"], {x["code"] for x in told["faults"]}


def check(what, want, got):
    print(f"{what}: {got}")
    if want != got:
        bad.append(f"{what}: {got}, not {want}")


check("with the root", ("Trusted", set()), official(child, True))
check("without", ("Valid", {"signingCredential.untrusted"}), official(child, False))
check("ours with the root", ("trusted", set()), ours(child, True))
check("ours without", ("valid", set()), ours(child, False))

for what, text, last, more, code in [
        ("mdat", b"mdat", True, 400, "assertion.bmffHash.mismatch"),
        ("moov", b"mvhd", False, 8, "assertion.bmffHash.mismatch"),
        ("assertion", b"trainedAlgorithmicMedia", True, 0, "assertion.hashedURI.mismatch"),
        ("claim", b"xmp:iid:", True, 8, "claimSignature.mismatch"),
        ("certificate", b"signer of the tests", True, 0, "claimSignature.mismatch"),
        ("signature", b"moov", False, -5, "claimSignature.mismatch"),
        ("ingredient", b"trainedAlgorithmicMedia", False, 0, "ingredient.manifest.mismatch")]:
    at = (whole.rindex(text) if last else whole.index(text)) + more
    turned = bytearray(whole)
    turned[at] ^= 1
    open("turned.mp4", "wb").write(turned)
    state, codes = official("turned.mp4", True)
    print(f"{what}: {state}, {sorted(codes)}")
    if state != "Invalid" or code not in codes:
        bad.append(f"{what}: the official reader finds {state}, {sorted(codes)}, not {code}")
    state, codes = ours("turned.mp4", True)
    if state != "invalid" or code not in codes:
        bad.append(f"{what}: talkie verify finds {state}, {sorted(codes)}, not {code}")

print("\n".join(bad))
sys.exit(1 if bad else 0)
