"""The table of the metrics that come with the package."""

from collections.abc import Callable

import numpy as np

from keras_segan.metrics import hu_loizou, lpc, pesq, siib, snr
from keras_segan.metrics.csii import LEVELS
from keras_segan.metrics.framing import trimmed_mean
from keras_segan.metrics.metric import Metric
from keras_segan.metrics.pair import Pair

INFINITY = float("inf")


def _builtin(name: str, of_pair: Callable[[Pair], float], lo: float, hi: float, **facts) -> Metric:
    def function(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> float:
        return of_pair(Pair(clean, processed, sample_rate))

    return Metric(name, function, (lo, hi), of_pair=of_pair, **facts)


def _stoi(extended: bool) -> Callable[[Pair], float]:
    def of_pair(pair: Pair) -> float:
        from keras_segan.metrics import stoi

        return stoi.stoi(pair.clean, pair.processed, pair.sample_rate, extended)

    return of_pair


def _ncm(pair: Pair) -> float:
    from keras_segan.metrics import ncm

    return ncm.ncm(pair.clean, pair.processed, pair.sample_rate)


def _haspi(function: str) -> Callable[[Pair], float]:
    def of_pair(pair: Pair) -> float:
        from keras_segan.metrics import haspi

        return getattr(haspi, function)(pair.clean, pair.processed, pair.sample_rate)

    return of_pair


def _csig(p: Pair) -> float:
    return hu_loizou.csig(hu_loizou.pesq_inside(p), trimmed_mean(p.llr), trimmed_mean(p.wss))


def _cbak(p: Pair) -> float:
    return hu_loizou.cbak(hu_loizou.pesq_inside(p), trimmed_mean(p.wss), float(np.mean(p.ssnr)))


def _covl(p: Pair) -> float:
    return hu_loizou.covl(hu_loizou.pesq_inside(p), trimmed_mean(p.llr), trimmed_mean(p.wss))


_HU_LOIZOU = "Hu and Loizou, IEEE TASLP 16(1), 2008"
_LOIZOU = "Loizou, Speech Enhancement: Theory and Practice, ch. 11"
_MOS = {"unit": "MOS", "default_scale": "mos-linear", "reference": _HU_LOIZOU}
_PESQ = {"unit": "MOS", "default_scale": "pesq-linear"}
# Of MOS-LQO the asymptote of the mapping, below any score, and the score of identical signals, raw 4.5.
_LQO = {"lo": 0.999, **_PESQ}

METRICS = {
    metric.name: metric
    for metric in (
        _builtin(
            "pesq-wb-lqo", lambda p: p.pesq("wb"), hi=4.644, label="PESQ", reference="ITU-T P.862.2", **_LQO
        ),
        _builtin(
            "pesq-nb-lqo",
            lambda p: p.pesq("nb"),
            hi=4.549,
            label="PESQ-NB",
            reference="ITU-T P.862.1",
            **_LQO,
        ),
        _builtin(
            "pesq-nb-raw",
            lambda p: pesq.raw_from_nb_lqo(p.pesq("nb")),
            lo=-0.5,
            hi=4.5,
            label="PESQ raw",
            reference="ITU-T P.862 (2001), without mapping",
            **_PESQ,
        ),
        _builtin(
            "stoi",
            _stoi(extended=False),
            lo=0.0,
            hi=1.0,
            label="STOI",
            reference="Taal et al., IEEE TASLP 19(7), 2011",
            default_scale="unit",
        ),
        _builtin(
            "estoi",
            _stoi(extended=True),
            lo=0.0,
            hi=1.0,
            label="ESTOI",
            reference="Jensen and Taal, IEEE/ACM TASLP 24(11), 2016",
            default_scale="unit",
        ),
        _builtin(
            "ncm",
            _ncm,
            lo=0.0,
            hi=1.0,
            label="NCM",
            reference="Ma, Hu and Loizou, JASA 125(5), 2009: ANSI weights; envelopes resampled as by Octave"
            " (MATLAB's filter gives 3e-4 to 2e-3 more)",
            default_scale="unit",
        ),
        _builtin(
            "siib-gauss",
            lambda p: siib.siib_gauss(p.clean, p.processed, p.sample_rate),
            lo=0.0,
            hi=siib.LARGEST,
            label="SIIB",
            unit="bit/s",
            reference="Van Kuyk et al., IEEE/ACM TASLP 26(11), 2018: Gaussian; repeated to 20 s",
            default_scale="siib-logistic",
        ),
        _builtin("csig", _csig, lo=1.0, hi=5.0, label="CSIG", **_MOS),
        _builtin("cbak", _cbak, lo=1.0, hi=5.0, label="CBAK", **_MOS),
        _builtin("covl", _covl, lo=1.0, hi=5.0, label="COVL", **_MOS),
        _builtin(
            "ssnr",
            lambda p: float(np.mean(p.ssnr)),
            *snr.SEGMENTAL_LIMITS,
            label="SSNR",
            unit="dB",
            reference=_LOIZOU,
            default_scale="linear@-10..35",
        ),
        _builtin("snr", Pair.snr, -INFINITY, INFINITY, label="SNR", unit="dB", reference=_LOIZOU),
        _builtin(
            "llr",
            lambda p: trimmed_mean(p.llr),
            0.0,
            INFINITY,
            higher_is_better=False,
            label="LLR",
            reference=f"{_HU_LOIZOU}: order 16, not limited, lowest 95 % of frames",
        ),
        _builtin(
            "llr-limited",
            lambda p: trimmed_mean(np.minimum(p.llr, lpc.LLR_LIMIT)),
            0.0,
            lpc.LLR_LIMIT,
            higher_is_better=False,
            label="LLR (2)",
            reference=f"{_LOIZOU}: the stand-alone measure, every frame at most 2",
            default_scale="linear@2..0",
        ),
        _builtin(
            "wss",
            lambda p: trimmed_mean(p.wss),
            0.0,
            INFINITY,
            higher_is_better=False,
            label="WSS",
            reference=f"Klatt, ICASSP 1982; {_HU_LOIZOU}",
        ),
        _builtin(
            "fwsegsnr",
            lambda p: float(np.mean(p.fwsegsnr())),
            -10.0,
            35.0,
            label="fwSegSNR",
            unit="dB",
            reference=_HU_LOIZOU,
            default_scale="linear@-10..35",
        ),
        _builtin(
            "cepstral-distance",
            lambda p: trimmed_mean(lpc.cepstral_distance(p.prediction)),
            0.0,
            lpc.CEPSTRAL_LIMIT,
            higher_is_better=False,
            label="CD",
            unit="dB",
            reference=_LOIZOU,
            default_scale="linear@10..0",
        ),
        _builtin(
            "itakura-saito",
            lambda p: trimmed_mean(lpc.itakura_saito(p.prediction)),
            0.0,
            lpc.ITAKURA_SAITO_LIMIT,
            higher_is_better=False,
            label="IS",
            reference=_LOIZOU,
            default_scale="linear@100..0",
        ),
        _builtin(
            "lsd",
            lambda p: float(np.mean(p.lsd())),
            0.0,
            INFINITY,
            higher_is_better=False,
            label="LSD",
            unit="dB",
            reference="Gray and Markel, IEEE TASSP 24(5), 1976: rms over bins, mean of 30 ms frames",
        ),
        *(
            _builtin(
                f"csii-{level}",
                lambda p, level=level: p.csii[level],
                0.0,
                1.0,
                label=f"CSII {level}",
                reference="Kates and Arehart, JASA 117(4), 2005; Ma, Hu and Loizou, JASA 125(5), 2009",
                default_scale="unit",
            )
            for level in LEVELS
        ),
        _builtin(
            "si-sdr",
            lambda p: snr.si_sdr(p.clean, p.processed),
            -INFINITY,
            INFINITY,
            label="SI-SDR",
            unit="dB",
            reference="Le Roux et al., ICASSP 2019; the mean of both signals taken off",
        ),
        _builtin(
            "si-sdr-with-mean",
            lambda p: snr.si_sdr(p.clean, p.processed, zero_mean=False),
            -INFINITY,
            INFINITY,
            label="SI-SDR (with mean)",
            unit="dB",
            reference="Le Roux et al., ICASSP 2019; signals as they are, so that an offset counts",
        ),
    )
}

_KATES = "Kates and Arehart, Speech Communication 131, 2021, by pyclarity"
# Metrics of packages that need not be installed: `names` lists them where they are.
OPTIONAL = {
    metric.name: metric
    for metric in (
        _builtin(
            "haspi",
            _haspi("index"),
            lo=0.0,
            hi=1.0,
            label="HASPI",
            reference=f"{_KATES}: normal hearing, 65 dB SPL",
            default_scale="unit",
        ),
        _builtin(
            "haspi-linear",
            _haspi("linear"),
            lo=0.0,
            hi=11.467,
            label="HASPI (linear)",
            reference=f"{_KATES}: equation 1 without the logistic function, as in NELE-GAN",
            default_scale="haspi-logistic",
        ),
    )
}
