"""One iteration of Xu's and of Shah's training."""

import baselines
import keras
import numpy as np
from games import (
    BANDS,
    BINS,
    CONTEXT,
    INPUTS,
    SHAH_BATCH,
    XU_BATCH,
    elsewhere,
    shah_batch,
    shah_game,
    take,
    xu_batch,
    xu_step,
)
from keras import ops
from measuring import compare, relative_difference, try_torch

from keras_segan import backends
from keras_segan.reproductions import xu as xu_recipe
from keras_segan.training.step import Step

XU_UNITS, XU_DROPOUT, SHAH_UNITS = 2048, 0.2, 512


def rows(floors):
    yield xu_row(floors)
    yield shah_row(floors)


def products(sizes) -> int:
    """Multiplications and additions of dense layers for one example."""
    return 2 * sum(a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True))


def xu_row(floors):
    batch = xu_batch()
    x, y = batch.values()
    sizes = (CONTEXT * BINS, *[XU_UNITS] * 3, BINS)
    network = xu_recipe.build(xu_recipe.Settings())
    step = xu_step(network)
    plain = baselines.keras_perceptron(sizes, XU_DROPOUT, input_shape=(CONTEXT, BINS))
    plain.set_weights(network.get_weights())
    losses = [[float(ops.mean(ops.abs(each(x) - y)))] for each in (network, plain)]
    plain.compile(keras.optimizers.Adam(1e-4), "mae")
    functions = {"ours": lambda: take(step, **batch), "keras": lambda: plain.train_on_batch(x, y)}
    torch = try_torch()
    if torch:
        functions["torch"] = torch_xu(torch, sizes, x, y)
    flops = XU_BATCH * (3 * products(sizes) - products(sizes[:2]))
    with elsewhere("xu") as others:
        return compare(
            f"Xu iteration, batch {XU_BATCH}",
            functions | others(),
            difference=relative_difference(*losses),
            floor=flops / floors["flops"],
            floor_of="GEMM",
        )


def torch_xu(torch, sizes, x, y):
    network = baselines.torch_perceptron(torch, sizes, XU_DROPOUT)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    x, y = torch.from_numpy(x.reshape(len(x), -1)), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        loss = (network(x) - y).abs().mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def shah_row(floors):
    arrays = shah_batch()
    batch = tuple(arrays.values())
    game = shah_game()
    step = Step(game.players, game.shapes)
    hidden = [SHAH_UNITS] * 3
    plain = PlainShah(
        baselines.keras_perceptron((INPUTS, *hidden, BANDS), output="sigmoid"),
        baselines.keras_perceptron((BANDS, *hidden, 1), activation="tanh"),
    )
    for ours, theirs in ((game.generator, plain.generator), (game.discriminator, plain.discriminator)):
        kernels, biases = np.split(np.array(ours.get_weights(), dtype=object), 2)
        theirs.set_weights([array for pair in zip(kernels, biases, strict=True) for array in pair])
    losses = [
        [game.discriminator_loss(*batch), game.generator_loss(*batch)[0]],
        [plain.discriminator_loss(*batch), plain.generator_loss(*batch)],
    ]
    functions = {"ours": lambda: take(step, **arrays), "keras": lambda: plain.step(*batch)}
    torch = try_torch()
    if torch:
        functions["torch"] = TorchShah(torch, hidden, batch).step
    g, d = products((INPUTS, *hidden, BANDS)), products((BANDS, *hidden, 1))
    flops = SHAH_BATCH * (g + 6 * d + 3 * g + 2 * d)  # D: G once, D on two batches; G through D
    with elsewhere("shah") as others:
        return compare(
            f"Shah iteration (D and G), batch {SHAH_BATCH}",
            functions | others(),
            repeats=15,
            difference=relative_difference(*losses),
            floor=flops / floors["flops"],
            floor_of="GEMM",
        )


class PlainShah:
    """The MMSE-GAN as one would write it: two compiled steps one after the other."""

    def __init__(self, generator, discriminator):
        self.generator, self.discriminator = generator, discriminator
        self.optimizers = [keras.optimizers.Adam(1e-3, epsilon=1e-8) for _ in range(2)]
        shapes = ((None, INPUTS), (None, BANDS), (None, BANDS))
        self.steps = [
            backends.compile_step(self._move(*player), self._variables, shapes)
            for player in (
                (discriminator, self.discriminator_loss, self.optimizers[0]),
                (generator, self.generator_loss, self.optimizers[1]),
            )
        ]

    def _variables(self):
        return [v for part in (self.generator, self.discriminator, *self.optimizers) for v in part.variables]

    def _move(self, network, loss, optimizer):
        optimizer.build(network.trainable_variables)

        def step(*batch):
            variables = network.trainable_variables
            value, gradients = backends.value_and_gradients(lambda: loss(*batch), variables)
            optimizer.apply(gradients, variables)
            return value

        return step

    def enhanced(self, features, noisy):
        return ops.log(ops.maximum(self.generator(features) * noisy, 1e-8))

    def discriminator_loss(self, features, noisy, clean):
        fake = self.discriminator(self.enhanced(features, noisy))
        return ops.mean(ops.softplus(-self.discriminator(clean))) + ops.mean(ops.softplus(fake))

    def generator_loss(self, features, noisy, clean):
        enhanced = self.enhanced(features, noisy)
        return ops.mean(ops.softplus(-self.discriminator(enhanced))) + 0.5 * ops.mean(
            ops.square(enhanced - clean)
        )

    def step(self, *batch):
        return [float(step(*batch)) for step in self.steps]


class TorchShah:
    """The same in PyTorch."""

    def __init__(self, torch, hidden, batch):
        self.torch = torch
        self.batch = [torch.from_numpy(array) for array in batch]
        self.generator = baselines.torch_perceptron(
            torch, (INPUTS, *hidden, BANDS), output=torch.nn.Sigmoid()
        )
        self.discriminator = baselines.torch_perceptron(torch, (BANDS, *hidden, 1), activation="Tanh")
        self.adams = [
            torch.optim.Adam(network.parameters(), 1e-3, eps=1e-8)
            for network in (self.discriminator, self.generator)
        ]

    def enhanced(self):
        features, noisy, _ = self.batch
        return (self.generator(features) * noisy).clamp(min=1e-8).log()

    def step(self):
        softplus, clean = self.torch.nn.functional.softplus, self.batch[2]
        with self.torch.no_grad():
            enhanced = self.enhanced()
        loss = softplus(-self.discriminator(clean)).mean() + softplus(self.discriminator(enhanced)).mean()
        self._move(self.adams[0], loss, self.discriminator)
        enhanced = self.enhanced()
        loss = softplus(-self.discriminator(enhanced)).mean() + 0.5 * ((enhanced - clean) ** 2).mean()
        self._move(self.adams[1], loss, self.generator)

    def _move(self, optimizer, loss, network):
        parameters = list(network.parameters())
        for parameter, gradient in zip(parameters, self.torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
        float(loss.detach())
