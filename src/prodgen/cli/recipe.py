"""The fields of a recipe as someone types them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

from prodgen.cli.common import CommandError

MOST = 65_536  # of a network's channels, a batch's images and the like: none of them fits a memory
# What the numbers of a field may be, where it is not anything from 0 on: the least and the most.
LIMITS = {
    **dict.fromkeys(("latent_dim", "width", "batch_size", "r1_every"), (1, MOST)),
    **dict.fromkeys(("constant_share", "final_rate", "open_share"), (0, 1)),
    "betas": (0, 0.9999),
}


def with_fields(recipe: Any, changes: Sequence[tuple[str, str]]) -> Any:
    """The recipe, a dataclass, with fields changed, such as ("r1_gamma", "2") or ("betas", "0,0.99").

    Raises CommandError for a field that there is not, which lists them, and for what it cannot be.
    """
    types, values = get_type_hints(type(recipe)), {}
    for name, text in changes:
        if name not in types:
            raise CommandError(f"The recipe has no field {name!r}; it has: {', '.join(types)}.")
        if name in values:
            raise CommandError(f"{name} is set twice; give it one value.")
        values[name] = text if types[name] is str else _numbers(name, text, types[name])
    return dataclasses.replace(recipe, **values)


def _numbers(name: str, text: str, kind: Any) -> Any:
    several = get_args(kind)  # (float, float) of a tuple[float, float]
    number, count = (several[0], len(several)) if several else (kind, 1)
    least, most = LIMITS.get(name, (0, math.inf))
    try:
        values = tuple(number(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(least <= value <= most and value < math.inf for value in values):
        what = "whole number" if number is int else "number"
        wanted = f"{count} {what}s with a comma between them" if several else f"a {what}"
        range_ = f"from {least:g} to {most:g}" if most < math.inf else f"of {least:g} or more"
        raise CommandError(f"{name} takes {wanted} {range_}, not {text!r}.")
    return values if several else values[0]
