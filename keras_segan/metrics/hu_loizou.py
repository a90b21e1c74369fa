"""The composite measures: predicted signal, background and overall quality, each from 1 to 5.

Y. Hu and P. Loizou, IEEE TASLP 16(1), 2008; coefficients of `composite.m` in Loizou's book. PESQ is the
wide-band MOS-LQO at 16 kHz and the raw narrow-band score at 8 kHz, as in the published
VoiceBank-DEMAND tables; LLR and WSS are means of the lowest 95 % of the frames.
"""

import numpy as np

from keras_segan.metrics import pesq
from keras_segan.metrics.framing import trimmed_mean
from keras_segan.metrics.pair import Pair

LIMITS = (1.0, 5.0)
MEASURES = ("csig", "cbak", "covl", "ssnr", "llr", "wss", "pesq")


def csig(pesq: float, llr: float, wss: float) -> float:
    """Returns the predicted rating of signal distortion."""
    return _limited(3.093 - 1.029 * llr + 0.603 * pesq - 0.009 * wss)


def cbak(pesq: float, wss: float, ssnr: float) -> float:
    """Returns the predicted rating of background intrusiveness."""
    return _limited(1.634 + 0.478 * pesq - 0.007 * wss + 0.063 * ssnr)


def covl(pesq: float, llr: float, wss: float) -> float:
    """Returns the predicted rating of overall quality."""
    return _limited(1.594 + 0.805 * pesq - 0.512 * llr - 0.007 * wss)


def _limited(rating: float) -> float:
    return float(np.clip(rating, *LIMITS))


def pesq_inside(pair: Pair) -> float:
    """Returns the PESQ that the composite measures take: wide-band at 16 kHz, raw narrow-band at 8."""
    if pair.sample_rate == 8000:
        note = "composite measures with raw narrow-band PESQ, as defined at 8000 Hz"
        if note not in pair.notes:
            pair.notes.append(note)
        return pesq.raw_from_nb_lqo(pair.pesq("nb"))
    return pair.pesq("wb")


def composite(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Returns csig, cbak, covl and the parts ssnr (dB), llr, wss and pesq.

    Args:
        clean: `(samples,)`, float in [-1, 1] or int16.
        processed: The same; at most one hop (256 samples) longer or shorter.
        sample_rate: In Hz; any rate but 8000 and 16000 is resampled to 16000.

    Returns:
        The seven values by name.

    Raises:
        MetricError: If a signal is silent, too short, not finite or not mono.
    """
    pair = Pair(clean, processed, sample_rate)
    parts = {
        "pesq": pesq_inside(pair),
        "llr": trimmed_mean(pair.llr),
        "wss": trimmed_mean(pair.wss),
        "ssnr": float(np.mean(pair.ssnr)),
    }
    ratings = {
        "csig": csig(parts["pesq"], parts["llr"], parts["wss"]),
        "cbak": cbak(parts["pesq"], parts["wss"], parts["ssnr"]),
        "covl": covl(parts["pesq"], parts["llr"], parts["wss"]),
    }
    return {name: (ratings | parts)[name] for name in MEASURES}
