"""One line that says on what a figure was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe_machine() -> str:
    """Processor, cores and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, platform.machine())
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "ray", "numpy"))
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"
