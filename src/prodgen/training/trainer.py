"""What the loop needs to know of a trainer, in types."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from prodgen.training.optimiser import adam


class Trainer(ABC):
    """Networks, an Adam for each, and a step. Nothing here knows of devices, precision, files or budgets.

    A subclass names its networks, says which of them is the outcome, and writes `step`.
    """

    kind: ClassVar[str]
    outcome: ClassVar[str]  # the network that is averaged, sampled and kept: a key of `networks`

    def __init__(self, recipe: Any, **networks: nn.Module):
        # Channels last before the optimiser keeps anything: its moments are laid out as the weights are.
        self.networks = {
            name: network.to(memory_format=torch.channels_last) for name, network in networks.items()
        }
        self.optimisers: dict[str, Optimizer] = {
            name: adam(network, recipe) for name, network in self.networks.items()
        }
        self.recipe = recipe
        self.steps = 0

    @property
    def model(self) -> nn.Module:
        """The network that is averaged, sampled and kept."""
        return self.networks[self.outcome]

    def asked(self, condition: Tensor | None, rng: torch.Generator) -> Tensor | None:
        """What the networks are told: the condition, with factors left open at random, or nothing.

        So that a factor left open when sampling comes to be drawn from what the data have.
        """
        scheme = self.model.condition
        return None if scheme is None else scheme.left_open(condition, self.recipe.open_share, rng)

    @abstractmethod
    def step(self, real: Tensor, condition: Tensor | None, rng: torch.Generator) -> dict[str, Tensor]:
        """One step on a batch: real (N, C, H, W) in [-1, 1], condition (N, width) or None.

        Random numbers come from `rng`, which lives where the batch does. Returns scalar tensors to be logged.
        """

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.steps = state["steps"]
