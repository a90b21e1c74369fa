"""The recurrence of an LSTM on PyTorch: its own for sigmoid gates, a loop over the state for others."""

import torch

from keras_segan.kernels.order import order


def lstm(sequences, kernel, bias, recurrent_kernel, hard_gates: bool, backwards: bool = False, mask=None):
    """Runs an LSTM; arguments and result as `tensorflow_lstm.lstm`."""
    there, back = order(sequences.shape[1], backwards, mask)
    run = _hard if hard_gates else _fused
    return back(run(there(sequences), kernel, bias, recurrent_kernel))


def _fused(sequences, kernel, bias, recurrent_kernel):
    """PyTorch's LSTM, which has the same order of gates and two biases."""
    zero = sequences.new_zeros(1, len(sequences), recurrent_kernel.shape[0])
    weights = [kernel.T.contiguous(), recurrent_kernel.T.contiguous(), bias, torch.zeros_like(bias)]
    outputs, _, _ = torch.lstm(
        sequences,
        (zero, zero),
        weights,
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),
        bidirectional=False,
        batch_first=True,
    )
    return outputs


def _hard(sequences, kernel, bias, recurrent_kernel):
    product = torch.addmm(bias, sequences.flatten(0, 1), kernel).unflatten(0, sequences.shape[:2])
    return _HardRecurrence.apply(product.transpose(0, 1), recurrent_kernel).transpose(0, 1)


class _HardRecurrence(torch.autograd.Function):
    """From `(frames, batch, 4 * units)` and the recurrent kernel to the states h; gates of Keras 2.

    PyTorch takes microseconds to start an operation, as long as to compute it. Hence the loops have as few
    as possible: what does not depend on the state is computed for all frames at once, and results go to
    where they stay.
    """

    @staticmethod
    def forward(ctx, product, recurrent_kernel):
        """Runs the recurrence."""
        frames, batch, columns = product.shape
        units = columns // 4
        # Sigmoid gates together: i, f, o, c. With their slope and offset taken in advance, only the limits
        # are left for the loop.
        gates = _reordered(product, units)
        gates[..., : 3 * units].mul_(0.2).add_(0.5)
        recurrent = _reordered(recurrent_kernel, units)
        recurrent[:, : 3 * units].mul_(0.2)
        states = product.new_zeros(frames + 1, batch, units)
        cells = torch.zeros_like(states)
        _run(gates, recurrent, states, cells)
        ctx.save_for_backward(gates, recurrent, states, cells)
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        """Runs it backwards."""
        gates, recurrent, states, cells = ctx.saved_tensors
        units = states.shape[-1]
        i, f, o, g = gates.split(units, dim=-1)
        tanh_c = cells[1:].tanh()
        slopes = ((gates > 0) & (gates < 1))[..., : 3 * units].to(gates.dtype)
        factors = torch.stack([g, cells[:-1], tanh_c], dim=2).flatten(2) * slopes
        to_candidate = i * (1 - g * g)
        to_cell = o * (1 - tanh_c * tanh_c)
        # In the order i, f, c, o of the loop's products: what depends on the cell stands together.
        to_gates = torch.cat([factors[..., : 2 * units], to_candidate, factors[..., 2 * units :]], dim=-1)
        weights = torch.cat(
            [recurrent[:, : 2 * units], recurrent[:, 3 * units :], recurrent[:, 2 * units : 3 * units]], 1
        )
        gradient = torch.empty_like(gates)
        _run_back(gradient, to_gates, to_cell, f.contiguous(), upstream, weights.T.contiguous())
        kernel_gradient = states[:-1].flatten(0, 1).T @ gradient.flatten(0, 1)
        for array in (gradient, kernel_gradient):
            array[..., : 2 * units].mul_(0.2)
            array[..., 3 * units :].mul_(0.2)
        return gradient, kernel_gradient


def _reordered(array, units: int):
    """Copies gates i, f, c, o into the order i, f, o, c."""
    i_f, c, o = array.split([2 * units, units, units], dim=-1)
    return torch.cat([i_f, o, c], dim=-1)


def _run(gates, recurrent, states, cells):
    """Fills gates (from their products), states and cells, frame after frame."""
    units = states.shape[-1]
    sigmoids, candidates = gates.split([3 * units, units], dim=-1)
    steps = zip(
        gates.unbind(),
        sigmoids.unbind(),
        candidates.unbind(),
        *(gate.unbind() for gate in sigmoids.split(units, dim=-1)),
        states[:-1].unbind(),
        states[1:].unbind(),
        cells[:-1].unbind(),
        cells[1:].unbind(),
        strict=True,
    )
    for product, sigmoid, g, i, f, o, last_h, h, last_c, c in steps:
        product.addmm_(last_h, recurrent)
        sigmoid.clamp_(0.0, 1.0)
        g.tanh_()
        torch.mul(f, last_c, out=c)
        c.addcmul_(i, g)
        torch.tanh(c, out=h)
        h.mul_(o)


def _run_back(gradient, to_gates, to_cell, forget, upstream, transposed):
    """Fills the gradient by the gates' products, from the last frame to the first."""
    batch, units = to_cell.shape[1:]
    by_cell, by_state = gradient.unflatten(-1, (4, units)).split([3, 1], dim=2)
    cell_factors, state_factors = to_gates.unflatten(-1, (4, units)).split([3, 1], dim=2)
    dh, dc = (to_cell.new_zeros(batch, 1, units) for _ in range(2))
    dh_rows = dh[:, 0]
    steps = zip(
        *(
            array.unbind()
            for array in (
                gradient,
                by_cell,
                by_state,
                cell_factors,
                state_factors,
                to_cell.unsqueeze(2),
                forget.unsqueeze(2),
                upstream.unsqueeze(2),
            )
        ),
        strict=True,
    )
    for row, cell_part, state_part, by_c, by_h, h_to_c, f, from_above in reversed(list(steps)):
        dh.add_(from_above)
        dc.addcmul_(dh, h_to_c)
        torch.mul(dc, by_c, out=cell_part)
        torch.mul(dh, by_h, out=state_part)
        torch.mm(row, transposed, out=dh_rows)
        dc.mul_(f)
