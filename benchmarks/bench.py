"""What a workload is given: sizes, repetitions, and the product to run on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

from benchmarks.report import Figure
from benchmarks.system import Product

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

#: A workload runs, checks what came out, and yields what it measured. Its docstring says what it is.
Workload = Callable[["Bench"], Iterable[Figure]]


class Bench:
    """One measurement of some workloads.

    Shape:  `repeat` is how many runs each figure is of; `scale` times the sizes of the workloads. `shared`: all of them
            run on one server, and runners go on; else each has a new one, so that none finds what another has left.
    """

    def __init__(self, *, repeat: int = 5, scale: float = 1.0, shared: bool = False) -> None:
        self.repeat = repeat
        self.scale = scale
        self._shared = shared
        self._product: Product | None = None
        self._open = ExitStack()

    def measure(self, workload: Workload) -> Iterator[Figure]:
        """Yield the figures of a workload. Those of another scale than 1 say nothing of its targets."""
        try:
            for figure in workload(self):
                yield figure if self.scale == 1 else replace(figure, target=None)
        finally:
            if not self._shared:
                self.close()

    def close(self) -> None:
        """End what runs."""
        self._product = None
        self._open.close()

    @property
    def product(self) -> Product:
        """The server of this workload, started when it is first asked for."""
        if self._product is None:
            self._product = Product(self.folder(), keep_runners=self._shared)
            self._open.callback(self._product.close)
        return self._product

    def folder(self) -> str:
        """Return a new folder, which goes away with this measurement."""
        return self._open.enter_context(TemporaryDirectory(prefix="jobledger-bench-"))

    def size(self, full: int, least: int = 1) -> int:
        """Return how much to do of what is `full` at scale 1."""
        return max(least, round(full * self.scale))

    def runs(self) -> range:
        return range(self.repeat)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def in_new_process(work: Callable[_Given, _Found], *given: _Given.args, **named: _Given.kwargs) -> _Found:
    """Return what a function of a module finds in a process of its own, with a memory of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given, **named).result()
