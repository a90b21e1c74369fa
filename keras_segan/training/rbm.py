"""Layer-wise pre-training of a DNN as a stack of restricted Boltzmann machines (contrastive divergence)."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
from scipy.special import expit


def contrastive_divergence(
    visible: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray, np.ndarray],
    gaussian: bool,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of CD-1: the gradient of the log likelihood, approximated with one reconstruction.

    Args:
        visible: Data `(batch, visible)`: of unit variance for Gaussian units, else probabilities.
        weights: Kernel `(visible, hidden)`, hidden biases `(hidden,)` and visible biases `(visible,)`.
        gaussian: Whether the visible units are Gaussian; else they are Bernoulli.
        random: Draws the hidden states.

    Returns:
        What to add to the three arrays, times a learning rate.

    Reference:
        Hinton, Salakhutdinov 2006; Hinton 2010, "A practical guide to training RBMs", sections 3 and 13.2.
    """
    kernel, hidden_bias, visible_bias = weights
    hidden = expit(visible @ kernel + hidden_bias)
    states = (random.random(hidden.shape, np.float32) < hidden).astype(np.float32)
    field = states @ kernel.T + visible_bias
    reconstruction = field if gaussian else expit(field)
    again = expit(reconstruction @ kernel + hidden_bias)
    count = len(visible)
    return (
        (visible.T @ hidden - reconstruction.T @ again) / count,
        (hidden - again).mean(axis=0),
        (visible - reconstruction).mean(axis=0),
    )


def pretrain(
    network: keras.Model,
    batches: Callable[[int], Iterable[np.ndarray]],
    epochs: int = 20,
    learning_rate: float = 5e-4,
    seed: int = 0,
    progress: Callable[[str], object] = lambda sentence: None,
) -> None:
    """Trains all hidden layers one after the other, the first on Gaussian, the others on Bernoulli units.

    Args:
        network: With sigmoid hidden layers; the last dense layer is left as it is.
        batches: Takes the number of an epoch, returns its inputs `(batch, ...)`.
        epochs: For each layer (paper: 20).
        learning_rate: Paper: 0.0005.
        seed: Of the draws.
        progress: Told what has been done.

    Reference:
        Xu et al. 2015, section II; Hinton et al. 2006.
    """
    hidden = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)][:-1]
    random = np.random.default_rng(seed)
    below: list[tuple[np.ndarray, np.ndarray]] = []
    for number, layer in enumerate(hidden):
        kernel, bias = layer.get_weights()
        weights = [kernel, bias, np.zeros(len(kernel), np.float32)]
        for epoch in range(epochs):
            for batch in batches(epoch):
                visible = batch.reshape(len(batch), -1)
                for lower_kernel, lower_bias in below:
                    visible = expit(visible @ lower_kernel + lower_bias)
                steps = contrastive_divergence(visible, tuple(weights), number == 0, random)
                weights = [
                    w + np.float32(learning_rate) * step for w, step in zip(weights, steps, strict=True)
                ]
            progress(f"RBM of layer {number + 1}/{len(hidden)}, epoch {epoch + 1}/{epochs}")
        layer.set_weights(weights[:2])
        below.append((weights[0], weights[1]))
