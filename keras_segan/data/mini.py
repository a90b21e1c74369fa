"""The bundled mini corpus: synthetic speech and noise, good for trying things out, for nothing else.

Its scores are not comparable with any published table. `tools/make_mini_corpus.py` made it; here its
pairs are mixed. SNR = active speech level (ITU-T P.56) minus RMS level of the noise, over the whole
utterance, as in VoiceBank-DEMAND.
"""

from pathlib import Path

from keras_segan import audio, files
from keras_segan.data.folders import CorpusFolder
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.mixing import mix_active_level, tile

NAME = "mini"
SOURCE = Path(__file__).with_name("mini")
MIX_COLUMNS = ("id", "clean", "noise_file", "offset", "snr", "split", "speaker", "noise")


def prepare(folder: Path | str) -> Manifest:
    """Mixes the mini corpus into a folder; the result is always the same.

    Args:
        folder: Gets {train,validation,test}/{clean,noisy}/*.wav (16 kHz, 16 bit) and manifest.csv.
            Files that are there already with the same samples are left alone.

    Returns:
        The manifest, corpus "mini".

    Raises:
        DataError: If the folder cannot be made or written.
        AudioError: If a file cannot be written.
    """
    out = CorpusFolder(folder, force=True)
    noises = {}
    utterances = []
    for row in mixing_list():
        if row["noise_file"] not in noises:
            noises[row["noise_file"]] = audio.read_mono(SOURCE / row["noise_file"])
        speech = audio.read_mono(SOURCE / row["clean"])
        noise = tile(noises[row["noise_file"]], len(speech), int(row["offset"]))
        utterance = Utterance(
            id=row["id"],
            clean=out.path(row["split"], "clean", row["id"]),
            noisy=out.path(row["split"], "noisy", row["id"]),
            split=row["split"],
            speaker=row["speaker"],
            noise=row["noise"],
            snr=float(row["snr"]),
        )
        clean, noisy = mix_active_level(speech, noise, utterance.snr)
        out.write(utterance.clean, clean)
        out.write(utterance.noisy, noisy)
        utterances.append(utterance)
    return out.finish(Manifest(tuple(utterances), NAME))


def mixing_list() -> list[dict]:
    """Returns the rows of mixes.csv: which noise, from which sample on and at which SNR."""
    return [dict(row.cells) for row in files.read_table(SOURCE / "mixes.csv", MIX_COLUMNS)]
