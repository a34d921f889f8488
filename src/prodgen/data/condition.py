"""What a picture can be asked for, as one vector: a class, a colour, a viewpoint, a text.

Each factor has a place of its own in the vector. A place full of zeros means that the factor is left open, so
no value that can be asked for is encoded as zeros. (R3GAN conditions on one float vector in the same way,
Huang et al., 2024.)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from prodgen.errors import DataError

LABEL = "label"  # the factor that class labels become


@dataclass(frozen=True)
class Factor:
    """One thing that can be asked for, of one of four kinds.

    - named values, such as classes or hues: one number each, 1 for the one that is meant;
    - an angle, `period` > 0 (360 for degrees): its cosine and sine;
    - `size` numbers between two `bounds`, such as an elevation or an RGB colour: each scaled to [-1, 1], and
      a 1 behind them, since the middle of the bounds would look like nothing;
    - `size` numbers without bounds, such as a text's embedding: as they are.
    """

    name: str
    values: tuple[str, ...] = ()
    size: int = 1
    period: float = 0.0
    bounds: tuple[float, float] | None = None

    @property
    def width(self) -> int:
        """Numbers in the vector."""
        if self.values:
            return len(self.values)
        return 2 if self.period else self.size + (self.bounds is not None)

    def parse(self, text: str) -> int | float | list[float]:
        """A value as someone types it: a name or number of a named one, or numbers with commas between them.

        Raises DataError, which lists what there is.
        """
        if self.values:
            return self._number(text)
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != self.size:
            raise DataError(
                f"{self.name} takes {self.size} number(s), such as {self._example()}, not {text!r}."
            )
        return numbers if self.size > 1 else numbers[0]

    def encode(self, asked: Any) -> Tensor:
        """Values -> float32 (n, width); (1, width) for a single one.

        asked: a name, a number, or several: a list of names, or a tensor (n,) or (n, size). Of named values
        the number -1, elsewhere a nan, leaves the factor open.  Raises DataError for what there is not.
        """
        if self.values:
            return self._one_hot(asked)
        given = torch.as_tensor(asked, dtype=torch.float32)
        given = given.reshape(-1, self.size) if given.numel() % self.size == 0 else given.new_empty(0, 0)
        if not given.numel():
            raise DataError(f"{self.name} takes {self.size} number(s) a picture, such as {self._example()}.")
        known = given.isfinite().all(dim=1, keepdim=True)
        if self.period:
            angle = given * (2 * math.pi / self.period)
            vector = torch.cat([angle.cos(), angle.sin()], dim=1)
        elif self.bounds:
            low, high = self.bounds
            if ((given < low) | (given > high)).any():
                raise DataError(f"{self.name} goes from {low:g} to {high:g}; {_shown(given)} is outside.")
            scaled = 2 * (given - low) / (high - low) - 1
            vector = torch.cat([scaled, torch.ones(len(given), 1)], dim=1)
        else:
            vector = given
        return torch.where(known, vector, 0.0)

    def _one_hot(self, asked: Any) -> Tensor:
        if isinstance(asked, str):
            asked = [asked]
        if not isinstance(asked, Tensor) and isinstance(asked, Sequence):
            asked = [self._number(one) if isinstance(one, str) else one for one in asked]
        numbers = torch.as_tensor(asked, dtype=torch.int64, device="cpu").reshape(-1)
        if ((numbers < -1) | (numbers >= len(self.values))).any():
            raise DataError(f"{self.name} has the values 0 to {len(self.values) - 1}: {self._listed()}.")
        return one_hot(numbers + 1, len(self.values) + 1)[:, 1:].float()

    def _number(self, text: str) -> int:
        if text in self.values:
            return self.values.index(text)
        if text.isdecimal() and int(text) < len(self.values):
            return int(text)
        lower = [value.lower() for value in self.values]
        if text.lower() in lower:
            return lower.index(text.lower())
        raise DataError(f"There is no {self.name} {text!r}; there are: {self._listed()}.")

    def _listed(self) -> str:
        return ", ".join(f"{number} {value}" for number, value in enumerate(self.values))

    def _example(self) -> str:
        low, high = self.bounds or (0.0, self.period or 1.0)
        return ",".join([f"{(low + high) / 2:g}"] * self.size)


@dataclass(frozen=True)
class Condition:
    """All the factors of a data set or a model, in the order of their places in the vector."""

    factors: tuple[Factor, ...]

    @classmethod
    def of_classes(cls, names: Sequence[str]) -> "Condition":
        """Class labels and nothing else."""
        return cls((Factor(LABEL, tuple(names)),))

    @property
    def width(self) -> int:
        """Numbers in the vector."""
        return sum(factor.width for factor in self.factors)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where each factor stands in the vector."""
        ends = torch.tensor([0, *(factor.width for factor in self.factors)]).cumsum(0).tolist()
        return {f.name: slice(*ends[i : i + 2]) for i, f in enumerate(self.factors)}

    def __getitem__(self, name: str) -> Factor:
        """A factor by its name.  Raises DataError, which lists them."""
        for factor in self.factors:
            if factor.name == name:
                return factor
        known = ", ".join(factor.name for factor in self.factors)
        raise DataError(f"There is no factor {name!r} to ask for; there is: {known}.")

    def encode(self, n: int | None = None, /, **asked: Any) -> Tensor:
        """Values by factor, as `Factor.encode` takes them -> float32 (n, width).

        A single value is repeated; a factor left out, or None, stays open. n need be given only where nothing
        says how many.  Raises DataError for an unknown factor or value, or for lengths that do not agree.
        """
        parts = {
            self[name].name: self[name].encode(value) for name, value in asked.items() if value is not None
        }
        lengths = {len(part) for part in parts.values()} - {1}
        n = n if n is not None else max(lengths, default=1)
        if lengths - {n}:
            raise DataError(f"{n} pictures cannot have {', '.join(map(str, sorted(lengths - {n})))} values.")
        vector = torch.zeros(n, self.width)
        for name, part in parts.items():
            vector[:, self.places[name]] = part
        return vector

    def in_turn(self, n: int) -> Tensor:
        """The named values in turn, the first factor's fastest; what has no names stays open: (n, width)."""
        asked, every = {}, 1
        for factor in self.factors:
            if factor.values:
                asked[factor.name] = torch.arange(n) // every % len(factor.values)
                every *= len(factor.values)
        return self.encode(n, **asked)

    def left_open(self, vector: Tensor, share: float, rng: torch.Generator) -> Tensor:
        """The vector (n, width) with factors left open at random, so that a model learns what that means.

        Of a `share` of the rows each factor is left open with probability 1/2. Most rows stay whole, and
        every choice of open factors occurs, all of them together too.
        """
        n, device = len(vector), vector.device
        chosen = torch.rand(n, 1, generator=rng, device=device) < share
        coin = torch.rand(n, len(self.factors), generator=rng, device=device) < 0.5
        kept = ~(chosen & coin)
        columns = [kept[:, i : i + 1].expand(-1, f.width) for i, f in enumerate(self.factors)]
        return vector * torch.cat(columns, dim=1)

    def to_json(self) -> list[dict[str, Any]]:
        """What a file keeps of it."""
        return [asdict(factor) for factor in self.factors]

    @classmethod
    def from_json(cls, factors: Sequence[Mapping[str, Any]]) -> "Condition":
        """What `to_json` gave, through JSON or not."""
        return cls(
            tuple(
                Factor(**{k: tuple(v) if isinstance(v, list) else v for k, v in factor.items()})
                for factor in factors
            )
        )


def _shown(given: Tensor) -> str:
    return ", ".join(f"{number:g}" for number in given.flatten()[:3].tolist())
