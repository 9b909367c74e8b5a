"""Batch normalization over the ranks of a run, on processors as on GPUs, which torch's own needs."""

from typing import Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_cli.ranks import gathered

Network = TypeVar("Network", bound=nn.Module)


class GlobalBatchNorm(_BatchNorm):
    """Normalization in training by the mean and the variance of the whole batch, of which each rank has a part.

    The parts are equally large, so that the mean is the mean of the ranks' means, and the variance the mean of their
    variances and of the squared distances of their means from it (Chan 1979): no difference of large sums. It is
    differentiable as often as one likes.
    """

    @classmethod
    def of(cls, layer: _BatchNorm) -> Self:
        """A layer with the weights, the statistics and the options of another."""
        new = cls(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        new.load_state_dict(layer.state_dict())
        return new.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        dims = [0, *range(2, input.dim())]
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        variance, mean = torch.var_mean(x, dims, correction=0)
        means, variances = gathered(torch.stack([mean, variance])).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        self._remember(mean.detach(), variance.detach(), count=len(means) * input.numel() // self.num_features)

        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale if not self.affine else self.bias - mean * scale
        shape = [-1] + [1] * (input.dim() - 2)
        return (x * scale.view(shape) + shift.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, as torch's layer does."""
        if not self.track_running_stats:
            return
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        count_of_batches = self.num_batches_tracked.to(mean.dtype)
        weight = count_of_batches.reciprocal() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var.dtype), weight)

    def _check_input_dim(self, input: Tensor) -> None:
        """Inputs of any number of dimensions are taken."""


def over_ranks(network: Network) -> Network:
    """The network with each of its batch norms over the whole batch."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, GlobalBatchNorm.of(child))
    return network
