"""Where recordings and audio for tests are; imports no Keras."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("KSEG_SHARED", Path(__file__).parents[2] / "shared"))
ARRAYS = Path(__file__).parent / "fidelity" / "arrays"  # the smaller recordings, or their beginnings


def at_hand(recording: str) -> bool:
    """Says whether a recording, such as "gammatone/paper.npz", is in the repository or beside it."""
    return (ARRAYS / recording).is_file() or (SHARED / "goldens" / recording).is_file()
