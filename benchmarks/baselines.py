"""The straightforward versions: Keras 3 as one would naively write it, and PyTorch.

The Keras networks are also the reference that results are checked against: they take the weights of ours.
"""

import keras
from keras import layers

from keras_segan.layers import SpectralNormalization, keras2_hard_sigmoid
from keras_segan.models import metricgan
from keras_segan.reproductions import metricgan as metricgan_recipe


def keras_generator(bins: int = 257, gates=keras2_hard_sigmoid) -> keras.Model:
    """MetricGAN's generator of Keras's own layers."""
    inputs = x = layers.Input((None, bins))
    for _ in range(2):
        x = layers.Bidirectional(layers.LSTM(200, return_sequences=True, recurrent_activation=gates))(x)
    x = layers.LeakyReLU(0.3)(layers.Dense(300)(x))
    return keras.Model(inputs, layers.Dense(bins, activation="sigmoid")(x))


def keras_discriminator(convolutions=metricgan.CONVOLUTIONS, dense=(50, 10), bins: int = 257) -> keras.Model:
    """MetricGAN's discriminator with Keras's own convolution."""
    inputs = layers.Input((bins, None, 2))
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(inputs)
    for filters, size in convolutions:
        x = layers.LeakyReLU(0.3)(SpectralNormalization(layers.Conv2D(filters, size))(x))
    x = layers.GlobalAveragePooling2D()(x)
    for units in dense:
        x = layers.LeakyReLU(0.3)(SpectralNormalization(layers.Dense(units))(x))
    return keras.Model(inputs, SpectralNormalization(layers.Dense(1))(x))


class PlainGame(metricgan_recipe.Game):
    """MetricGAN's losses around Keras's own networks, moved by Keras's own Adam.

    Args:
        generator: From `keras_generator`.
        discriminator: From `keras_discriminator`.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model):
        super().__init__(metricgan_recipe.Settings(), generator, discriminator)

    def _adam(self):
        return keras.optimizers.Adam(self.settings.learning_rate, epsilon=self.settings.adam_epsilon)


class TorchStep:
    """A step of PyTorch's players in the place of a `training.step.Step`; checkpoints hold nothing of it.

    Args:
        name: Name of the player.
        function: Takes the arrays of a batch by name and returns the loss.
        arrays: Names of the arrays.
    """

    def __init__(self, name: str, function, arrays: tuple[str, ...]):
        self.name = name
        self.function = function
        self.shapes = dict.fromkeys(arrays, (None, None, None))
        self.state: dict = {}

    def player_of(self, name: str):
        """Returns itself: there is one player."""
        return self

    def __call__(self, **batch) -> dict[str, float]:
        return {f"{self.name}_loss": self.function(**batch)}


class TorchMetricGAN:
    """The same players in PyTorch (`nn.LSTM`, whose gates are sigmoid, `nn.Conv2d`), with their steps.

    Args:
        torch: The module.
        convolutions: Filters and kernel size of the discriminator's convolutions.
        bins: Frequency bins.
    """

    def __init__(self, torch, convolutions=metricgan.CONVOLUTIONS, bins: int = 257):
        nn = torch.nn
        spectral_norm = nn.utils.parametrizations.spectral_norm
        self.torch = torch
        self.lstm = nn.LSTM(bins, 200, 2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.Linear(400, 300), nn.LeakyReLU(0.3), nn.Linear(300, bins), nn.Sigmoid())
        modules, channels = [nn.BatchNorm2d(2)], 2
        for filters, size in convolutions:
            modules += [spectral_norm(nn.Conv2d(channels, filters, size)), nn.LeakyReLU(0.3)]
            channels = filters
        modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        for units in (50, 10):
            modules += [spectral_norm(nn.Linear(channels, units)), nn.LeakyReLU(0.3)]
            channels = units
        self.discriminator = nn.Sequential(*modules, spectral_norm(nn.Linear(channels, 1)))
        self._optimise(self.lstm, self.head)

    def _optimise(self, *generator):
        adam = self.torch.optim.Adam
        self.generator_parameters = [parameter for part in generator for parameter in part.parameters()]
        self.generator_adam = adam(self.generator_parameters, 1e-3, eps=1e-8)
        self.discriminator_adam = adam(self.discriminator.parameters(), 1e-3, eps=1e-8)

    def mask(self, features):
        """The mask of features `(batch, frames, bins)`."""
        return self.head(self.lstm(features)[0])

    def infer(self, features):
        """The same for an array, without gradients."""
        with self.torch.no_grad():
            return self.mask(self.torch.from_numpy(features)).numpy()

    def _score(self, degraded, clean):
        images = [x.reshape(len(x), 1, x.shape[2], x.shape[1]) for x in (degraded, clean)]
        return self.discriminator(self.torch.cat(images, 1))[:, 0]

    def steps(self) -> dict[str, TorchStep]:
        """The steps, by the names and with the arrays of our recipe's."""
        return {
            "generator": TorchStep("g", self._move_generator, ("features", "noisy", "clean")),
            "discriminator": TorchStep("d", self._move_discriminator, ("degraded", "clean", "scores")),
        }

    def _move_generator(self, features, noisy, clean) -> float:
        features, noisy, clean = map(self.torch.from_numpy, (features, noisy, clean))
        self.generator_adam.zero_grad()
        score = self._score(self.mask(features).clamp(min=0.05) * noisy, clean)
        # Only the generator's gradients, as in ours.
        loss = ((score - 1) ** 2).mean()
        gradients = self.torch.autograd.grad(loss, self.generator_parameters)
        for parameter, gradient in zip(self.generator_parameters, gradients, strict=True):
            parameter.grad = gradient
        self.generator_adam.step()
        return float(loss.detach())

    def _move_discriminator(self, degraded, clean, scores) -> float:
        degraded, clean, scores = map(self.torch.from_numpy, (degraded, clean, scores))
        self.discriminator_adam.zero_grad()
        loss = ((self._score(degraded, clean)[:, None] - scores) ** 2).mean()
        loss.backward()
        self.discriminator_adam.step()
        return float(loss.detach())


class SpeechBrainMetricGAN(TorchMetricGAN):
    """SpeechBrain's own networks of MetricGAN+ with the same steps.

    Args:
        torch: The module.
        networks: The module `speechbrain.lobes.models.MetricGAN`.
    """

    def __init__(self, torch, networks):
        self.torch = torch
        self.generator, self.discriminator = networks.EnhancementGenerator(), networks.MetricDiscriminator()
        self._optimise(self.generator)

    def mask(self, features):
        """The mask of features `(batch, frames, bins)`."""
        return self.generator(features, lengths=self.torch.ones(len(features)))


def torch_perceptron(torch, sizes, dropout: float = 0.0, output=None, activation: str = "ReLU"):
    """Dense layers with an activation and dropout between them."""
    nn, modules = torch.nn, []
    for number, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        modules.append(nn.Linear(inputs, outputs))
        if number < len(sizes) - 1:
            modules += [getattr(nn, activation)(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*modules, *([output] if output is not None else []))


def keras_perceptron(
    sizes, dropout: float = 0.0, output: str = "linear", activation: str = "relu", input_shape=None
) -> keras.Model:
    """The same in Keras."""
    inputs = layers.Input(input_shape or (sizes[0],))
    x = layers.Flatten()(inputs) if input_shape else inputs
    for units in sizes[1:-1]:
        x = layers.Dense(units, activation=activation)(x)
        x = layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(inputs, layers.Dense(sizes[-1], activation=output)(x))
