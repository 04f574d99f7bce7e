"""The Python reference: what `fssbench` exports, and what a method or a data set of one's own derives from."""

from __future__ import annotations

import fssbench

from .markdown import page

SECTIONS = {
    "Data sets and episodes": ("open_dataset", "list_datasets", "episodes", "Episode", "EpisodeList", "list_protocols"),
    "Methods": ("build", "list_methods", "load_release", "load", "segment"),
    "Evaluating": ("evaluate", "summarise"),
    "Printed numbers": ("published",),
    "Errors": ("FSSBenchError",),
}
"""The public names, by heading; those that are in none stand under a heading of their own."""

CONTRACTS = {
    "A method": ("fssbench.methods.base.method.Method", "fssbench.methods.base.method.Prediction"),
    "A data set": ("fssbench.datasets.dataset.Dataset",),
    "A protocol": ("fssbench.protocols.choices.Protocol",),
    "What is known without importing": (
        "fssbench.methods.catalogue.MethodInfo",
        "fssbench.datasets.catalogue.DatasetInfo",
    ),
}


def python_pages() -> dict[str, str]:
    """Return the pages by their path in the site."""
    return {"reference/python.md": _public(), "reference/contracts.md": _contracts()}


def _public() -> str:
    names = [name for name in fssbench.__all__ if not name.startswith("__")]
    sections = {heading: [name for name in known if name in names] for heading, known in SECTIONS.items()}
    rest = [name for name in names if not any(name in known for known in sections.values())]
    sections |= {"More": rest} if rest else {}
    parts = [
        f"## {heading}\n\n" + "\n\n".join(_reference(f"{_home(name)}.{name}", f"fssbench.{name}") for name in known)
        for heading, known in sections.items()
        if known
    ]
    intro = (
        "These names are public and stable: `import fssbench`, then `fssbench.NAME`. Everything else may move. "
        "Nothing heavy "
        "is imported before a name is used. Each example below is run by the tests."
    )
    return page("Python", intro, *parts)


def _home(name: str) -> str:
    """Return the module in which a public name is defined."""
    return str(getattr(fssbench, name).__module__)


def _contracts() -> str:
    parts = [
        f"## {heading}\n\n" + "\n\n".join(_reference(path, path.rpartition(".")[2]) for path in paths)
        for heading, paths in CONTRACTS.items()
    ]
    intro = (
        "What a method or a data set of your own derives from. [A method of your own](../own-method.md) begins "
        "with less: a "
        "class with three functions, or one function."
    )
    return page("For your own methods and data", intro, *parts)


def _reference(path: str, shown: str) -> str:
    return f'::: {path}\n    options:\n      heading: "{shown}"\n      heading_level: 3\n      show_source: false\n'
