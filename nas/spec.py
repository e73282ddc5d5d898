"""The study file: what a user writes, validated before anything runs.

Every field has its meaning and its default here; `docs/study.md` is written from this file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from controllers.cost import MICROSECONDS_PER_SECOND, Unit
from nas.start import EarlierStudy, Start, StartFrom, look_up
from search_spaces.complaints import explain, refuse_conversions, show
from search_spaces.errors import InvalidInput
from search_spaces.values import dump
from workers.training import Training

if TYPE_CHECKING:
    from nas.store import Store

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
MAX_SEED = 2**63 - 1
MAX_AMOUNT = 2**63 - 1
"""What the results database can count."""
MAX_SEEDS = 10_000
TABULAR = "tabular"
"""The family of spaces whose networks are looked up."""


class Section(BaseModel):
    """A part of a study file: unknown fields, NaN and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


OWN_FIELDS = ("method", "label", "start_from")
"""Fields of a method that are not its hyperparameters."""


class MethodSpec(Section):
    """One method of the study. In the file: a name, or a mapping `{method: NAME, **hyperparameters}`."""

    method: str
    """Name in the registry of controllers, or `package.module:attribute`."""
    label: str = ""
    """What tables call it; needed when one method occurs twice. Default: the method's name."""
    start_from: StartFrom = None
    """What is tried first: architectures, `{grid: FIELDS, top: N}` or `{study: NAME, top: N}`; none: nothing given."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """The method's own hyperparameters, by name."""

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        if isinstance(value, str):
            return {"method": value, "label": value}
        if isinstance(value, Mapping):
            options = {str(name): option for name, option in value.items() if name not in OWN_FIELDS}
            named = {name: value[name] for name in OWN_FIELDS if name in value}
            if named.get("label") == "":
                raise InvalidInput("must not be empty; without it, the label is the method's name", field="label")
            return {"label": value.get("method"), **named, "options": options}
        raise InvalidInput(f"must be a method's name, or {{method: NAME, **hyperparameters}}, got {show(value)}")

    def as_written(self) -> dict[str, Any]:
        """The mapping form."""
        start = {} if self.start_from is None else {"start_from": _as_written(self.start_from)}
        return {"method": self.method, "label": self.label, **start, **self.options}


class BudgetSpec(Section):
    """What every run may spend: exactly one of the amounts."""

    flops: int | None = Field(default=None, ge=1, le=MAX_AMOUNT)
    """Floating-point operations, counted on the real steps."""
    device_seconds: float | None = Field(default=None, ge=1e-6, le=MAX_AMOUNT // MICROSECONDS_PER_SECOND)
    """Seconds of computing on the worker's device; hardware-bound, so not comparable across machines."""
    epochs: int | None = Field(default=None, ge=1, le=MAX_AMOUNT)
    """Epochs of training, whatever one costs."""
    trials: int | None = Field(default=None, ge=1, le=MAX_AMOUNT)
    """Ordinary trials; a longer training counts as several, and trials that go on from each other as one training."""
    of_grid: float | None = Field(default=None, gt=0)
    """Part of what training the study's whole grid costs."""
    unit: Literal[Unit.FLOPS, Unit.EPOCHS, Unit.TRIALS] = Unit.FLOPS
    """Unit in which `of_grid` prices the grid."""

    @model_validator(mode="after")
    def _one_amount(self) -> BudgetSpec:
        amounts = ("flops", "device_seconds", "epochs", "trials", "of_grid")
        given = [name for name in amounts if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidInput(f"must have exactly one of {', '.join(amounts)}, got {', '.join(given) or 'none'}")
        if "unit" in self.model_fields_set and self.of_grid is None:
            raise InvalidInput(f"belongs to of_grid; {given[0]} is its own unit", field="unit")
        return self


class Resources(Section):
    """Where trials run."""

    workers: int = Field(default=2, ge=1, le=10_000)
    """Trials at a time. With 1 the study is sequential, and its replay is bit for bit."""
    cpus_per_trial: float = Field(default=1.0, gt=0)
    """CPUs that Ray sets aside for every trial; a trial computes on one thread."""
    gpus_per_trial: float = Field(default=0.0, ge=0)
    """May be a fraction: several trials then share a GPU."""
    storage: Path = Path("nas-files")
    """Folder for weights and checkpoints, which every worker must see."""


class Limits(Section):
    """When to give up."""

    trial_seconds: float = Field(default=3600.0, gt=0)
    """A trial still running after this has hung, and fails."""
    retries: int = Field(default=2, ge=0)
    """How often a trial whose worker died is tried again."""
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    """Least time between two checkpoints of one trial."""
    idle_proposals: int = Field(default=100, ge=1)
    """A run ends after this many proposals in a row that teach nothing: repeats, or networks that break."""


class SchedulerSpec(Section):
    """Early stopping of search trials by one of Ray Tune's schedulers; every run has its own."""

    name: Literal["asha", "median"]
    """Asynchronous successive halving (Li et al., 2020) or the median stopping rule (Golovin et al., 2017)."""
    grace_epochs: int = Field(default=1, ge=1)
    """Epochs that every trial gets."""
    reduction_factor: float = Field(default=3.0, gt=1)
    """ASHA: one in so many trials survives a rung."""


class FinalSpec(Section):
    """The final protocol: how every run's choice is retrained, on a separate account."""

    training: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of `training` that differ in the final protocol; `epochs` defaults to three times the trials'."""


def _name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        raise InvalidInput(
            f"must be at most 100 letters, digits, `.`, `_` and `-`, the first a letter or digit, got {show(value)}"
        )
    return value


def _seeds(value: object) -> object:
    if _is_whole(value) and 1 <= value <= MAX_SEEDS:
        return tuple(range(value))
    if (
        isinstance(value, list | tuple)
        and 1 <= len(value) <= MAX_SEEDS
        and all(_is_whole(seed) and 0 <= seed <= MAX_SEED for seed in value)
        and len(set(value)) == len(value)
    ):
        return tuple(value)
    raise InvalidInput(
        f"must be how many, from 1 to {MAX_SEEDS}, or a list of distinct whole numbers from 0, got {show(value)}"
    )


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


class StudySpec(Section):
    """A study: the comparison of several methods on one task at equal compute."""

    name: Annotated[str, AfterValidator(_name)]
    """Letters, digits, `.`, `_` and `-`."""
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    """Root of every random stream of the study."""
    task: Mapping[str, Any] = Field(default_factory=dict)
    """`{name: NAME, **fields}`. A `tabular` space needs none: a table is its own task."""
    space: Mapping[str, Any]
    """`{family: NAME, **fields}`."""
    methods: tuple[MethodSpec, ...] = Field(min_length=1)
    """What is compared: names, or mappings `{method: NAME, label: LABEL, **hyperparameters}`."""
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = (0, 1, 2)
    """Runs per method: how many, or which seeds. Every method gets the same."""
    budget: BudgetSpec
    """What every run may spend."""
    training: Training = Field(default_factory=Training)
    """How every trial is trained."""
    final: FinalSpec = Field(default_factory=FinalSpec)
    """How every choice is retrained at the end."""
    resources: Resources = Field(default_factory=Resources)
    """Where trials run, and how many at a time."""
    limits: Limits = Field(default_factory=Limits)
    """When to give up on a trial or a run."""
    scheduler: SchedulerSpec | None = None
    """Early stopping of search trials; none: every trial runs to its end."""
    spend_rest: bool = True
    """Whether a run whose search is over trains its choice further with what is left of its budget."""
    reuse: bool = True
    """Whether an architecture already trained in the run is answered from the record at no cost."""

    @model_validator(mode="after")
    def _task_or_table(self) -> StudySpec:
        is_table = self.space.get("family") == TABULAR
        if is_table and self.task:
            raise InvalidInput("must be left out: a table is its own task", field="task")
        if not is_table and not self.task:
            raise InvalidInput("is required, unless the space is tabular", field="task")
        return self

    @property
    def is_tabular(self) -> bool:
        """Whether trials are looked up, not trained."""
        return not self.task

    def with_starts(self, store: Store) -> StudySpec:
        """The study with the best of earlier studies in place of their names.

        Raises:
            StoreError, InvalidInput: an earlier study has nothing to start from.
        """
        methods = []
        for index, method in enumerate(self.methods):
            if isinstance(method.start_from, EarlierStudy):
                try:
                    method = method.model_copy(update={"start_from": look_up(method.start_from, store)})
                except InvalidInput as error:
                    raise error.within(f"methods.{index}.start_from") from None
            methods.append(method)
        return self.model_copy(update={"methods": tuple(methods)})

    @property
    def starts_from_studies(self) -> bool:
        """Whether a method starts from an earlier study."""
        return any(isinstance(method.start_from, EarlierStudy) for method in self.methods)

    @field_validator("methods", mode="after")
    @classmethod
    def _distinct_labels(cls, methods: tuple[MethodSpec, ...]) -> tuple[MethodSpec, ...]:
        label, count = Counter(method.label for method in methods).most_common(1)[0]
        if count > 1:
            raise InvalidInput(f"labels must be distinct, got {label!r} {count} times: add `label`")
        return methods


def _as_written(start: Start) -> Any:
    return [dict(one) for one in start] if isinstance(start, tuple) else dump(start)


def parse_spec(data: object) -> StudySpec:
    """A study from builtins.

    Raises:
        InvalidInput: one line that names the field and what is allowed.
    """
    if not isinstance(data, Mapping):
        raise InvalidInput(f"a study must be a mapping with name, task, space, methods and budget, got {show(data)}")
    try:
        spec = StudySpec.model_validate(data)
    except ValidationError as error:
        raise explain(error, StudySpec) from None
    refuse_conversions(data, spec)
    return spec


def dump_spec(spec: StudySpec) -> dict[str, Any]:
    """The study as JSON-compatible builtins, every default spelled out. `parse_spec` is the inverse."""
    without_unit = {"budget": {"unit"}} if spec.budget.of_grid is None else {}
    data = spec.model_dump(mode="json", exclude={"methods": True, **without_unit})
    return {**data, "methods": [method.as_written() for method in spec.methods]}
