"""MetricGAN's training steps and its enhancement, warm."""

import baselines
import keras
import numpy as np
from measuring import REPEATS, compare, relative_difference, try_speechbrain, try_torch

from keras_segan import backends
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.training.metric_gan_steps import MetricGANSteps
from keras_segan.training.optimizers import Adam

BINS, HOP, RATE = 257, 256, 16000
SMALL = ((15, 5),) * 4  # MetricGAN+'s discriminator
FAST = 75  # repeats of what takes hundredths of a second
MIXED = (1.5, 2.0, 2.6, 3.3, 4.1, 6.0)


def adam(optimizer_class=keras.optimizers.Adam):
    return optimizer_class(1e-3, epsilon=1e-8)


def players(convolutions=metricgan.CONVOLUTIONS, gates=metricgan.keras2_hard_sigmoid):
    """Our steps and the straightforward ones, from the same weights."""
    ours = MetricGANSteps(
        metricgan.generator(dropout=0.0, recurrent_activation=gates),
        metricgan.discriminator(convolutions=convolutions, spare_channels=convolutions == SMALL),
        adam(Adam),
        adam(Adam),
    )
    plain = MetricGANSteps(
        baselines.keras_generator(gates=gates), baselines.keras_discriminator(convolutions), adam(), adam()
    )
    plain.generator.set_weights(ours.generator.get_weights())
    plain.discriminator.set_weights(ours.discriminator.get_weights())
    systems = {"ours": ours, "keras": plain}
    if torch := try_torch():
        systems["torch"] = baselines.TorchMetricGAN(torch, convolutions)
        if convolutions == SMALL and (networks := try_speechbrain()):
            systems["speechbrain"] = baselines.SpeechBrainMetricGAN(torch, networks)
    return systems


def in_double_precision(convolutions, gates):
    """The straightforward steps once more, to tell a difference from the rounding of single precision."""
    precision = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        return MetricGANSteps(
            baselines.keras_generator(gates=gates),
            baselines.keras_discriminator(convolutions),
            adam(),
            adam(),
        )
    finally:
        keras.config.set_dtype_policy(precision)


def spectra(seconds: float) -> list[np.ndarray]:
    frames = 1 + int(seconds * RATE) // HOP
    return list(np.random.default_rng(0).uniform(0, 1, (3, 1, frames, BINS)).astype(np.float32))


def generator_flops() -> float:
    """Of one frame, without the recurrent products."""
    return 2 * (257 * 1600 + 400 * 1600 + 400 * 300 + 300 * 257)


def discriminator_flops(convolutions, frames: int) -> float:
    """Of the direct convolutions of one image."""
    total, rows, columns, channels = 0.0, BINS, frames, 2
    for filters, size in convolutions:
        rows, columns = rows - size + 1, columns - size + 1
        total += 2 * size**2 * channels * filters * rows * columns
        channels = filters
    return total


def generator_floor(floors, frames: int, training: bool, batch: int = 1) -> float:
    """Of the generator alone; a training step passes through each layer three times, the recurrence twice."""
    recurrent_product = floors["recurrent_product" if batch == 1 else f"recurrent_product_of_{batch}"]
    recurrent = 4 * frames * recurrent_product * (2 if training else 1)
    kernels = 4 * frames * 2 * 200 * 800 if training else 0.0
    flops = batch * ((3 if training else 1) * frames * generator_flops() + kernels)
    return flops / floors["flops"] + recurrent


def discriminator_difference(ours, plain, batch, score) -> float:
    """Between losses and gradients of D from the same weights."""
    plain.generator.set_weights(ours.generator.get_weights())
    plain.discriminator.set_weights(ours.discriminator.get_weights())
    return relative_difference(
        *(
            loss_and_gradient(
                steps,
                lambda s=steps: s.discriminator_loss(*batch, score),
                steps.discriminator.trainable_variables,
            )
            for steps in (ours, plain)
        )
    )


def generator_rows(floors):
    hard = metricgan.keras2_hard_sigmoid
    yield from _generator_rows("MetricGAN G step", metricgan.CONVOLUTIONS, hard, (1.5, 3, 6), floors)
    name = "G step, MetricGAN+'s sizes (D of 15 channels)"
    yield from _generator_rows(name, SMALL, "sigmoid", (3,), floors, FAST // 3)


def _generator_rows(name, convolutions, gates, lengths, floors, repeats=REPEATS):
    systems = players(convolutions, gates)
    double = in_double_precision(convolutions, gates)
    for seconds in lengths:
        batch = spectra(seconds)
        frames = batch[0].shape[1]
        ours, plain, exact = generator_gradients(systems["ours"], systems["keras"], double, batch)
        yield compare(
            f"{name}, {seconds} s",
            {key: lambda s=s, b=batch: s.generator_step(*b) for key, s in systems.items()},
            repeats,
            difference=relative_difference(ours, plain),
            floor=generator_floor(floors, frames, True)
            + 2 * discriminator_flops(convolutions, frames) / floors["flops"],
            floor_of="recurrence, GEMM",
            note=f"single from double precision: ours {relative_difference(ours, exact):.0e},"
            f" keras {relative_difference(plain, exact):.0e}",
        )


def generator_gradients(ours, plain, double, batch):
    """Losses and gradients of G from the same weights."""
    for steps in (plain, double):
        steps.generator.set_weights(ours.generator.get_weights())
        steps.discriminator.set_weights(ours.discriminator.get_weights())
    results = []
    for steps in (ours, plain, double):
        inputs = [x.astype(steps.generator.compute_dtype) for x in batch]
        results.append(
            loss_and_gradient(
                steps, lambda s=steps, b=inputs: s.generator_loss(*b), steps.generator.trainable_variables
            )
        )
    return results


def loss_and_gradient(steps, loss_of, variables):
    """Both as arrays, the gradients in one."""
    weights = steps.discriminator.get_weights()
    result, gradients = backends.value_and_gradients(loss_of, variables)
    steps.discriminator.set_weights(weights)  # u moves in every call
    loss = result[0] if isinstance(result, tuple) else result
    return [loss, np.concatenate([np.ravel(gradient) for gradient in gradients])]


def generator_alone_rows(floors):
    """The generator without a discriminator: where the recurrent layer is."""
    systems = players()
    plain, ours = systems["keras"].generator, systems["ours"].generator
    for size in (1, 8):
        (x,) = (np.repeat(spectra(3)[0], size, axis=0),)
        functions, training = {}, {}
        for key, network in {"ours": ours, "keras": plain}.items():
            functions[key] = _inference(network, x)
            training[key] = _training(network, x)
        if "torch" in systems:
            functions["torch"] = lambda x=x: systems["torch"].infer(x)
            training["torch"] = lambda x=x: _torch_training(systems["torch"], x)
        frames = x.shape[1]
        yield compare(
            f"generator alone, forward, 3 s, batch {size}",
            functions,
            FAST,
            difference=relative_difference([functions["ours"]()], [functions["keras"]()]),
            floor=generator_floor(floors, frames, False, size),
            floor_of="recurrence, GEMM",
        )
        yield compare(
            f"generator alone, training, 3 s, batch {size}",
            training,
            FAST // 3,
            difference=relative_difference(training["ours"](), training["keras"]()),
            floor=generator_floor(floors, frames, True, size),
            floor_of="recurrence, GEMM",
        )


def _inference(network, x):
    function = backends.infer(network)
    return lambda: function(x)


def _training(network, x):
    def step(x):
        def loss():
            return keras.ops.mean(keras.ops.square(network(x, training=True) - 0.3))

        return backends.value_and_gradients(loss, network.trainable_variables)

    function = backends.compile_step(step, network.variables, [(None, None, BINS)])

    def run():
        loss, gradients = function(x)
        return [np.asarray(loss), np.concatenate([np.ravel(gradient) for gradient in gradients])]

    return run


def _torch_training(system, x):
    loss = ((system.mask(system.torch.from_numpy(x)) - 0.3) ** 2).mean()
    return system.torch.autograd.grad(loss, system.generator_parameters)


def discriminator_rows(floors):
    yield from _discriminator_rows("MetricGAN D step", metricgan.CONVOLUTIONS, (1.5, 3, 6), floors)
    yield from _discriminator_rows("D step, MetricGAN+'s sizes (15 channels)", SMALL, (3,), floors, FAST // 3)


def _discriminator_rows(name, convolutions, lengths, floors, repeats=REPEATS):
    systems = players(convolutions)
    score = np.array([[0.4]], np.float32)
    for seconds in lengths:
        batch = spectra(seconds)[:2]
        flops = discriminator_flops(convolutions, batch[0].shape[1])
        yield compare(
            f"{name}, {seconds} s",
            {key: lambda s=s, b=batch: s.discriminator_step(*b, score) for key, s in systems.items()},
            repeats,
            difference=discriminator_difference(systems["ours"], systems["keras"], batch, score),
            floor=3 * flops / floors["flops"],
            floor_of="GEMM",
        )


def mixed_rows(floors):
    systems = players()
    score = np.array([[0.4]], np.float32)
    batches = [spectra(seconds) for seconds in MIXED]
    flops = sum(discriminator_flops(metricgan.CONVOLUTIONS, b[0].shape[1]) for b in batches)
    yield compare(
        f"MetricGAN D steps, mixed lengths ({', '.join(f'{s:g}' for s in MIXED)} s)",
        {
            key: lambda s=s: [s.discriminator_step(*b[:2], score) for b in batches]
            for key, s in systems.items()
        },
        floor=3 * flops / floors["flops"],
        floor_of="GEMM",
    )


def enhancement_rows(floors):
    systems = players()
    front_end = SpectralMaskFrontEnd(compression="log1p")
    ours = Enhancer(systems["ours"].generator, front_end)
    plain = Enhancer(systems["keras"].generator, front_end)
    for seconds, repeats in ((3, FAST), (60, FAST // 5)):
        noisy = np.random.default_rng(0).normal(0, 0.1, seconds * RATE).astype(np.float32)
        functions = {"ours": lambda x=noisy: ours.enhance(x), "keras": lambda x=noisy: plain.enhance(x)}
        if "torch" in systems:
            functions["torch"] = lambda x=noisy: torch_enhance(systems["torch"], x)
        yield compare(
            f"enhancement of {seconds} s, warm",
            functions,
            repeats,
            difference=relative_difference([ours.enhance(noisy)], [plain.enhance(noisy)]),
            floor=generator_floor(floors, 1 + len(noisy) // HOP, False),
            floor_of="recurrence, GEMM",
        )


def torch_enhance(system, waveform):
    """`SpectralMaskFrontEnd` around the network, in PyTorch."""
    torch = system.torch
    with torch.no_grad():
        window = torch.hamming_window(512, periodic=False)
        spectrum = torch.stft(torch.from_numpy(waveform), 512, 256, window=window, return_complex=True).T
        magnitude = torch.log1p(spectrum.abs())
        features = (magnitude - magnitude.mean(0)) / (magnitude.std(0) + 1e-12)
        mask = system.mask(features[None])[0].clamp(min=0.05)
        enhanced = torch.polar(torch.expm1(mask * magnitude), spectrum.angle())
        return torch.istft(enhanced.T, 512, 256, window=window, length=len(waveform)).numpy()
