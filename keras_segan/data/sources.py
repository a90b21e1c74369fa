"""Corpora that come as speech and noise and are mixed for a run: how their folders are recognised."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_segan import audio, files
from keras_segan.data.folders import audio_files
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.mixing import Mixer, write_mixtures
from keras_segan.errors import AudioError, DataError

SPLITS = ("train", "test")
MINI_DATA = {"train": ({"n1", "n49", "n95"}, 4), "test": ({"n64", "n71"}, 2)}  # noises, utterances of sednn's


@dataclass(frozen=True)
class Sources:
    """Speech and noise of a corpus that is not mixed yet.

    Attributes:
        corpus: Its name as `data.corpora` knows it.
        speech: Files by name, by split.
        noise: The same.
    """

    corpus: str
    speech: Mapping[str, Mapping[str, Path]]
    noise: Mapping[str, Mapping[str, Path]]

    def counts(
        self,
        snrs: Sequence[float] = (0.0,),
        magnification: int = 2,
        seed: int = 0,
        speeds: Sequence[float] = (1.0,),
        train_snrs: Sequence[float] | None = None,
    ) -> dict[str, int]:
        """Counts the mixtures of each split, and checks how they are wanted.

        Takes the arguments of `mix`.

        Returns:
            Their number by split.

        Raises:
            DataError: As `mixing.Mixer.count`.
        """
        draws = _draws(snrs, magnification, speeds, train_snrs)
        return {split: Mixer(self.speech[split], self.noise[split]).count(*draws[split]) for split in SPLITS}


def _draws(snrs, magnification, speeds, train_snrs) -> dict[str, tuple]:
    """Says what each split is mixed with: SNRs, noises per utterance and speeds."""
    levels = snrs if train_snrs is None else train_snrs
    return {"train": (levels, magnification, speeds), "test": (snrs, None, (1.0,))}


def recognise(path: Path | str) -> Sources | None:
    """Recognises speech and noise that wait to be mixed.

    Args:
        path: A folder laid out as sednn's mini data (train_speech, train_noise, test_speech, test_noise), or
            one that holds clean_speech/index.csv (columns file and split) and noises/noise115,
            noises/noisex92: the training and test noises of Xu et al. With noises/index.csv (columns type,
            split and file) there, its other training noises are trained on as well, one recording of each of
            its types of test noise is tested with, and what it keeps for another use is left alone.

    Returns:
        The sources, `None` if it is neither.

    Raises:
        DataError: If a folder of such a layout is empty, or a listed file is missing.
    """
    path = Path(path)
    folders = {(kind, split): path / f"{split}_{kind}" for kind in ("speech", "noise") for split in SPLITS}
    if all(folder.is_dir() for folder in folders.values()):
        found = {key: _filled(folder) for key, folder in folders.items()}
    elif (path / "clean_speech" / "index.csv").is_file() and (path / "noises" / "noise115").is_dir():
        found = {("speech", split): _listed(path, split) for split in SPLITS}
        found |= {("noise", split): noises for split, noises in _noises(path).items()}
    else:
        return None
    speech, noise = ({split: found[kind, split] for split in SPLITS} for kind in ("speech", "noise"))
    return Sources(_name(path, speech, noise), speech, noise)


def _noises(path: Path) -> dict[str, dict[str, Path]]:
    """Finds the noises of a folder with clean_speech/index.csv, by split."""
    listed = _listed_noises(path)
    kept = {file for split, _, file in listed if split not in (*SPLITS, "spare")}
    noises = {}
    for split, folder in (("train", "noise115"), ("test", "noisex92")):
        there = [file for file in _filled(path / "noises" / folder).values() if file not in kept]
        noises[split] = _by_last_name(there)
    # What is left of NOISEX-92 is at 8 kHz, so noise with a band above 4 kHz has to come from elsewhere.
    others = [file for split, _, file in listed if split == "train"]
    noises["train"] = _by_last_name([*noises["train"].values(), *others])
    first = {kind: file for split, kind, file in reversed(listed) if split == "test"}
    noises["test"] |= dict(sorted(first.items()))
    return noises


def _by_last_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Names files by their last part, as the papers name noises: n1, leopard."""
    named: dict[str, Path] = {}
    for path in paths:
        if named.setdefault(path.stem, path) != path:
            other = files.printable(named[path.stem])
            raise DataError(f"{files.printable(path)}: {other} has the same name; rename one of the two.")
    return named


def _filled(folder: Path) -> dict[str, Path]:
    found = audio_files(folder)
    if not found:
        raise DataError(f"{folder}: holds no audio files; check the path.")
    return found


def _listed(path: Path, split: str) -> dict[str, Path]:
    index = path / "clean_speech" / "index.csv"
    rows = files.read_table(index, ("file", "split"))
    names = [row.path("file") for row in rows if row.text("split") == split]
    speech = _by_last_name(path / name for name in sorted(names))
    missing = [file for file in speech.values() if not os.path.isfile(file)]
    if missing or not speech:
        what = files.printable(missing[0]) if missing else f"{split} files"
        raise DataError(f"{index}: {what} missing; check the folder.")
    return speech


def _listed_noises(path: Path) -> list[tuple[str, str, Path]]:
    """Reads noises/index.csv, if there is one: split, type and file of each noise."""
    index = path / "noises" / "index.csv"
    if not index.is_file():
        return []
    rows = files.read_table(index, ("type", "split", "file"))
    return [(row.text("split"), row.text("type"), path / row.path("file")) for row in rows]


def _name(path: Path, speech: Mapping, noise: Mapping) -> str:
    if all((set(noise[split]), len(speech[split])) == MINI_DATA[split] for split in SPLITS):
        return "sednn-mini"
    if (path / "clean_speech").is_dir():
        return "read-speech-noise115"
    if len(noise["train"]) == 115 and len(speech["train"]) == 4620:
        return "timit-noise115"
    return "folder"


def preview(sources: Sources, **mixing) -> Manifest:
    """Returns as many pairs as `mix` would make, with speech in the place of both files, to plan with."""
    counts = sources.counts(**mixing)
    utterances = []
    for split in SPLITS:
        files = list(sources.speech[split].values())
        for number in range(counts[split]):
            speech = files[number % len(files)]
            utterances.append(Utterance(f"{split}{number}", speech, speech, split))
    return Manifest(tuple(utterances), sources.corpus)


def mix(
    sources: Sources,
    out: Path | str,
    snrs: Sequence[float] = (0.0,),
    magnification: int = 2,
    seed: int = 0,
    speeds: Sequence[float] = (1.0,),
    train_snrs: Sequence[float] | None = None,
    progress: Callable[[], object] = lambda: None,
    problem: Callable[[str], object] | None = None,
) -> Manifest:
    """Mixes a corpus as sednn does: some noises for each training utterance, all for each test utterance.

    Args:
        sources: Speech and noise.
        out: Folder of the corpus; see `mixing.mix_folders`. Files are written in single precision, because
            the original's features come from mixtures that were never rounded to 16 bit.
        snrs: In dB; every utterance is mixed at each of them.
        magnification: Noises per training utterance.
        seed: Of the draws of each split.
        speeds: Factors by which the training speech is played faster; every utterance is mixed at each of
            them. The test speech is left as it is.
        train_snrs: In dB, instead of `snrs` for the training utterances.
        progress: Called after each mixture.
        problem: Told of files and mixtures that are left out; if `None`, errors are raised instead.

    Returns:
        The manifest, which is also `out`/manifest.csv.
    """
    plans = {}
    for split, (levels, noises, copies) in _draws(snrs, magnification, speeds, train_snrs).items():
        mixer = Mixer(_usable(sources.speech[split], problem), _usable(sources.noise[split], problem))
        plans[split] = (mixer, mixer.plan(levels, noises, seed, copies))
    return write_mixtures(plans, out, sources.corpus, "FLOAT", progress, problem)


def _usable(files: Mapping[str, Path], problem: Callable[[str], object] | None) -> dict[str, Path]:
    if problem is None:
        return dict(files)
    usable = {}
    for name, file in files.items():
        try:
            audio.read_mono(file)
        except AudioError as error:
            problem(f"{error} It is left out.")
        else:
            usable[name] = file
    return usable
