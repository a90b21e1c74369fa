"""Layouts of corpus folders: how the folders and names of known corpora become a manifest.

Paths are given a meaning here, once; afterwards everything works from the manifest.
"""

import os
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_segan import audio, files
from keras_segan.data.folders import MANIFEST_NAME, audio_files
from keras_segan.data.manifest import SNR_RANGE, SPLITS, Manifest, Utterance, unique_ids
from keras_segan.data.pairing import pair
from keras_segan.errors import AudioError, DataError


def recognise(path: Path | str, scale: float | None = None) -> tuple[Manifest, list[Path]]:
    """Reads a manifest, or makes that of a folder whose layout is known.

    Args:
        path: As for `corpora.load`.
        scale: As for `corpora.load`.

    Returns:
        The manifest and the files without a partner.

    Raises:
        DataError: If there is nothing, or nothing known.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file or folder; check the path.")
    if not path.is_dir() or (path / MANIFEST_NAME).is_file():
        manifest = Manifest.read(path / MANIFEST_NAME if path.is_dir() else path)
        if scale is not None:
            manifest = replace(
                manifest, utterances=tuple(replace(u, scale=scale) for u in manifest.utterances)
            )
        return manifest, []
    try:
        found = _voicebank_as_distributed(path, scale) or _split_folders(path, scale)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror}).") from error
    if found:
        return found
    raise _unknown_layout(path)


def _unknown_layout(path: Path) -> DataError:
    there = sorted(child.name + ("/" if child.is_dir() else "") for child in path.iterdir())
    shown = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "") if there else "nothing"
    return DataError(
        f"{path}: no known corpus layout. Looked for {MANIFEST_NAME}; clean_testset_wav, noisy_testset_wav, "
        "..._trainset_28spk_wav; train|validation|valid|dev|test with clean and noisy in it. There is: "
        f"{shown}. For any other layout name the two folders: kseg data scan CLEAN NOISY -o manifest.csv."
    )


_DISTRIBUTED = re.compile(r"(clean|noisy)_(train|test)set(?:_(28|56)spk)?_wav(_16k(?:hz)?)?", re.IGNORECASE)


def _voicebank_as_distributed(path: Path, scale: float | None) -> tuple[Manifest, list[Path]] | None:
    """Recognises the four folders of Edinburgh DataShare 10283/2791, also resampled ones (_16k)."""
    folders = defaultdict(dict)
    for child in sorted(path.iterdir()):
        match = _DISTRIBUTED.fullmatch(child.name)
        if match and child.is_dir():
            kind, split, speakers, resampled = (group and group.lower() for group in match.groups())
            folders[split, speakers or "", bool(resampled)][kind] = child
    parts, speakers = {}, set()
    # Sorted, so that of two copies the one at 16 kHz wins: it needs no resampling.
    for (split, count, _), kinds in sorted(folders.items()):
        if len(kinds) == 2:
            parts[split] = (_unwrapped(kinds["clean"]), _unwrapped(kinds["noisy"]))
            if split == "train":
                speakers.add(count or "28")
    if not parts:
        return None
    if len(speakers) > 1:
        raise DataError(
            f"{path}: holds the 28- and the 56-speaker training set; leave one of them in the folder."
        )
    name = "voicebank-demand-56spk" if speakers == {"56"} else "voicebank-demand"
    return _manifest_of(path, parts, name, 1.0 if scale is None else scale)


def _unwrapped(folder: Path) -> Path:
    """Steps into folders that hold one folder only, as unpacking clean_testset_wav.zip may leave them."""
    children = list(folder.iterdir())
    while len(children) == 1 and children[0].is_dir():
        folder = children[0]
        children = list(folder.iterdir())
    return folder


_SPLIT_NAMES = {name: name for name in SPLITS} | {"valid": "validation", "dev": "validation"}


def _split_folders(path: Path, scale: float | None) -> tuple[Manifest, list[Path]] | None:
    """Recognises split/{clean,noisy}: VoiceBank-DEMAND at 16 kHz, MetricGAN's TIMIT data, or anyone's."""
    parts = {}
    for name, folder in _children(path).items():
        inside = _children(folder)
        if name in _SPLIT_NAMES and {"clean", "noisy"} <= set(inside):
            split = _SPLIT_NAMES[name]
            if split in parts:
                raise DataError(f"{path}: two folders for the {split} split; leave one of them.")
            parts[split] = (inside["clean"], inside["noisy"])
    if not parts:
        return None
    if any(map(_is_level_tree, parts.values())):
        return _attenuated_timit(path, parts, scale)
    manifest, unpaired = _manifest_of(path, parts, "folder", 1.0 if scale is None else scale)
    factor = stored_attenuation(manifest)
    if factor != 1:
        return _attenuated_timit(path, parts, factor if scale is None else scale)
    if _looks_like_voicebank(path, manifest):
        return _manifest_of(path, parts, "voicebank-demand", 1.0 if scale is None else scale)
    return manifest, unpaired


def _children(path: Path) -> dict[str, Path]:
    """Returns the folders in a folder by lower-case name."""
    return {child.name.lower(): child for child in sorted(path.iterdir()) if child.is_dir()}


def _manifest_of(
    path: Path, parts: dict[str, tuple[Path, Path]], corpus: str, scale: float
) -> tuple[Manifest, list[Path]]:
    """Pairs the folders of all splits; what a corpus tells by file name or condition list is filled in."""
    conditions = _conditions(path)
    voicebank = corpus.startswith("voicebank")
    utterances, unpaired = [], []
    for split in SPLITS:
        if split not in parts:
            continue
        pairs, alone = pair(*parts[split])
        unpaired += alone
        for p in pairs:
            noise, snr = conditions.get(p.stem, ("", None))
            speaker = p.stem.split("_")[0] if voicebank else ""
            name = files.file_name(p.stem)
            utterances.append(Utterance(name, p.clean, p.noisy, split, speaker, noise, snr, scale))
    if not utterances:
        raise DataError(f"{path}: no two audio files with the same name in clean and noisy; nothing to pair.")
    return Manifest(unique_ids(utterances), corpus), unpaired


_LOG_LINE = re.compile(r"(p\d+_\d+)\s+(\S+)\s+(\S+)")


def _conditions(path: Path) -> dict[str, tuple[str, float]]:
    """Reads noise and SNR by file from conditions_*.csv, or from log_*.txt as the corpus brings them."""
    conditions = {}
    for file in sorted(path.glob("conditions_*.csv")):
        for row in files.read_table(file, ("file", "noise", "snr_db")):
            snr = row.number("snr_db", *SNR_RANGE)
            if snr is None:
                raise row.error("snr_db", "is empty; it needs a number in dB")
            file_name = row.text("file")
            stem = os.path.splitext(file_name)[0] if audio.is_audio_file(file_name) else file_name
            conditions[files.name_key(stem)] = (row.text("noise"), snr)
    for file in sorted([*path.glob("log_*set*.txt"), *path.glob("logfiles/log_*set*.txt")]):
        for number, line in enumerate(files.read_text(file).splitlines(), start=1):
            match = _LOG_LINE.fullmatch(line.strip())
            if match:
                conditions[match[1]] = (match[2], _level(match[3], f"{files.printable(file)} line {number}"))
    return conditions


def _level(text: str, where: str) -> float:
    """Returns a level in dB that a text or a folder's name says."""
    low, high = SNR_RANGE
    if not re.fullmatch(r"[-+]?\d+(\.\d*)?", text) or not low <= float(text) <= high:
        shown = files.printable(text)
        raise DataError(f"{where}: '{shown}' is no level in dB from {low:g} to {high:g}; correct it.")
    return float(text)


def _looks_like_voicebank(path: Path, manifest: Manifest) -> bool:
    """Names of VCTK, and the corpus's two test speakers or its condition list."""
    if not all(re.fullmatch(r"p\d{3}_\d{3}", u.id) for u in manifest.utterances):
        return False
    test_speakers = {u.id.split("_")[0] for u in manifest.split("test")}
    return test_speakers == {"p232", "p257"} or bool(_conditions(path))


def stored_attenuation(manifest: Manifest, pairs: int = 4) -> float:
    """Finds out whether the noisy files were stored as (clean + noise) / 10, as MetricGAN's are.

    Args:
        manifest: Its own scales are not used.
        pairs: How many pairs to look at, spread over the manifest.

    Returns:
        10 if the least-squares gain of clean within noisy is about 0.1, otherwise 1.
    """
    gains = []
    for u in manifest.utterances[:: max(1, len(manifest) // pairs)][:pairs]:
        try:
            clean, noisy = audio.read_mono(u.clean), audio.read_mono(u.noisy)
        except AudioError:
            continue  # `verify` names bad files; here a few good ones are enough
        n = min(len(clean), len(noisy))
        gains.append(float(clean[:n] @ noisy[:n]) / float(clean[:n] @ clean[:n]))
    return 10.0 if gains and 0.07 < np.median(gains) < 0.14 else 1.0


_LEVEL_FOLDER = re.compile(r"([-+]?[\d.]+)\s*dB", re.IGNORECASE)


def _is_level_tree(part: tuple[Path, Path]) -> bool:
    """Says whether the noisy files lie in <noise>.wav/<snr>dB, as the program's author keeps them."""
    noises = [child for child in part[1].iterdir() if child.is_dir()]
    return any(
        _LEVEL_FOLDER.fullmatch(child.name) and child.is_dir() for n in noises for child in n.iterdir()
    )


def _attenuated_timit(
    path: Path, parts: dict[str, tuple[Path, Path]], scale: float | None
) -> tuple[Manifest, list[Path]]:
    """Makes the manifest of MetricGAN's TIMIT data, flat or as the author's tree.

    The program's folder "Test" is its validation set: made from training sentences, looked at in every epoch.
    """
    if "validation" not in parts and "test" in parts:
        parts = {("validation" if split == "test" else split): part for split, part in parts.items()}
    if not any(map(_is_level_tree, parts.values())):
        return _manifest_of(path, parts, "metricgan-timit", scale)
    utterances, unpaired = [], []
    for split in sorted(parts, key=SPLITS.index):
        found, alone = _level_tree(split, *parts[split])
        utterances += found
        unpaired += alone
    if not utterances:
        raise DataError(f"{path}: no noisy file has a clean file of the same name; nothing to pair.")
    manifest = Manifest(unique_ids(utterances), "metricgan-timit")
    factor = stored_attenuation(manifest) if scale is None else scale
    return replace(
        manifest, utterances=tuple(replace(u, scale=factor) for u in manifest.utterances)
    ), unpaired


def _level_tree(split: str, clean_dir: Path, noisy_dir: Path) -> tuple[list[Utterance], list[Path]]:
    """Pairs Noisy/<noise>.wav/<snr>dB/NAME.wav with Clean/NAME.wav: one clean file for many noisy ones."""
    clean = audio_files(clean_dir)
    found, unpaired = [], []
    for name, noisy in audio_files(noisy_dir).items():
        noise, level, stem = (*name.split("/", 2), "", "")[:3]
        match = _LEVEL_FOLDER.fullmatch(level)
        if match and stem in clean:
            snr = _level(match[1], files.printable(noisy.parent))
            found.append((noise.removesuffix(".wav"), snr, stem, noisy))
        else:
            unpaired.append(noisy)
    utterances = [
        Utterance(
            files.file_name(f"{noise}_{snr:g}dB_{stem}"), clean[stem], noisy, split, noise=noise, snr=snr
        )
        for noise, snr, stem, noisy in sorted(found)
    ]
    used = {stem for _, _, stem, _ in found}
    return utterances, unpaired + [file for stem, file in clean.items() if stem not in used]
