"""What `nas depth` does: read studies, write their answers, and draw the weights over training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from nas import output
from nas.depth.answers import LEVEL_COLUMNS, RUN_COLUMNS
from nas.depth.rows import ANSWER_COLUMNS, answer_rows, document
from nas.depth.study import DepthStudy, depth_study
from nas.depth.svg import svg
from nas.depth.tables import depth_tables
from nas.depth.trainings import TRIAL_COLUMNS
from nas.output import Format
from nas.store import Store
from search_spaces.errors import InvalidInput

PICTURE = ".svg"


def answer_depth(store: Store, studies: Sequence[str], *, plot: Path | None, format: Format) -> None:
    """Write which depth is best in one or more studies on standard output.

    Args:
        store: where they are.
        studies: names or ids.
        plot: the picture's file, if one is wanted.
        format: of what is written.

    Raises:
        InvalidInput: a study is named twice, or the picture cannot be drawn.
        StoreError: there is no such study.
    """
    if plot is not None and plot.suffix.lower() != PICTURE:
        raise InvalidInput(f"must end in {PICTURE}, got {str(plot)!r}", field="--plot")
    answered = _read(store, studies)
    if plot is not None:
        _draw(answered, plot)
    match format:
        case Format.JSON:
            output.write_json([document(one) for one in answered])
        case Format.CSV:
            output.write_csv(ANSWER_COLUMNS, [row for one in answered for row in answer_rows(one)])
        case Format.TABLE:
            for position, one in enumerate(answered):
                output.write(*([Text()] if position else []), *depth_tables(one))


def _read(store: Store, studies: Sequence[str]) -> list[DepthStudy]:
    answered: dict[str, DepthStudy] = {}
    for study in studies:
        ((name, spec),) = store.frame("studies", study, ["name", "spec"]).itertuples(index=False)
        if name in answered:
            raise InvalidInput(f"a study can be asked once, but {name} is named twice")
        answered[name] = depth_study(
            spec,
            store.frame("runs", name, RUN_COLUMNS),
            store.frame("trials", name, TRIAL_COLUMNS),
            store.frame("v_depth", name, LEVEL_COLUMNS),
        )
    return list(answered.values())


def _draw(answered: Sequence[DepthStudy], file: Path) -> None:
    several = len(answered) > 1
    maps = [
        (f"{one.study}: {weights.label}" if several else weights.label, weights)
        for one in answered
        for weights in one.maps
    ]
    if not maps:
        raise InvalidInput(
            f"there is nothing to draw: no supernet of {', '.join(one.study for one in answered)} reported its levels",
            field="--plot",
        )
    try:
        file.write_text(svg(maps), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}", field="--plot") from None
