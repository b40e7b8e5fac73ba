"""What a query for lines or spans returns: a sequence, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar, Self, TypeVar, overload

T = TypeVar("T")


class Found(Sequence[T]):
    """Records, oldest first. `dropped` says how many more there were that could not be stored."""

    #: columns of the table, each an attribute of the records, and which of them hold times and whole numbers
    columns: ClassVar[tuple[str, ...]] = ()
    _times: ClassVar[tuple[str, ...]] = ()
    _numbers: ClassVar[tuple[str, ...]] = ("task", "attempt")

    def __init__(self, records: Sequence[T], dropped: int = 0) -> None:
        self._records = records
        self.dropped = dropped

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> T | Self:
        if isinstance(index, slice):
            return type(self)(self._records[index], self.dropped)
        return self._records[index]

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each record; times are UTC.

        Errors: ImportError, with the remedy, where pandas is not installed.

        >>> client.jobs().query_spans(job).to_pandas()[["name", "status"]]
                     name status
        0  job/greetings     OK
        1     task/Greet     OK
        """
        try:
            pandas: Any = import_module("pandas")
        except ImportError as error:
            raise ImportError(
                "to_pandas() needs pandas, which is not installed: pip install pandas"
            ) from error
        frame = pandas.DataFrame(
            {column: [getattr(record, column) for record in self._records] for column in self.columns},
            columns=list(self.columns),
        )
        for column in self._times:
            frame[column] = pandas.to_datetime(frame[column], utc=True)
        for column in self._numbers:
            frame[column] = frame[column].astype("Int64")  # which may be missing
        return frame

    def __repr__(self) -> str:
        dropped = f", {self.dropped:,} dropped" if self.dropped else ""
        return f"<{type(self).__name__}: {len(self):,}{dropped}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self._records))
