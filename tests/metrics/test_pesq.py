import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import metrics
from keras_segan.errors import MetricError
from keras_segan.metrics import pesq
from keras_segan.metrics.pair import Pair

RATE = 16000


def bursts(count: int, seconds: float = 0.4) -> np.ndarray:
    """Returns bursts of noise with pauses of the same length between them."""
    rng = np.random.default_rng(0)
    samples = int(seconds * RATE)
    return np.concatenate(
        [np.r_[0.1 * rng.standard_normal(samples), np.zeros(samples)] for _ in range(count)]
    )


@given(st.floats(-0.5, 4.5))
def test_raw_and_mapped_narrow_band_score_are_inverse(raw):
    assert pesq.raw_from_nb_lqo(pesq.nb_lqo_from_raw(raw)) == pytest.approx(raw, abs=1e-9)


def test_identical_signals_have_raw_score_four_and_a_half(speech):
    clean = speech[0]
    scores = metrics.score(("pesq-nb-raw", "pesq-wb-lqo"), clean, clean, RATE)
    assert scores["pesq-nb-raw"] == pytest.approx(4.5, abs=1e-4)
    assert scores["pesq-wb-lqo"] == pytest.approx(4.644, abs=1e-3)


def test_raw_score_is_what_the_itu_program_prints(shared):
    """`pesq_nb_raw_itu` was printed by the PESQ program that MetricGAN ships, to three decimals."""
    import csv

    from keras_segan import audio

    with open(shared("goldens/scores_noisy.csv"), newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == "metricgan_mini/Test"]
    assert len(rows) == 10
    for row in rows:
        name = f"{row['utterance']}.wav"
        clean, noisy = (
            audio.read(shared(f"data/metricgan_timit_mini/Test/{side}/{name}"))[0]
            for side in ("Clean", "Noisy")
        )
        score = metrics.score("pesq-nb-raw", clean, noisy, RATE)["pesq-nb-raw"]
        assert score == pytest.approx(float(row["pesq_nb_raw_itu"]), abs=1.1e-3)


def test_wide_band_at_8_khz_says_what_to_use(speech):
    with pytest.raises(MetricError, match="needs 16000 Hz, not 8000 Hz; use pesq-nb-lqo"):
        metrics.score("pesq", *speech[:2], 8000)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 150), st.integers(0, 80))
def test_pieces_cover_the_signal_within_both_limits(count, seconds_of_tone):
    tone = 0.1 * np.sin(np.arange(seconds_of_tone * RATE))
    clean = np.r_[bursts(count), tone]
    cuts = pesq._cuts(clean, RATE)
    assert (cuts[0], cuts[-1]) == (0, len(clean))
    assert (np.diff(cuts) > 0).all()
    assert (np.diff(cuts) <= pesq.LONGEST_SECONDS * RATE).all()
    pauses = pesq._pauses(clean, RATE)
    inside = [np.sum((pauses > a) & (pauses < b)) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    assert max(inside) < pesq.MOST_UTTERANCES
    # Every cut is in a pause, unless the tone without one forbids it.
    in_bursts = [cut for cut in cuts[1:-1] if cut <= count * 0.8 * RATE]
    assert seconds_of_tone or all(abs(clean[cut - 800 : cut + 800]).max() == 0 for cut in in_bursts)


def test_more_utterances_than_the_c_code_has_room_for_are_scored_in_pieces_with_a_note():
    clean = bursts(70)  # crashes pesq 0.0.4 if given whole
    noisy = clean + 0.01 * np.random.default_rng(1).standard_normal(len(clean))
    pair = Pair(clean, noisy, RATE)
    score = pair.pesq("wb")
    assert pair.notes == ["PESQ (wb) is the mean of 2 pieces cut at pauses, weighted by their lengths"]
    (a, b, c) = pesq._cuts(clean, RATE)
    parts = [Pair(clean[i:j], noisy[i:j], RATE).pesq("wb") for i, j in ((a, b), (b, c))]
    assert score == pytest.approx(np.average(parts, weights=[b - a, c - b]))


def test_a_silent_piece_of_the_processed_signal_is_a_failure():
    clean = bursts(70)
    processed = clean.copy()
    processed[: len(clean) * 3 // 4] = 0.0
    with pytest.raises(MetricError, match="piece of the processed signal is silent"):
        metrics.score("pesq", clean, processed, RATE)
