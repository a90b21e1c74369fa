"""Known corpora: what they consist of, how to load one, and whether a copy is complete and sound."""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from keras_segan import audio
from keras_segan.data.folders import CorpusFolder
from keras_segan.data.layouts import recognise
from keras_segan.data.manifest import SPLITS, Manifest, Utterance, joined, unique_ids
from keras_segan.data.pairing import pair, unpaired_error
from keras_segan.errors import AudioError, DataError, DataUsageError
from keras_segan.files import file_name, printable


@dataclass(frozen=True)
class Corpus:
    """What is known of a corpus before anything is read.

    Attributes:
        name: As in a manifest.
        title: For tables.
        counts: Number of utterances per split, of the complete corpus.
        noisy_row: Published scores of the unprocessed noisy test files, by definition id.
        published: Whether papers report on it; nothing is comparable on a corpus that is not.
    """

    name: str
    title: str
    counts: dict[str, int] = field(default_factory=dict)
    noisy_row: dict[str, float] = field(default_factory=dict)
    published: bool = True


_VOICEBANK_ROW = {"pesq-wb-lqo": 1.97, "csig": 3.35, "cbak": 2.44, "covl": 2.63, "ssnr": 1.68, "stoi": 0.92}

CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "voicebank-demand",
            "VoiceBank-DEMAND (28 speakers)",
            {"train": 11572, "test": 824},
            _VOICEBANK_ROW,
        ),
        Corpus(
            "voicebank-demand-56spk",
            "VoiceBank-DEMAND (56 speakers)",
            {"train": 23075, "test": 824},
            _VOICEBANK_ROW,
        ),
        Corpus(
            "timit-noise10",
            "TIMIT in ten noises (Fu et al. 2019)",
            {"train": 15000, "test": 2000},
            {"pesq-nb-raw": 1.628, "stoi": 0.702},
        ),
        Corpus(
            "timit-noise115", "TIMIT with the 115 noises, mixed as in sednn", {"train": 9240, "test": 2520}
        ),
        Corpus(
            "timit-noisex92",
            "TIMIT with five noises of NOISEX-92, 0 to -20 dB",
            {"train": 9600, "validation": 2250, "test": 4500},
        ),
        Corpus("timit-noise104", "TIMIT with 104 noises at 6 levels, 100 of 2,500 hours", {"train": 110880}),
        Corpus(
            "timit-noise90",
            "TIMIT with 90 noises at 8 levels, as for Quality-Net",
            {"train": 8800, "test": 1000},
        ),
        Corpus("harvard-ms-snsd", "Harvard sentences with MS-SNSD noise", published=False),
        Corpus("sednn-mini", "mini data of sednn", {"train": 8, "test": 4}),
        Corpus(
            "read-speech-noise115",
            "LibriSpeech and VCTK with 176 noises (113 of the 115), tested with 8 (3 of NOISEX-92)",
            published=False,
        ),
        Corpus("mini", "mini, not comparable", {"train": 24, "validation": 8, "test": 12}, published=False),
    )
}


def load(path: Path | str, scale: float | None = None, ignore_unpaired: bool = False) -> Manifest:
    """Reads a manifest, or makes that of a folder whose layout is known.

    Args:
        path: A manifest CSV, a folder that holds manifest.csv, or a folder laid out as VoiceBank-DEMAND
            (as distributed, or train|test/{clean,noisy}), as MetricGAN's TIMIT data, or with
            train|validation|valid|dev|test/{clean,noisy} in it.
        scale: Factor that undoes the attenuation of the noisy files; found from the data if `None`.
        ignore_unpaired: Pass over files without a partner instead of raising.

    Returns:
        The manifest with the name of the corpus that was recognised.

    Raises:
        DataError: If there is nothing, nothing known, or a file without a partner.
    """
    manifest, unpaired = recognise(path, scale)
    if unpaired and not ignore_unpaired:
        raise unpaired_error(unpaired)
    return manifest


def scan(
    clean_dir: Path | str, noisy_dir: Path | str, split: str = "train", ignore_unpaired: bool = False
) -> Manifest:
    """Makes the manifest of two folders of any origin.

    Args:
        clean_dir: Folder of the clean files.
        noisy_dir: Folder of the noisy files; a pair has the same relative stem ("sub/name").
        split: Where the pairs belong.
        ignore_unpaired: Pass over files without a partner instead of raising.

    Returns:
        The manifest, corpus "folder".

    Raises:
        DataError: If a folder is missing, nothing pairs, or a file has no partner.
    """
    if split not in SPLITS:
        raise DataUsageError(f"Split '{split}' is none of {', '.join(SPLITS)}.")
    pairs, unpaired = pair(clean_dir, noisy_dir)
    if unpaired and not ignore_unpaired:
        raise unpaired_error(unpaired)
    if not pairs:
        raise DataError(
            f"{clean_dir} and {noisy_dir}: no two audio files with the same name; nothing to pair."
        )
    utterances = [Utterance(file_name(p.stem), p.clean, p.noisy, split) for p in pairs]
    return Manifest(unique_ids(utterances))


def scan_splits(
    folders: Iterable[tuple[str, Path | str, Path | str]], ignore_unpaired: bool = False
) -> Manifest:
    """Makes one manifest of the folders of several splits.

    Args:
        folders: Split, folder of the clean files and folder of the noisy files; a split may come twice.
        ignore_unpaired: As for `scan`.

    Returns:
        The manifest, corpus "folder"; ids begin with their split where two would be equal.

    Raises:
        DataError: As `scan`.
    """
    return joined(scan(clean, noisy, split, ignore_unpaired) for split, clean, noisy in folders)


def completeness(manifest: Manifest, splits: Iterable[str] | None = None) -> tuple[bool, str]:
    """Compares the number of utterances with the known corpus.

    Args:
        manifest: The pairs.
        splits: The splits that matter, all of the corpus if `None`.

    Returns:
        Whether the corpus is complete and known from papers, and a sentence that says why (not).
    """
    corpus = CORPORA.get(manifest.corpus)
    if corpus is None:
        return False, "Unknown corpus: a table from it is not comparable with a published one."
    if not corpus.published:
        return (
            False,
            f"No paper reports on corpus '{corpus.name}': a table from it is not comparable.",
        )
    lacking = []
    for split, wanted in corpus.counts.items():
        count = len(manifest.split(split))
        # A user may have held a validation set out of the training part.
        held_out = len(manifest.split("validation")) if split == "train" else 0
        if (splits is None or split in splits) and wanted not in (count, count + held_out):
            lacking.append(f"{count} of {wanted} {split}")
    if lacking:
        return False, f"{corpus.title}: {', '.join(lacking)} files: a table from it is not comparable."
    return True, f"{corpus.title}: complete."


class Problem(NamedTuple):
    """Something wrong with a file.

    Attributes:
        file: The file.
        problem: What is wrong and what to do, without the name of the file.
        is_note: Worth knowing, but no error.
    """

    file: Path
    problem: str
    is_note: bool = False


def verify(manifest: Manifest, jobs: int = 1, least_seconds: float | None = None) -> list[Problem]:
    """Opens every file of a manifest and looks for what would spoil training or scoring.

    Args:
        manifest: The pairs.
        jobs: Number of threads.
        least_seconds: Length below which a network cannot be trained on a pair; what is shorter is a problem.

    Returns:
        The problems in the order of the manifest; empty if all is well.
    """
    files = list(dict.fromkeys(file for u in manifest.utterances for file in (u.clean, u.noisy)))
    with ThreadPoolExecutor(jobs) as pool:
        inspected = dict(zip(files, pool.map(_inspect, files), strict=True))
    problems = [problem for file in files for problem in inspected[file].problems]
    for u in manifest.utterances:
        clean, noisy = inspected[u.clean], inspected[u.noisy]
        if clean.samples and noisy.samples and clean.samples != noisy.samples:
            lengths = f"{noisy.samples} samples at 16 kHz, its clean file has {clean.samples}"
            problems.append(Problem(u.noisy, f"has {lengths}; cut both to the same length"))
        shortest = min(clean.samples, noisy.samples) / audio.SAMPLE_RATE
        if least_seconds is not None and 0 < shortest < least_seconds:
            needed = f"at least {least_seconds:.3f} s are needed"
            problems.append(Problem(u.noisy, f"is too short: {shortest:.3f} s, {needed}; leave the pair out"))
    return problems


class _Inspected(NamedTuple):
    samples: int  # at 16 kHz, 0 if unreadable
    problems: list[Problem]


def _without_name(message: str, file: Path) -> str:
    return message.removeprefix(f"{file}: ").removeprefix(f"{printable(file)}: ").rstrip(".")


def _inspect(file: Path) -> _Inspected:
    try:
        waveform, rate = audio.read(file)
    except AudioError as error:
        return _Inspected(0, [Problem(file, _without_name(str(error), file))])
    samples = round(len(waveform) * audio.SAMPLE_RATE / rate)
    problems = []
    if waveform.ndim > 1:
        problems.append(Problem(file, f"has {waveform.shape[1]} channels; mono is needed, mix it down first"))
    if not waveform.any():
        problems.append(Problem(file, "is silent (every sample is zero); remove the pair"))
    if rate != audio.SAMPLE_RATE:
        problems.append(
            Problem(file, f"is at {rate} Hz and will be resampled to {audio.SAMPLE_RATE} Hz", True)
        )
    return _Inspected(samples, problems)


def prepare(
    manifest: Manifest,
    out: CorpusFolder | Path | str,
    jobs: int = 1,
    progress: Callable[[], object] = lambda: None,
) -> Manifest:
    """Copies a corpus at 16 kHz and 16 bit, so that later runs need not resample.

    Args:
        manifest: The pairs.
        out: Gets {split}/{clean,noisy}/ID.wav and manifest.csv, in which pairs of earlier calls stay listed.
            Equal files are left alone, so an interrupted copy can be continued. A clean file that serves many
            noisy ones is copied once.
        jobs: Number of threads.
        progress: Called after each pair.

    Returns:
        The pairs of the copy, which are in `out`/manifest.csv, too.

    Raises:
        AudioError: If a file cannot be read or written.
        DataError: If the folder cannot be made or written, or a copy would replace a file of the corpus or
            one of other content.
    """
    out = CorpusFolder.of(out)
    copies: dict[Path, Path] = {}
    utterances = []
    for u in manifest.utterances:
        clean = copies.setdefault(u.clean, out.path(u.split, "clean", u.id))
        noisy = copies.setdefault(u.noisy, out.path(u.split, "noisy", u.id))
        utterances.append(replace(u, clean=clean, noisy=noisy))
    _check_not_onto_itself(copies)
    with ThreadPoolExecutor(jobs) as pool:
        written = {file: pool.submit(_copy, file, copy, out) for file, copy in copies.items()}
        for u in manifest.utterances:
            written[u.clean].result()
            written[u.noisy].result()
            progress()
    return out.finish(replace(manifest, utterances=tuple(utterances)))


def _check_not_onto_itself(copies: Mapping[Path, Path]) -> None:
    originals = {os.path.realpath(file) for file in copies}
    for copy in copies.values():
        if os.path.realpath(copy) in originals:
            problem = "is a file of the corpus itself; choose another folder for the copy"
            raise DataUsageError(f"{printable(copy)}: {problem}.")


def _copy(file: Path, copy: Path, out: CorpusFolder) -> None:
    out.write(copy, audio.read_mono(file))
