"""SEGAN in PyTorch as one would write it: the baseline of its training step."""

import numpy as np
from measuring import try_torch

from keras_segan.models.segan import DEPTHS

torch = try_torch()


class Generator(torch.nn.Module if torch else object):
    def __init__(self, depths=DEPTHS):
        super().__init__()
        nn = torch.nn
        down, up = (1, *depths), (*depths[::-1], 1)
        self.encoder = nn.ModuleList(nn.Conv1d(a, b, 31, 2) for a, b in zip(down[:-1], depths, strict=True))
        self.encoder_slopes = nn.ModuleList(nn.PReLU(depth, 0.0) for depth in depths)
        self.decoder = nn.ModuleList(
            nn.ConvTranspose1d(2 * a, b, 31, 2, 15, 1) for a, b in zip(up[:-1], up[1:], strict=True)
        )
        self.decoder_slopes = nn.ModuleList(nn.PReLU(depth, 0.0) for depth in up[1:-1])

    def forward(self, x, latent):
        skips = []
        for convolution, slopes in zip(self.encoder, self.encoder_slopes, strict=True):
            skips.append(convolution(torch.nn.functional.pad(x, (14, 15))))
            x = slopes(skips[-1])
        x = torch.cat([latent, x], 1)
        for convolution, slopes, skip in zip(self.decoder, self.decoder_slopes, skips[-2::-1], strict=False):
            x = torch.cat([slopes(convolution(x)), skip], 1)
        return torch.tanh(self.decoder[-1](x))


class Discriminator(torch.nn.Module if torch else object):
    def __init__(self, depths=DEPTHS):
        super().__init__()
        nn = torch.nn
        ins = (2, *depths)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, 31, 2) for a, b in zip(ins[:-1], depths, strict=True)
        )
        self.gammas = nn.ParameterList(torch.ones(depth, 1) for depth in depths)
        self.betas = nn.ParameterList(torch.zeros(depth, 1) for depth in depths)
        self.logits, self.score = nn.Conv1d(depths[-1], 1, 1, bias=False), nn.Linear(8, 1)

    def forward(self, real, fake):
        share = 1 / (len(real) + 1)
        both = [real, fake]
        for convolution, gamma, beta in zip(self.convolutions, self.gammas, self.betas, strict=True):
            both = [convolution(torch.nn.functional.pad(x, (14, 15))) for x in both]
            reference = [moment(both[0]) for moment in (_mean, _mean_square)]
            both = [self._normalised(x, reference, share) * gamma + beta for x in both]
            both = [torch.nn.functional.leaky_relu(x, 0.3) for x in both]
        return [self.score(self.logits(x).flatten(1)) for x in both]

    @staticmethod
    def _normalised(x, reference, share):
        mean, square = (
            share * moment(x) + (1 - share) * theirs
            for moment, theirs in zip((_mean, _mean_square), reference, strict=True)
        )
        return (x - mean) * torch.rsqrt(1e-5 + square - mean**2)


def _mean(x):
    return x.mean((0, 2), keepdim=True)


def _mean_square(x):
    return x.square().mean((0, 2), keepdim=True)


class TorchSegan:
    """Both players with their steps."""

    def __init__(self, depths=DEPTHS):
        self.generator, self.discriminator = Generator(depths), Discriminator(depths)
        self.optimizers = [
            torch.optim.RMSprop(network.parameters(), 2e-4, 0.9, 1e-10)
            for network in (self.discriminator, self.generator)
        ]

    def step(self, batches):
        """D on the first batch, G on the second: `noisy`, `clean` `(batch, samples)`, `latent`."""
        d, g = ([torch.from_numpy(np.ascontiguousarray(x)) for x in batch] for batch in batches)
        noisy, clean, latent = d[0][:, None], d[1][:, None], d[2].transpose(1, 2)
        with torch.no_grad():
            fake = self.generator(noisy, latent)
        real, judged = self.discriminator(torch.cat([clean, noisy], 1), torch.cat([fake, noisy], 1))
        self._move(0, (real - 1).square().mean() + judged.square().mean())
        noisy, clean, latent = g[0][:, None], g[1][:, None], g[2].transpose(1, 2)
        fake = self.generator(noisy, latent)
        self.discriminator.requires_grad_(False)
        _, judged = self.discriminator(torch.cat([clean, noisy], 1), torch.cat([fake, noisy], 1))
        self._move(1, (judged - 1).square().mean() + 100 * (fake - clean).abs().mean())
        self.discriminator.requires_grad_(True)

    def _move(self, player, loss):
        self.optimizers[player].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers[player].step()
