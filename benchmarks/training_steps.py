"""MetricGAN's training steps and its enhancement, warm."""

import baselines
import keras
import numpy as np
from games import (
    BINS,
    HOP,
    MIXED,
    RATE,
    SCORE,
    SMALL,
    discriminator_call,
    elsewhere,
    generator_call,
    metricgan_game,
    small_game,
    spectra,
)
from measuring import REPEATS, compare, relative_difference, try_speechbrain, try_torch

from keras_segan import backends
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

FAST = 75  # repeats of what takes hundredths of a second


def games(small: bool = False) -> dict:
    """Our game and the straightforward ones; Keras's networks begin with the weights of ours."""
    ours = small_game() if small else metricgan_game()
    plain = plain_game(small)
    copy_weights(ours, plain)
    found = {"ours": ours, "keras": plain}
    if torch := try_torch():
        found["torch"] = baselines.TorchMetricGAN(torch, SMALL if small else metricgan.CONVOLUTIONS)
        if small and (networks := try_speechbrain()):
            found["speechbrain"] = baselines.SpeechBrainMetricGAN(torch, networks)
    return found


def plain_game(small: bool = False) -> baselines.PlainGame:
    """Keras's networks at the sizes of one of our games."""
    if small:
        return baselines.PlainGame(
            baselines.keras_generator(gates="sigmoid"), baselines.keras_discriminator(SMALL)
        )
    return baselines.PlainGame(baselines.keras_generator(), baselines.keras_discriminator())


def in_double_precision(small: bool) -> baselines.PlainGame:
    """The straightforward game once more, to tell a difference from the rounding of single precision."""
    precision = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        return plain_game(small)
    finally:
        keras.config.set_dtype_policy(precision)


def copy_weights(source, target):
    """Gives one game's networks the weights of another's."""
    target.generator.set_weights(source.generator.get_weights())
    target.discriminator.set_weights(source.discriminator.get_weights())


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


def discriminator_difference(ours, plain, batch) -> float:
    """Between losses and gradients of D from the same weights."""
    copy_weights(ours, plain)
    return relative_difference(
        *(
            loss_and_gradient(
                game,
                lambda g=game: g.discriminator_loss(*batch, SCORE),
                game.discriminator.trainable_variables,
            )
            for game in (ours, plain)
        )
    )


def generator_rows(floors):
    yield from _generator_rows("MetricGAN G step", False, (1.5, 3, 6), floors)
    yield from _generator_rows("G step, MetricGAN+'s sizes (D of 15 channels)", True, (3,), floors, FAST // 3)


def _generator_rows(name, small, lengths, floors, repeats=REPEATS):
    found, double = games(small), in_double_precision(small)
    steps = {key: game.steps() for key, game in found.items()}
    convolutions = SMALL if small else metricgan.CONVOLUTIONS
    with elsewhere("small G" if small else "metricgan G") as others:
        for seconds in lengths:
            batch = spectra(seconds)
            frames = batch[0].shape[1]
            ours, plain, exact = generator_gradients(found["ours"], found["keras"], double, batch)
            yield compare(
                f"{name}, {seconds} s",
                {key: generator_call(each, seconds) for key, each in steps.items()} | others(seconds),
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
    copy_weights(ours, plain)
    copy_weights(ours, double)
    results = []
    for game in (ours, plain, double):
        inputs = [x.astype(game.generator.compute_dtype) for x in batch]
        variables = game.generator.trainable_variables
        results.append(loss_and_gradient(game, lambda g=game, b=inputs: g.generator_loss(*b), variables))
    return results


def loss_and_gradient(game, loss_of, variables):
    """Both as arrays, the gradients in one."""
    weights = game.discriminator.get_weights()
    result, gradients = backends.value_and_gradients(loss_of, variables)
    game.discriminator.set_weights(weights)  # u moves in every call
    loss = result[0] if isinstance(result, tuple) else result
    return [loss, np.concatenate([np.ravel(gradient) for gradient in gradients])]


def generator_alone_rows(floors):
    """The generator without a discriminator: where the recurrent layer is."""
    found = games()
    plain, ours = found["keras"].generator, found["ours"].generator
    for size in (1, 8):
        (x,) = (np.repeat(spectra(3)[0], size, axis=0),)
        functions, training = {}, {}
        for key, network in {"ours": ours, "keras": plain}.items():
            functions[key] = _inference(network, x)
            training[key] = _training(network, x)
        if "torch" in found:
            functions["torch"] = lambda x=x: found["torch"].infer(x)
            training["torch"] = lambda x=x: _torch_training(found["torch"], x)
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
    yield from _discriminator_rows("MetricGAN D step", False, (1.5, 3, 6), floors)
    yield from _discriminator_rows("D step, MetricGAN+'s sizes (15 channels)", True, (3,), floors, FAST // 3)


def _discriminator_rows(name, small, lengths, floors, repeats=REPEATS):
    found = games(small)
    steps = {key: game.steps() for key, game in found.items()}
    convolutions = SMALL if small else metricgan.CONVOLUTIONS
    with elsewhere("small D" if small else "metricgan D") as others:
        for seconds in lengths:
            batch = spectra(seconds)[:2]
            flops = discriminator_flops(convolutions, batch[0].shape[1])
            yield compare(
                f"{name}, {seconds} s",
                {key: discriminator_call(each, seconds) for key, each in steps.items()} | others(seconds),
                repeats,
                difference=discriminator_difference(found["ours"], found["keras"], batch),
                floor=3 * flops / floors["flops"],
                floor_of="GEMM",
            )


def mixed_rows(floors):
    steps = {key: game.steps() for key, game in games().items()}
    frames = [spectra(seconds)[0].shape[1] for seconds in MIXED]
    flops = sum(discriminator_flops(metricgan.CONVOLUTIONS, each) for each in frames)
    with elsewhere("metricgan D") as others:
        yield compare(
            f"MetricGAN D steps, mixed lengths ({', '.join(f'{s:g}' for s in MIXED)} s)",
            {key: discriminator_call(each, *MIXED) for key, each in steps.items()} | others(*MIXED),
            floor=3 * flops / floors["flops"],
            floor_of="GEMM",
        )


def enhancement_rows(floors):
    found = games()
    front_end = SpectralMaskFrontEnd(compression="log1p")
    ours = Enhancer(found["ours"].generator, front_end)
    plain = Enhancer(found["keras"].generator, front_end)
    for seconds, repeats in ((3, FAST), (60, FAST // 5)):
        noisy = np.random.default_rng(0).normal(0, 0.1, seconds * RATE).astype(np.float32)
        functions = {"ours": lambda x=noisy: ours.enhance(x), "keras": lambda x=noisy: plain.enhance(x)}
        if "torch" in found:
            functions["torch"] = lambda x=noisy: torch_enhance(found["torch"], x)
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
