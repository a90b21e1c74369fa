"""Adam on PyTorch, in place."""

import torch


@torch.no_grad()
def adam(variable, moments, gradient, powers, learning_rate, betas, epsilon):
    """Moves a variable and its two moments by Adam; arguments as `tensorflow_adam.adam`."""
    first, second = (moment.value for moment in moments)
    first.lerp_(gradient, 1 - betas[0])
    second.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    size = learning_rate * torch.sqrt(1 - powers[1]) / (1 - powers[0])
    variable.value.addcdiv_(first, second.sqrt().add_(epsilon).div_(-size))
