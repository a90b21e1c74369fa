"""What a metric is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from keras_segan.metrics.pair import Pair


@dataclass(frozen=True)
class Metric:
    """A measure of a processed signal against the clean one.

    Attributes:
        name: What `get` knows it by.
        function: `(clean, processed, sample_rate) -> float`; both signals `(samples,)` in [-1, 1].
        range: Lowest and highest value there can be.
        higher_is_better: Direction.
        unit: Unit of the value.
        reference: Where it is defined.
        label: How tables call it.
        default_scale: Name of the map to [0, 1] for `scale.get`; empty where the range has no end.
        of_pair: The same as `function` on a `Pair`, so that metrics share their parts; `None` for
            users' metrics.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray, int], float]
    range: tuple[float, float]
    higher_is_better: bool = True
    unit: str = ""
    reference: str = ""
    label: str = ""
    default_scale: str = ""
    of_pair: Callable[[Pair], float] | None = field(default=None, repr=False)

    @property
    def definition(self) -> str:
        """The definition id; tables never mix two of them."""
        return self.name

    @property
    def worst(self) -> float:
        """The end of the range that a complete failure deserves."""
        return self.range[0] if self.higher_is_better else self.range[1]
