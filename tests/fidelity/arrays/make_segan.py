"""Picks the arrays in `segan/` out of the recordings that lie beside the repository.

    python tests/fidelity/arrays/make_segan.py RECORDINGS

RECORDINGS is the folder that `segan/README.md` describes.
"""

import json
import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).with_name("segan")
STRIDE = 4  # of gradients and weights
LAYERS = 64  # values of each layer


def main(recordings: Path):
    manifest = json.loads((recordings / "small_manifest.json").read_text())
    inputs, forward, gradients, steps, utterance, towers = (
        dict(np.load(recordings / f"{name}.npz"))
        for name in (
            "small_inputs",
            "small_forward",
            "small_gradients",
            "small_steps",
            "dataprep",
            "small_towers",
        )
    )
    for kind in ("clean", "noisy"):
        save(kind, {kind: inputs[f"{kind}_i16"]})
    layers = {name.removesuffix(".strided"): array for name, array in forward.items() if "strided" in name}
    save(
        "forward",
        {
            "G.out": forward["G.out"].ravel()[::STRIDE],
            "Dreal.out": forward["Dreal.out"],
            "Dfake.out": forward["Dfake.out"],
            "z": inputs["z"],
            **{name: array[:LAYERS] for name, array in layers.items()},
        },
    )
    moved = {**gradients, **{name: array for name, array in steps.items() if not name.startswith("ms")}}
    save("training", {name: array.ravel()[::STRIDE] for name, array in moved.items()})
    save("utterance", {name: utterance[name] for name in ("noisy_i16", "z_row0", "enhanced")})
    save("towers", {name: array.ravel()[::STRIDE] for name, array in towers.items()})
    facts = {
        "depths": manifest["config"]["depths"],
        "seed": manifest["config"]["seed"],
        "weights": manifest["weights_order"],
        "strides": {name: manifest[name]["stride"] for name in layers},
        "losses": manifest["losses_forward_batch00"],
        "step_losses": manifest["step_losses_d_rl_d_fk_g_adv_g_l1"],
        "stride": STRIDE,
    }
    (OUT / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


def save(name: str, arrays: dict):
    np.savez_compressed(OUT / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
