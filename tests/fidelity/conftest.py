import numpy as np
import pytest
from keras import ops


class TorchGoldens:
    """Arrays recorded in torch's layouts; large ones as their first elements and a sum of magnitudes."""

    RUNNING = ("weight_u", "weight_v", "running_mean", "running_var")

    def __init__(self, recorded, folder):
        self.recorded = recorded
        self.folder = folder

    def __call__(self, name, whole=False):
        return self.recorded(f"{self.folder}/{name}", whole)

    def waveform(self, name):
        return self("wavs")[name] / np.float32(32768)

    def names(self, file):
        """torch's names in the order of our weights."""
        state = self(file)
        if not any(name.endswith("weight_orig") for name in state):
            return list(state)
        parts = ("weight_orig", "bias", "weight_u", "weight_v")
        layers = [name.removesuffix("weight_orig") for name in state if name.endswith("weight_orig")]
        norm = ("BN.weight", "BN.bias", "BN.running_mean", "BN.running_var")
        return [*norm, *(layer + part for layer in layers for part in parts)]

    def trained(self, file):
        return [name for name in self.names(file) if not name.endswith(self.RUNNING)]

    def compared(self, file, names, arrays, prefix, ours):
        """Yields a name, our values and the recorded ones, both flat, for all that was recorded."""
        shapes = {name: array.shape for name, array in self(file).items()}
        for name, value in zip(names, ours, strict=True):
            key = prefix + name
            value = _in_torch_layout(ops.convert_to_numpy(value), name, shapes)
            if key + "|head" in arrays:
                np.testing.assert_allclose(
                    np.abs(value).sum(dtype=np.float64), arrays[key + "|stats"][1], rtol=1e-4
                )
                yield name, value[:1000], arrays[key + "|head"]
            elif key in arrays:
                yield name, value, arrays[key].ravel()

    def assert_gradients(self, file, names, arrays, prefix, ours, tolerance=3e-4):
        """Compares gradients, relative to the array's largest value."""
        seen = 0
        for name, value, recorded in self.compared(file, names, arrays, prefix, ours):
            assert np.abs(value - recorded).max() <= tolerance * np.abs(recorded).max(), name
            seen += 1
        assert seen == len(names)

    def assert_updated(self, file, names, arrays, prefix, ours, learning_rate=5e-4, share=0.99):
        """Compares trained weights after Adam's steps, and what forward passes move.

        An element whose gradient is rounding noise may move the other way.
        """
        close, total = 0, 0
        for name, value, recorded in self.compared(file, names, arrays, prefix, ours):
            difference = np.abs(value - recorded)
            if name.endswith(self.RUNNING):
                assert difference.max() < 5e-5, name
                continue
            assert difference.max() <= 2 * learning_rate, name
            close += np.sum(difference < 1e-6)
            total += difference.size
        assert total > 5000
        assert close / total > share


def _in_torch_layout(value, name, shapes):
    if name.endswith("weight_v"):
        outputs, *inputs = shapes[name.removesuffix("v") + "orig"]
        if len(inputs) == 3:
            value = value.reshape(*inputs[1:], inputs[0]).transpose(2, 0, 1)
    elif value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
    elif value.ndim == 2:
        value = value.T
    return value.ravel()


@pytest.fixture
def torch_goldens(recorded):
    return lambda folder: TorchGoldens(recorded, folder)
