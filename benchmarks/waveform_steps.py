"""SEGAN's training iteration at the published size and narrow, against the same networks in PyTorch."""

import dataclasses
import resource

import numpy as np
import segan_torch
from measuring import compare

from keras_segan.models.segan import DEPTHS
from keras_segan.reproductions import segan

BATCH, LENGTH = 10, 16384
REPEATS = 3


def batches(depths):
    random = np.random.default_rng(0)
    shapes = ((BATCH, LENGTH), (BATCH, LENGTH), (BATCH, LENGTH // 2 ** len(depths), depths[-1]))
    return [[0.1 * random.standard_normal(shape, np.float32) for shape in shapes] for _ in range(2)]


def flops(depths) -> float:
    """Of an iteration: G once forward and once with gradients; D twice with and, for G, once without."""
    settings = dataclasses.replace(segan.CODE, depths=depths)
    decoder_and_encoder = sum(segan.multiplications(settings))
    encoder = decoder_and_encoder / 3
    d_move = decoder_and_encoder + 2 * 3 * encoder
    g_move = 3 * decoder_and_encoder + encoder + 2 * encoder
    return 2 * BATCH * (d_move + g_move)


def peak_gigabytes() -> float:
    """Largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def rows(floors):
    for name, depths in (("narrow (mini)", segan.NARROW), ("published size", DEPTHS)):
        arrays = batches(depths)
        game = segan.game(dataclasses.replace(segan.CODE, depths=depths, batch=BATCH, devices=1), "segan")
        steps = segan.steps([game])

        def ours(arrays=arrays, steps=steps):
            for step, (noisy, clean, latent) in zip(steps.values(), arrays, strict=True):
                weight = {"l1_weight": np.float32(100)} if "l1_weight" in step.shapes else {}
                logged = step(noisy=noisy, clean=clean, latent=latent, **weight)
            return float(next(iter(logged.values())))

        ours()
        peak = peak_gigabytes()
        functions = {"ours": ours}
        if segan_torch.torch is not None:
            theirs = segan_torch.TorchSegan(depths)
            functions["torch"] = lambda arrays=arrays, theirs=theirs: theirs.step(arrays)
        yield compare(
            f"SEGAN iteration (D and G), batch {BATCH}, {name}",
            functions,
            REPEATS,
            floor=flops(depths) / floors["flops"],
            floor_of="GEMM",
            note=f"peak memory {peak:.1f} GB",
        )
