#!/usr/bin/env python3
"""A JPEG of 12 megapixels to 2048 px: polysight-media beside the crate `image`, libvips and Pillow.

usage: fit.py PHOTO MEASURE [REPETITIONS]
       fit.py --many PHOTO MEASURE [COUNT]

MEASURE is the program of `cargo build --release -p polysight-media --example measure`. Needs vipsthumbnail on PATH, and
Pillow and numpy. Every tool is a process of its own, and tools take turns; medians are printed. PSNR is that of the luminance,
against the picture decoded at full size, scaled by Pillow with Lanczos3, before it is encoded.

With --many, COUNT files (200) that are all that photograph are fitted by one thread on one core, and by two threads; and a tenth
of them, to see whether memory grows with their number.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image

SIDE, QUALITY = 2048, 85
PILLOW = (
    "import sys; from PIL import Image; i = Image.open(sys.argv[1]); i.draft('RGB', ({0}, {0})) if {1} else None; "
    "i.thumbnail(({0}, {0}), Image.Resampling.LANCZOS, reducing_gap=None); i.save(sys.argv[2], quality={2})"
)


def commands(photo, measure, folder):
    out = lambda name: os.path.join(folder, name + ".jpg")
    rust = lambda name: [measure, name, photo, out(name), str(SIDE), str(QUALITY)]
    pillow = lambda draft: [sys.executable, "-c", PILLOW.format(SIDE, draft, QUALITY), photo]
    return {
        "polysight-media": (rust("fit"), out("fit")),
        "image": (rust("image"), out("image")),
        "libvips": (["vipsthumbnail", photo, "-s", str(SIDE), "-o", f"{out('vips')}[Q={QUALITY}]"], out("vips")),
        "Pillow": (pillow(False) + [out("pillow")], out("pillow")),
    }


def run(command):
    """Wall and CPU seconds, and peak memory in MiB."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def many(photo, measure, count=200):
    count = int(count)
    print("| photographs | threads | time, s | CPU, s | peak memory, MiB |\n| ---: | ---: | ---: | ---: | ---: |")
    for files in (count // 10, count):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(photo))) as folder:
            for index in range(files):
                os.link(photo, os.path.join(folder, f"{index:04}.jpg"))
            for threads in (1, 2):
                wall, cpu, memory = run(["taskset", "-c", "0" if threads == 1 else "0,1", measure, "many", folder, str(threads)])
                print(f"| {files} | {threads} | {wall:.1f} | {cpu:.1f} | {memory:.0f} |", flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def luminance(picture):
    return numpy.asarray(picture.convert("RGB"), dtype=float) @ [0.299, 0.587, 0.114]


def psnr(file, reference):
    made = Image.open(file)
    if made.size != reference.size:
        sys.exit(f"{file} is {made.size}, and not {reference.size}")
    return 10 * numpy.log10(255**2 / numpy.mean((luminance(made) - luminance(reference)) ** 2))


def main(photo, measure, repetitions=7):
    with tempfile.TemporaryDirectory() as folder:
        tools = commands(photo, measure, folder)
        samples = {name: [] for name in tools}
        for _ in range(int(repetitions)):
            for name, (command, _) in tools.items():
                samples[name].append(run(command))
        whole = Image.open(photo)
        scale = SIDE / max(whole.size)
        reference = whole.resize([round(side * scale) for side in whole.size], Image.Resampling.LANCZOS)
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
        print("| tool | time, s | CPU, s | of libvips | peak memory, MiB | of libvips | PSNR, dB | bytes |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        medians = {name: [statistics.median(column) for column in zip(*samples[name])] for name in tools}
        _, vips_cpu, vips_memory = medians["libvips"]
        for name, (_, file) in tools.items():
            wall, cpu, memory = medians[name]
            print(
                f"| {name} | {wall:.3f} | {cpu:.3f} | {cpu / vips_cpu:.2f} | {memory:.0f} | {memory / vips_memory:.2f} "
                f"| {psnr(file, reference):.2f} | {os.path.getsize(file)} |"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--many"]:
        many(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
