"""Signal processing around the networks, in NumPy: features in, waveform out; one front end a file.

A front end has

* `sample_rate` and `hop`, and `minimum_samples`, the shortest waveform it takes,
* `analyse(waveform, statistics=None)`: the network's input `(frames, ...)` and what the synthesis needs,
* `synthesise(output, analysis)`: the waveform, as long as it was,
* `measure(pieces)`: what `analyse` needs to know of a whole utterance when it sees a piece of it only; `None`
  if that is nothing,
* `levels`, if its network depends on the level: lowest and highest in dB that it knows, or `None`,
* `get_config()` and `from_config(config)`.

Nothing here imports Keras; `models.base` registers the classes for `.keras` files.
"""

from keras_segan.front_ends.band_gain import BandGainFrontEnd
from keras_segan.front_ends.gammatone_mask import GammatoneFrontEnd
from keras_segan.front_ends.log_spectrum import LogSpectrumFrontEnd
from keras_segan.front_ends.spectral_mask import SpectralMaskFrontEnd
from keras_segan.front_ends.waveform import WaveformFrontEnd

FRONT_ENDS = {
    cls.__name__: cls
    for cls in (
        BandGainFrontEnd,
        GammatoneFrontEnd,
        LogSpectrumFrontEnd,
        SpectralMaskFrontEnd,
        WaveformFrontEnd,
    )
}

__all__ = [
    "FRONT_ENDS",
    "BandGainFrontEnd",
    "GammatoneFrontEnd",
    "LogSpectrumFrontEnd",
    "SpectralMaskFrontEnd",
    "WaveformFrontEnd",
]
