"""The game of Soni, Shah and Patil's masking GAN: its losses and its players."""

import keras
from keras import ops

from keras_segan.models import shah
from keras_segan.training import adversarial
from keras_segan.training.optimizers import Adam

OBJECTIVES = ("mmse-gan", "v-gan", "dnn")


class MaskingGame:
    """The three systems of the paper, on batches (features, noisy energies, clean log energies).

    Args:
        generator: From `models.shah`.
        discriminator: From `models.shah`.
        objective: What the generator minimises: `"v-gan"` -E log D, `"dnn"` half the mean squared error of
            the log spectrum, `"mmse-gan"` the sum of both.
        output: What the generator gives, see `models.shah.generator`.
        clean_statistics: Mean and standard deviation by which D's input is standardised; `None` for those of
            each batch's clean targets, over all bands (released program).
        energy_floor: See `models.shah.masked_log_spectrum`.

    Reference:
        training_gan.py, `D_loss` and `G_loss`.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        objective: str = "mmse-gan",
        output: str = "mask",
        clean_statistics: tuple[float, float] | None = None,
        energy_floor: float = 1e-8,
    ):
        if objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not '{objective}'")
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.output = output
        self.clean_statistics = clean_statistics
        self.energy_floor = energy_floor

    def enhanced(self, features, noisy):
        """Returns the enhanced log spectrum.

        Args:
            features: `(batch, inputs)`.
            noisy: Linear noisy energies `(batch, bands)`.

        Returns:
            `(batch, bands)`.
        """
        output = self.generator(features)
        if self.output == "log-spectrum":
            return output
        return shah.masked_log_spectrum(output, noisy, self.energy_floor)

    def judged(self, log_spectrum, clean):
        """Returns D's logit of a log spectrum.

        Args:
            log_spectrum: `(batch, bands)`.
            clean: The batch's clean log energies, same shape.

        Returns:
            `(batch, 1)`.
        """
        mean, deviation = self.clean_statistics or (ops.mean(clean), ops.std(clean))
        return self.discriminator((log_spectrum - mean) / deviation)

    def discriminator_loss(self, features, noisy, clean):
        """Cross entropy of clean and enhanced frames; arguments as a batch."""
        fake = self.judged(self.enhanced(features, noisy), clean)
        return adversarial.real_or_fake_loss(self.judged(clean, clean), fake)

    def generator_loss(self, features, noisy, clean):
        """The objective, and its parts where it has some; arguments as a batch."""
        enhanced = self.enhanced(features, noisy)
        error = adversarial.half_mean_square(enhanced, clean)
        if self.objective == "dnn":
            return error
        fooling = adversarial.non_saturating_loss(self.judged(enhanced, clean))
        loss = fooling if self.objective == "v-gan" else fooling + error
        return loss, {"gan": fooling, "mse": error}

    def players(self, learning_rate: float = 1e-3, epsilon: float = 1e-8) -> list[adversarial.Player]:
        """Returns who moves on every batch: D, then G, each with its own Adam; the DNN plays alone.

        Args:
            learning_rate: Of both.
            epsilon: Of both, added to the root; 1e-8 in TensorFlow 1.
        """

        def player(name: str, network: keras.Model, loss) -> adversarial.Player:
            optimizer = Adam(learning_rate, epsilon=epsilon)
            return adversarial.Player(name, (network,), optimizer, loss)

        generator = player("generator", self.generator, self.generator_loss)
        if self.objective == "dnn":
            return [generator]
        return [player("discriminator", self.discriminator, self.discriminator_loss), generator]
