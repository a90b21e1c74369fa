"""Signal processing around the networks, in NumPy: features in, waveform out; one front end a file.

A front end has

* `sample_rate` and `hop`, and `minimum_samples`, the shortest waveform it takes,
* `analyse(waveform, statistics=None)`: the network's input `(frames, ...)` and what the synthesis needs,
* `synthesise(output, analysis)`: the waveform, as long as it was,
* `measure(pieces)`: what `analyse` needs to know of a whole utterance when it sees a piece of it only; `None`
  if that is nothing,
* `feature_shape` and `output_size`: what the network takes and gives for a frame,
* `levels`, if its network depends on the level: lowest and highest in dB that it knows, or `None`,
* `get_config()` and `from_config(config)`.

Its `__init__` refuses settings that cannot be. Nothing here imports Keras; `models.base`
registers the classes for `.keras` files.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from keras_segan.errors import ModelError
from keras_segan.front_ends.band_gain import BandGainFrontEnd
from keras_segan.front_ends.gammatone_mask import GammatoneFrontEnd
from keras_segan.front_ends.log_spectrum import LogSpectrumFrontEnd
from keras_segan.front_ends.magnitude import MagnitudeFrontEnd
from keras_segan.front_ends.spectral_mask import SpectralMaskFrontEnd
from keras_segan.front_ends.waveform import WaveformFrontEnd

FRONT_ENDS = {
    cls.__name__: cls
    for cls in (
        BandGainFrontEnd,
        GammatoneFrontEnd,
        LogSpectrumFrontEnd,
        MagnitudeFrontEnd,
        SpectralMaskFrontEnd,
        WaveformFrontEnd,
    )
}


def build(kind: object, config: object) -> Any:
    """Makes a front end from what a file says of it.

    Args:
        kind: Name of its class.
        config: Its settings by name.

    Returns:
        The front end.

    Raises:
        ModelError: If there is none of that name, or a setting is unknown or cannot be.
    """
    if not isinstance(kind, str) or kind not in FRONT_ENDS:
        raise ModelError(f"names no front end of this version: {str(kind)[:60]!r}")
    if not isinstance(config, dict):
        raise ModelError(f"has no settings for its {kind}")
    unknown = sorted(set(config) - set(inspect.signature(FRONT_ENDS[kind]).parameters))
    if unknown:
        raise ModelError(
            f"gives its {kind} settings that this version does not know: {', '.join(unknown)[:60]}"
        )
    try:
        return FRONT_ENDS[kind].from_config(config)
    except ValueError as error:
        raise ModelError(f"gives its {kind} a setting that cannot be: {error}") from error


def check_fit(
    front_end: Any, input_shape: Sequence[object], output_shape: Sequence[object] | None = None
) -> None:
    """Raises `ModelError` if a network does not take what a front end gives, or the other way round.

    Args:
        front_end: The front end.
        input_shape: Of the network, with the batch's axis; what is no number is free.
        output_shape: Likewise; `None` if the front end does not take the output back.
    """
    wanted = tuple(front_end.feature_shape)
    # A network of single frames takes them as its batch; others take (batch, frames, ...).
    has_frames = len(input_shape) - len(wanted) == 2
    fits = len(input_shape) - len(wanted) in (1, 2) and all(
        not isinstance(ours, int) or ours == theirs
        for ours, theirs in zip(input_shape[-len(wanted) :], wanted, strict=True)
    )
    if not fits or (has_frames and isinstance(input_shape[1], int)):
        raise ModelError(
            f"has a network for {_dims(input_shape)}, but its front end gives frames of {wanted}"
        )
    if output_shape is None:
        return
    size = front_end.output_size
    if len(output_shape) != 2 + has_frames or output_shape[-1] not in (size, None):
        raise ModelError(
            f"has a network that gives {_dims(output_shape)}, but its front end takes {size} values"
        )


def _dims(shape: Sequence[object]) -> str:
    return f"({', '.join(str(size) if isinstance(size, int) else 'any' for size in shape)})"


__all__ = [
    "FRONT_ENDS",
    "BandGainFrontEnd",
    "GammatoneFrontEnd",
    "LogSpectrumFrontEnd",
    "MagnitudeFrontEnd",
    "SpectralMaskFrontEnd",
    "WaveformFrontEnd",
    "build",
    "check_fit",
]
