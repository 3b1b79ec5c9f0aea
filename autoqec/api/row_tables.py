"""Lists that a notebook shows as a table, and that pandas takes: of runs, of rounds, of a front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from autoqec.errors import MissingPackageError

if TYPE_CHECKING:
    import pandas

_Item = TypeVar("_Item")


def data_frame(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    """Rows as a pandas data frame, one column for each name.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise MissingPackageError("pandas is not installed", hint="pip install 'autoqec[pandas]'") from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pandas.DataFrame([dict(row) for row in rows], columns=names or None)


class Table(Sequence[_Item], Generic[_Item]):
    """A list that cannot be changed.

    Args:
        items: What it holds.
        title: What it is, for people; by default how many there are.
    """

    #: The columns that a notebook shows.
    shown: tuple[str, ...] = ()

    def __init__(self, items: Iterable[_Item], title: str = "") -> None:
        self._items = tuple(items)
        self._title = title or f"{type(self).__name__}: {len(self._items):,}"

    @overload
    def __getitem__(self, index: int) -> _Item: ...

    @overload
    def __getitem__(self, index: slice) -> Table[_Item]: ...

    def __getitem__(self, index: int | slice) -> _Item | Table[_Item]:
        if isinstance(index, int):
            return self._items[index]
        part: Table[_Item] = Table(self._items[index], f"part of {self._title}")
        part.shown = self.shown
        return part

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        from autoqec.views.console import visible

        return f"<{visible(self._title)}>"

    def rows(self) -> list[dict[str, Any]]:
        """Each item as values by column."""
        return [row_of(item) for item in self._items]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas data frame with a row for each item.

        Raises:
            MissingPackageError: pandas is not installed: `pip install 'autoqec[pandas]'`.
        """
        return data_frame(self.rows())

    def _repr_html_(self) -> str:
        from autoqec.views.notebook_html import html_table

        return html_table(self._title, self.rows(), self.shown)


def row_of(item: Any) -> dict[str, Any]:
    """What an item says of itself, by column."""
    row: dict[str, Any] = item.to_row()
    return row
