"""PESQ, ITU-T P.862, by the C code in the package `pesq`; here are the mappings and what guards that code.

`lqo_wb = 0.999 + 4 / (1 + exp(-1.3669 raw + 3.8224))` (P.862.2) and
`lqo_nb = 0.999 + 4 / (1 + exp(-1.4945 raw + 4.6607))` (P.862.1).
"""

import numpy as np

from keras_segan.errors import MetricError

LONGEST_SECONDS = 60.0
# The C code has room for 50 utterances and writes past its tables beyond that.
MOST_UTTERANCES = 40
_ACTIVITY_SECONDS = 0.01
_ACTIVITY_LEVEL = 1e-2  # of the mean power: -20 dB
# Pauses shorter than this are joined by P.862; a cut needs one at least as long.
_PAUSE_SECONDS = 0.2


def raw_from_nb_lqo(lqo: float) -> float:
    """Returns the P.862 score without mapping (what the old ITU program prints) from the P.862.1 one."""
    return float((4.6607 - np.log(4.0 / (lqo - 0.999) - 1.0)) / 1.4945)


def nb_lqo_from_raw(raw: float) -> float:
    """Returns the P.862.1 score; the inverse of `raw_from_nb_lqo`."""
    return float(0.999 + 4.0 / (1.0 + np.exp(-1.4945 * raw + 4.6607)))


def lqo(clean: np.ndarray, processed: np.ndarray, sample_rate: int, mode: str) -> tuple[float, int]:
    """Returns MOS-LQO; long signals are scored in pieces and averaged, weighted by length.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: 8000 or 16000 Hz.
        mode: `"wb"` (P.862.2, 16 kHz only) or `"nb"` (P.862.1).

    Returns:
        The score and the number of pieces.

    Raises:
        MetricError: If the C code finds no speech, the signal is shorter than 0.25 s, or `"wb"` at 8 kHz.
    """
    if mode == "wb" and sample_rate != 16000:
        raise MetricError(
            f"Wide-band PESQ needs 16000 Hz, not {sample_rate} Hz; use pesq-nb-lqo or pesq-nb-raw."
        )
    cuts = _cuts(clean, sample_rate)
    inner = cuts[1:-1]
    pieces = list(zip(np.split(clean, inner), np.split(processed, inner), strict=True))
    scores = [_score(*piece, sample_rate, mode) for piece in pieces]
    return float(np.average(scores, weights=np.diff(cuts))), len(pieces)


def _score(clean: np.ndarray, processed: np.ndarray, sample_rate: int, mode: str) -> float:
    import pesq

    if not processed.any():
        raise MetricError("PESQ: a piece of the processed signal is silent (every sample is zero).")
    try:
        score = pesq.pesq(sample_rate, clean, processed, mode)
    except pesq.NoUtterancesError as error:
        raise MetricError("PESQ found no speech in the clean signal; is it silent or too faint?") from error
    except pesq.BufferTooShortError as error:
        raise MetricError(
            f"PESQ needs at least 0.25 s; there are {len(clean) / sample_rate:.3f} s."
        ) from error
    except (pesq.PesqError, ValueError) as error:
        raise MetricError(f"PESQ failed: {error}.") from error
    return float(score)


def _cuts(clean: np.ndarray, sample_rate: int) -> list[int]:
    """Returns where the pieces begin and end, first 0 and last the length.

    A piece is as long as can be without more than 60 s or 40 utterances; it ends in a pause of the
    clean signal, or at 60 s where there is none.
    """
    longest = int(LONGEST_SECONDS * sample_rate)
    pauses = _pauses(clean, sample_rate)
    if len(clean) <= longest and len(pauses) < MOST_UTTERANCES:
        return [0, len(clean)]
    cuts = [0]
    while True:
        ahead = pauses[pauses > cuts[-1]]
        allowed = ahead[:MOST_UTTERANCES][ahead[:MOST_UTTERANCES] <= cuts[-1] + longest]
        rest = len(clean) - cuts[-1]
        if rest <= longest and len(ahead) < MOST_UTTERANCES:
            return [*cuts, len(clean)]
        # With much left the last pause that is allowed; near the end the middle one, so that
        # no short rest remains for which PESQ is not defined.
        if len(allowed) == 0:
            cuts.append(cuts[-1] + min(longest, rest // 2))
        elif rest < 2 * longest and len(ahead) < MOST_UTTERANCES:
            cuts.append(int(allowed[np.argmin(np.abs(allowed - cuts[-1] - rest // 2))]))
        else:
            cuts.append(int(allowed[-1]))


def _pauses(clean: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the middle sample of every pause inside the clean signal, ascending."""
    step = int(_ACTIVITY_SECONDS * sample_rate)
    steps = len(clean) // step
    power = np.mean(clean[: steps * step].reshape(steps, step) ** 2, axis=1)
    active = np.flatnonzero(power > _ACTIVITY_LEVEL * power.mean()) if steps else np.zeros(0, int)
    gaps = np.diff(active)
    long = gaps * _ACTIVITY_SECONDS >= _PAUSE_SECONDS
    return (active[:-1][long] + gaps[long] // 2) * step
