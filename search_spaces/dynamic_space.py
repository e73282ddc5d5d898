"""Chains that choose their depth per input, beside chains that do not: one space for both.

A network is a chain and a mechanism: none, exits, gates or a policy. The decisions are those of the chain (`depth`,
`width`, `block1.op`, ...), then `mechanism`, then those of the mechanism (`exits.spacing`, `gates.gate`, ...), which
exist only where it is chosen. Any search over architectures can search it, and the static chain is one of its points:
it is the network, and has the id, that it has in the space of chains. So has a chain that is too shallow for what was
chosen.

All are trained as ordinary architectures, by the recipe `standard` on the network's own objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from pydantic.dataclasses import dataclass
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.chain_families import CHAINS
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.from_options import space_from
from search_spaces.mechanisms import MECHANISMS, Mechanism
from search_spaces.mechanisms.exits import Exits
from search_spaces.mechanisms.gates import Gates
from search_spaces.mechanisms.policy import Policy
from search_spaces.options import Several
from search_spaces.space import Choose
from search_spaces.values import CONFIG

FAMILY = "dynamic"
STATIC = "static"
"""The mechanism of a chain that treats all inputs alike."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DynamicSpace:
    """A chain whose depth may depend on the input, by a mechanism that is searched with it."""

    input_shape: tuple[int, ...]
    num_classes: int
    chain: Mapping[str, Any]
    """A space of chains with one stage, `{family: NAME, **fields}`."""
    mechanism: Several[str] = (STATIC, *MECHANISMS)
    """Which to choose from: `static` is the chain alone."""
    exits: Exits = field(default_factory=Exits)
    """What to choose from where the mechanism is `exits`."""
    gates: Gates = field(default_factory=Gates)
    """What to choose from where the mechanism is `gates`."""
    policy: Policy = field(default_factory=Policy)
    """What to choose from where the mechanism is `policy`."""

    def __post_init__(self) -> None:
        for name in self.mechanism:
            if name not in (STATIC, *MECHANISMS):
                allowed = ", ".join((STATIC, *MECHANISMS))
                raise InvalidInput(f"must be among {allowed}, got {name!r}", field="mechanism")
        try:
            chains = self.chains
        except InvalidInput as error:
            raise error.within("chain") from None
        if not isinstance(chains, ChainSpace):  # somebody's own class
            raise InvalidInput(f"must be a space of chains, got {type(chains).__name__}", field="chain.family")
        if len(chains.all_stages()) > 1:
            raise InvalidInput(f"must have one stage, got {len(chains.stages)}", field="chain.stages")
        for name in self.mechanism:
            if name != STATIC:
                try:
                    self._mechanism(name).check(chains)
                except InvalidInput as error:
                    raise error.within(name) from None

    @cached_property
    def chains(self) -> ChainSpace:
        """The space that `chain` describes."""
        return space_from(self.chain, CHAINS, input_shape=self.input_shape, num_classes=self.num_classes)

    def compose(self, choose: Choose) -> Architecture:
        chain = self.chains.compose(choose)
        name = choose("mechanism", self.mechanism)
        assert isinstance(name, str)
        fields = None if name == STATIC else self._mechanism(name).compose(choose, f"{name}.", self.chains, chain)
        if fields is None:
            return chain
        form = {"family": FAMILY, "chain": chain.form, "mechanism": {"name": name, **fields}}
        return Architecture(depth=chain.depth, form=form)

    def build(self, architecture: Architecture) -> nn.Module:
        form = architecture.form
        if form["family"] != FAMILY:
            return self.chains.build(architecture)
        chain = Architecture(depth=architecture.depth, form=form["chain"])
        fields = {name: value for name, value in form["mechanism"].items() if name != "name"}
        return self._mechanism(form["mechanism"]["name"]).build(self.chains, chain, fields)

    def _mechanism(self, name: str) -> Mechanism:
        mechanism: Mechanism = getattr(self, name)
        return mechanism
