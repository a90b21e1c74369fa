"""Peak memory of Xu's training against the amount of data; baseline: everything in memory, as in sednn.

python benchmarks/xu_memory.py
"""

import resource
import subprocess
import sys
import tempfile

SECONDS = 600  # of audio in the smallest corpus
TIMES = (1, 8)
KINDS = {"stored": "keras_segan (segments on disk)", "in-memory": "sednn (packed arrays)"}


def peak(kind: str, times: int) -> float:
    """Runs one measurement in a process of its own; returns its peak memory in MB."""
    command = [sys.executable, __file__, kind, str(times)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure(kind: str, times: int):
    """Makes features of noise, measures their statistics and draws batches; prints the peak memory."""
    import numpy as np

    from keras_segan import dsp
    from keras_segan.data.examples.stored import Layout, Stored
    from keras_segan.front_ends import LogSpectrumFrontEnd
    from keras_segan.front_ends.moments import Moments

    front = LogSpectrumFrontEnd()
    random = np.random.default_rng(0)

    def spectra():
        for _ in range(SECONDS * times // 3):
            yield tuple(front.log_spectrum(random.standard_normal(48000) * 0.1) for _ in range(2))

    if kind == "stored":
        with (
            tempfile.TemporaryDirectory() as folder,
            Stored.create(folder, spectra(), Layout(bins=257, context=3, hop=3)) as store,
        ):
            moments = Moments()
            for batch in store.ordered(500):
                moments.add(batch["context"].reshape(-1, 257))
            for iteration in range(50):
                store.batch(store.order(500, iteration, 0))
    else:
        packed = [(dsp.context_frames(noisy, 3, 3, 3), clean[::3]) for noisy, clean in spectra()]
        x, y = (np.concatenate(part) for part in zip(*packed, strict=True))
        x = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
        order = random.permutation(len(x))
        for iteration in range(50):
            chosen = order[500 * iteration % len(x) :][:500]
            x[chosen], y[chosen]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    """Prints the table."""
    print("| features | audio | peak memory | ratio |\n|---|---|---|---|")
    for kind, title in KINDS.items():
        first = None
        for times in TIMES:
            megabytes = peak(kind, times)
            first = first or megabytes
            print(f"| {title} | {times * SECONDS // 60} min | {megabytes:.0f} MB | {megabytes / first:.2f} |")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
