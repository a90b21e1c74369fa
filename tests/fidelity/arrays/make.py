"""Copies what the tests need of the recorded arrays; large ones are cut to their beginning.

Run `python tests/fidelity/arrays/make.py GOLDENS` with the folder of all recordings.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FRAMES = 24  # of a spectrogram that is only compared, not put into a network
LARGEST = 1_000_000  # bytes of a file

FILES = {
    "metricgan": (
        "manifest.json",
        "mini_run.csv",
        "trace_prefetch0.json",
        "trace_prefetch1.json",
        "keras209_small_discriminator_weights.h5",
        "keras209_small_generator.h5",
        "keras209_small_generator_trained_one_step.h5",
        "keras209_small_generator_weights.h5",
        "d_step.npz",
        "discriminator.npz",
        "enhanced.npz",
        "features.npz",
        "g_step.npz",
        "generator.npz",
        "small.npz",
        "sn_layers.npz",
        "table2.npz",
    ),
    "metricganplus": (
        "discriminator_step.npz",
        "discriminator_weights.npz",
        "features.npz",
        "forward.npz",
        "generator_step.npz",
        "generator_weights.npz",
        "wavs.npz",
    ),
    "okd": ("discriminator_step.npz", "discriminator_weights.npz", "features.npz", "wavs.npz"),
    "sednn": ("manifest.json", "sednn.npz"),
    "shah": ("manifest.json", "shah.npz"),
    "gammatone": ("filterbank_and_wavs.npz", "paper.npz"),
}
# Arrays that no test reads, by the beginning or the end of their names.
UNUSED = {
    "metricgan/d_step.npz": ("step2", "conv.step2"),
    "metricgan/enhanced.npz": ("u1.wav_x10",),
    "metricgan/sn_layers.npz": ("conv_c", "conv_d", "dkernel_plain", "sigma"),
    "metricgan/table2.npz": ("u0.clean_log1p",),
    "metricganplus/forward.npz": ("batch_enh_wav",),
    "okd/features.npz": ("noisy_0_phase", "noisy_0_stft_re", "noisy_0_stft_im", "1_feat", "window"),
    "sednn/sednn.npz": ("mix.", "infer.", "packed.", "scaler.var"),
}
# Arrays that are compared with ours from the beginning: how much is kept of an axis.
CUT = {
    "metricgan/features.npz": {"u0.phase_TF": (0, FRAMES)},
    "metricgan/generator.npz": {"u1.mask": (0, FRAMES)},
    "metricgan/enhanced.npz": {"u0.wav_x10": (0, 12_000), "u0.identity_wav_x10": (0, 12_000)},
    "metricgan/table2.npz": {
        "u0.noisy_log1p": (0, FRAMES),
        "u0.noisy_log1p_norm": (0, FRAMES),
        "u0.wav": (0, 12_000),
    },
    "metricganplus/features.npz": {"noisy_1_feat": (0, FRAMES), "clean_1_feat": (0, FRAMES)},
    "metricganplus/forward.npz": {"batch_mask": (2, 64), "enh_wav": (0, 12_000), "enh_feat": (0, FRAMES)},
    "okd/features.npz": {"noisy_0_resynth_identity": (0, 12_000)},
    "gammatone/paper.npz": {
        "noisy_subbands_1_16_32_48_64": (1, 2400),
        "features": (0, FRAMES),
        "recon_oracle": (0, 12_000),
        "recon_oracle_normalised": (0, 12_000),
        "recon_unit_mask": (0, 12_000),
    },
}


def wanted(name: str, unused: tuple[str, ...]) -> bool:
    return not any(name.startswith(word) or name.endswith(word) for word in unused)


def cut(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(count),)]


def copy(source: Path, target: Path):
    """Copies a file; of arrays those that are wanted, in parts if they are too large for one."""
    name = f"{target.parent.name}/{target.name}"
    if source.suffix != ".npz":
        shutil.copyfile(source, target)
        return
    with np.load(source) as stored:
        arrays = {key: stored[key] for key in stored.files if wanted(key, UNUSED.get(name, ()))}
    for key, (axis, count) in CUT.get(name, {}).items():
        arrays[key] = cut(arrays[key], axis, count)
    divided = parts(arrays)
    for number, part in enumerate(divided, start=1):
        np.savez_compressed(target if len(divided) == 1 else target.with_suffix(f".{number}.npz"), **part)


def parts(arrays: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Divides arrays, in their order, so that each part is small enough for a file, if hardly compressed."""
    divided, size = [{}], 0
    for name, array in arrays.items():
        if size + array.nbytes > LARGEST:
            divided, size = [*divided, {}], 0
        divided[-1][name] = array
        size += array.nbytes
    return divided


def main(goldens: Path):
    for paper, names in FILES.items():
        folder = HERE / paper
        folder.mkdir(exist_ok=True)
        for name in names:
            copy(goldens / paper / name, folder / name)
    sizes = [path.stat().st_size for path in HERE.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes) / 1e6:.2f} MB, the largest {max(sizes) / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
