"""Networks whose weights are data: carried along with another network, but not trained or counted as a part of it."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def as_buffers(network: Network) -> Network:
    """The network itself, in evaluation mode, its parameters now buffers: its state has the same names as before."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return network.eval()
