"""Mixing of speech and noise: active speech level, levels for an SNR, and the mixing tool of sednn.

Two rules are in use. VoiceBank-DEMAND and the mini corpus keep the speech and set the noise, with the
active speech level of ITU-T P.56; sednn (the Keras port of Xu et al.) keeps the noise and sets the
speech, with plain RMS values, and normalises the mixture to a peak of 1.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from keras_segan.audio import SAMPLE_RATE, change_speed, read_mono
from keras_segan.data.folders import CorpusFolder, audio_files
from keras_segan.data.manifest import Manifest, Utterance, unique_ids
from keras_segan.errors import DataError, DataUsageError, KsegError
from keras_segan.files import file_name

P56_TIME_CONSTANT = 0.03  # s, of each of the two smoothing stages (P.56, 4.4)
P56_HANGOVER = 0.2  # s
P56_MARGIN = 15.9  # dB between the active level and its threshold
NOISES_IN_MEMORY = 128
SLOWEST, FASTEST = 0.1, 10.0  # speeds of speech
PEAK_LIMIT = 0.99  # of full scale; louder pairs are scaled down, clean and noisy by the same factor


def active_level(speech: np.ndarray, sample_rate: int = SAMPLE_RATE) -> float:
    """Measures the active speech level of ITU-T P.56, method B.

    Args:
        speech: `(samples,)`, not silent.
        sample_rate: In Hz.

    Returns:
        The level in dB re full scale: the power of the parts with speech only.
    """
    speech = np.asarray(speech, dtype=np.float64)
    power = float(speech @ speech)
    decay = np.exp(-1 / (sample_rate * P56_TIME_CONSTANT))
    envelope = np.abs(speech)
    for _ in range(2):
        envelope = lfilter([1 - decay], [1, -decay], envelope)
    # One threshold per bit of a 16-bit signal, 6 dB apart.
    thresholds = 20 * np.log10(2.0 ** np.arange(-15, 0))
    levels = []
    for threshold in thresholds:
        active = _active_samples(envelope >= 10 ** (threshold / 20), round(sample_rate * P56_HANGOVER))
        if active == 0:
            break
        levels.append(10 * np.log10(power / active))
    levels = np.array(levels)
    margins = levels - thresholds[: len(levels)]
    if not len(levels) or margins[0] <= P56_MARGIN or margins[-1] > P56_MARGIN:
        # Too soft for the lowest threshold, or an impulse: all of it counts as active.
        return 10 * float(np.log10(power / len(speech)))
    # Margins fall with the threshold; np.interp wants rising abscissae.
    return float(np.interp(P56_MARGIN, margins[::-1], levels[::-1]))


def _active_samples(above: np.ndarray, hangover: int) -> int:
    """Counts the samples where the envelope is above the threshold or was so within the hangover."""
    position = np.arange(len(above))
    last = np.maximum.accumulate(np.where(above, position, -hangover - 1))
    return int(np.count_nonzero(position - last <= hangover))


def tile(noise: np.ndarray, length: int, offset: int = 0) -> np.ndarray:
    """Cuts `length` samples out of a noise from `offset` on; repeats a noise that is too short."""
    if offset + length > len(noise):
        noise = np.tile(noise, -(-(offset + length) // len(noise)))
    return noise[offset : offset + length]


def mix_active_level(speech: np.ndarray, noise: np.ndarray, snr: float) -> tuple[np.ndarray, np.ndarray]:
    """Adds noise to speech as VoiceBank-DEMAND does.

    SNR = active speech level (ITU-T P.56) minus RMS level of the noise, over the whole utterance.

    Args:
        speech: `(samples,)` at 16 kHz.
        noise: `(samples,)`.
        snr: In dB.

    Returns:
        Clean and noisy speech, float64 `(samples,)`; both scaled down by one factor if one of them
        would exceed 0.99.
    """
    speech, noise = _checked(speech, noise)
    noise_level = 10 * np.log10(np.mean(noise**2))
    noisy = speech + noise * 10 ** ((active_level(speech) - snr - noise_level) / 20)
    peak = max(np.abs(noisy).max(), np.abs(speech).max())
    gain = min(1.0, PEAK_LIMIT / peak)
    return speech * gain, noisy * gain


def _checked(speech: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    speech, noise = np.asarray(speech, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    if len(speech) != len(noise):
        raise DataError(f"Speech has {len(speech)} samples, noise {len(noise)}; cut the noise to the speech.")
    for name, signal in (("speech", speech), ("noise", noise)):
        if not signal.any():
            raise DataError(f"The {name} is silent where it should be mixed; an SNR cannot be reached.")
    return speech, noise


def mix_sednn(speech: np.ndarray, noise: np.ndarray, snr: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adds noise to speech as sednn does: the speech is scaled to the SNR, then everything to peak 1.

    SNR = ratio of the RMS values over the whole utterance.

    Args:
        speech: `(samples,)`.
        noise: `(samples,)`.
        snr: In dB.

    Returns:
        Mixture, speech and noise as they are in it, float64 `(samples,)`, all multiplied by
        alpha = 1 / max|mixture|. The speech may exceed 1 where the noise takes away from it.
    """
    speech, noise = _checked(speech, noise)
    speech = speech * (10 ** (snr / 20) * np.sqrt(np.mean(noise**2)) / np.sqrt(np.mean(speech**2)))
    alpha = 1 / np.abs(speech + noise).max()
    return (speech + noise) * alpha, speech * alpha, noise * alpha


@dataclass(frozen=True)
class Mixture:
    """One row of a mixing plan.

    Attributes:
        speech: The speech file.
        noise: The noise file.
        onset: First sample of the noise at 16 kHz; 0 if the noise is repeated.
        snr: In dB.
        id: Unique name.
        noise_name: Name of the noise for the manifest.
        speed: Factor by which the speech is played faster.
    """

    speech: Path
    noise: Path
    onset: int
    snr: float
    id: str
    noise_name: str
    speed: float = 1.0


class Mixer:
    """Mixes speech with noises, with sednn's rules and random draws.

    For every SNR and every utterance `magnification` noises are drawn without replacement, and from
    each a place. With the same files, one SNR and seed 0 the draws are those of the original program
    (given its file lists sorted by name). Unlike there, files of other rates are resampled *before* the
    places are drawn. The last used noises are kept in memory, speech is not.
    """

    def __init__(self, speech: Mapping[str, Path], noises: Mapping[str, Path]):
        """Takes files by name.

        Args:
            speech: Clean speech.
            noises: Noises.
        """
        self.speech = dict(speech)
        self.noises = dict(noises)
        self._read_noise = functools.lru_cache(NOISES_IN_MEMORY)(read_mono)

    @classmethod
    def of_folders(cls, speech_dir: Path | str, noise_dir: Path | str) -> "Mixer":
        """Lists the files of two folders.

        Raises:
            DataError: If a folder is missing or holds no audio.
        """
        speech, noises = audio_files(speech_dir), audio_files(noise_dir)
        for folder, files in ((speech_dir, speech), (noise_dir, noises)):
            if not files:
                raise DataError(f"{folder}: holds no audio files; check the path.")
        return cls(speech, noises)

    def count(
        self, snrs: Sequence[float], magnification: int | None, speeds: Sequence[float] = (1.0,)
    ) -> int:
        """Counts the mixtures that `plan` yields, and checks its arguments.

        Args:
            snrs: In dB.
            magnification: Noises per utterance; all of them if `None`.
            speeds: Factors by which the speech is played faster.

        Returns:
            The number of mixtures.

        Raises:
            DataError: If there are fewer noises than wanted, a speed is out of range, an SNR is not finite,
                or a speed or SNR is named twice: files are named after them.
        """
        wrong = [f"{speed:g}" for speed in speeds if not SLOWEST <= speed <= FASTEST]
        if wrong:
            message = f"A speed of {wrong[0]} is wanted; speeds go from {SLOWEST:g} to {FASTEST:g}."
            raise DataUsageError(message)
        if not np.isfinite(snrs).all():
            raise DataUsageError("An SNR is infinite or not a number; name levels in dB.")
        for kind, values in (("An SNR", snrs), ("A speed", speeds)):
            if len({f"{value:g}" for value in values}) < len(values):
                raise DataUsageError(f"{kind} is named twice; name each one once.")
        if magnification is not None and not 1 <= magnification <= len(self.noises):
            message = f"{magnification} noises per utterance wanted, but there are {len(self.noises)} noises."
            raise DataUsageError(message)
        return len(snrs) * len(self.speech) * len(speeds) * (magnification or len(self.noises))

    def plan(
        self,
        snrs: Sequence[float] = (0.0,),
        magnification: int | None = 2,
        seed: int = 0,
        speeds: Sequence[float] = (1.0,),
    ) -> Iterator[Mixture]:
        """Draws the mixtures, one after the other; what is wrong is said at once, not when they are used.

        Args:
            snrs: In dB.
            magnification: Noises per utterance; all of them if `None`, as in the original's test set.
            seed: Of the draws.
            speeds: Factors by which the speech is played faster; every utterance is mixed at each of them,
                with noises of its own.

        Returns:
            The mixtures, in the order of SNR, utterance, speed, noise.

        Raises:
            DataError: As `count`.
        """
        self.count(snrs, magnification, speeds)
        return self._draw(snrs, magnification, seed, speeds)

    def _draw(
        self, snrs: Sequence[float], magnification: int | None, seed: int, speeds: Sequence[float]
    ) -> Iterator[Mixture]:
        names = list(self.noises)
        rs = np.random.RandomState(seed)
        for snr, (stem, speech), speed in itertools.product(snrs, self.speech.items(), speeds):
            length = len(change_speed(read_mono(speech), speed))
            voice = stem if speed == 1 else f"{stem}-x{speed:g}"
            chosen = names if magnification is None else rs.choice(names, magnification, replace=False)
            for noise in chosen:
                spare = len(self._read_noise(self.noises[noise])) - length
                onset = int(rs.randint(0, spare, size=1)[0]) if spare > 0 else 0
                identifier = file_name(f"{voice}.{noise}.{snr:g}dB")
                yield Mixture(speech, self.noises[noise], onset, float(snr), identifier, str(noise), speed)

    def mix(self, mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
        """Makes the audio of one mixture.

        Returns:
            Clean and noisy speech, float64 `(samples,)`; the noisy speech has peak 1, the clean speech may
            exceed it.

        Raises:
            AudioError: If a file cannot be read.
            DataError: If the noise is silent where it was cut.
        """
        speech = change_speed(read_mono(mixture.speech), mixture.speed)
        noise = tile(self._read_noise(mixture.noise), len(speech), mixture.onset)
        try:
            mixed, clean, _ = mix_sednn(speech, noise, mixture.snr)
        except DataError as error:
            raise DataError(
                f"{mixture.speech} with {mixture.noise} from sample {mixture.onset}: {error}"
            ) from error
        return clean, mixed


def mix_folders(
    speech_dir: Path | str,
    noise_dir: Path | str,
    out: CorpusFolder | Path | str,
    snrs: Sequence[float] = (0.0,),
    magnification: int | None = 2,
    seed: int = 0,
    split: str = "train",
    progress: Callable[[], object] = lambda: None,
    speeds: Sequence[float] = (1.0,),
) -> Manifest:
    """Mixes two folders into a corpus; the same call gives the same files.

    Args:
        speech_dir: Folder of clean speech, of any sample rate.
        noise_dir: Folder of noises, of any sample rate; a noise shorter than the speech is repeated.
        out: Gets {split}/{clean,noisy}/ID.wav (16 kHz, 16 bit), manifest.csv, and mixtures.csv with the
            places of the noises; what they list already stays listed.
        snrs: In dB; every utterance is mixed at each of them.
        magnification: Noises per utterance, all of them if `None`.
        seed: Of the random draws.
        split: Where the pairs belong.
        progress: Called after each mixture.
        speeds: Factors by which the speech is played faster; see `Mixer.plan`.

    Returns:
        The pairs, which are in `out`/manifest.csv, too.

    Raises:
        AudioError: If a file cannot be read or written.
        DataError: If a folder is missing, empty or cannot be written, or there are too few noises.
    """
    mixer = Mixer.of_folders(speech_dir, noise_dir)
    plan = mixer.plan(snrs, magnification, seed, speeds)
    return write_mixtures({split: (mixer, plan)}, out, progress=progress)


def write_mixtures(
    plans: Mapping[str, tuple[Mixer, Iterable[Mixture]]],
    out: CorpusFolder | Path | str,
    corpus: str = "folder",
    subtype: str = "PCM_16",
    progress: Callable[[], object] = lambda: None,
    problem: Callable[[str], object] | None = None,
) -> Manifest:
    """Writes mixtures as a corpus.

    Args:
        plans: By split the mixtures and what makes their audio.
        out: As for `mix_folders`.
        corpus: Its name.
        subtype: `"PCM_16"`; or `"FLOAT"`, which keeps sednn's levels even where clean speech exceeds 1 (in
            16 bit both files of such a pair are scaled down alike).
        progress: Called after each mixture.
        problem: Told what is wrong with a mixture that cannot be made, which is then left out; if `None`, the
            error is raised.

    Returns:
        The pairs, which are in `out`/manifest.csv, too.
    """
    out = CorpusFolder.of(out)
    utterances, places = [], []
    for split, mixer, mixture in ((s, mixer, m) for s, (mixer, plan) in plans.items() for m in plan):
        progress()
        clean, noisy = (out.path(split, kind, mixture.id) for kind in ("clean", "noisy"))
        try:
            pair = mixer.mix(mixture)
        except KsegError as error:
            if problem is None:
                raise
            problem(f"{error} It is left out.")
            continue
        gain = 1 / max(1.0, np.abs(pair[0]).max()) if subtype == "PCM_16" else 1.0
        for path, waveform in zip((clean, noisy), pair, strict=True):
            out.write(path, waveform * gain, subtype)
        utterances.append(
            Utterance(mixture.id, clean, noisy, split, noise=mixture.noise_name, snr=mixture.snr)
        )
        places.append(
            (
                mixture.id,
                mixture.speech.name,
                mixture.noise.name,
                mixture.onset,
                f"{mixture.snr:g}",
                f"{mixture.speed:g}",
            )
        )
    return out.finish(Manifest(unique_ids(utterances), corpus), places)
