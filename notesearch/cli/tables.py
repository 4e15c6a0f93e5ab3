"""Tables for people, laid out by rich; nothing that `search` needs."""

from __future__ import annotations

from collections.abc import Container, Sequence

from notesearch.cli.terminal import harmless, width

# What the widest table needs for its numbers and for names that can be told apart.
_LEAST_WIDTH = 80
_NO_LIMIT = 10_000


def table(
    rows: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    *,
    text: Container[int] = (0,),
    wrap: Container[int] = (),
    indent: str = "",
) -> list[str]:
    """Lays out a table in the columns of the terminal; without a terminal, as wide as its cells.

    Args:
        rows: Cells, of at least one row; what could make a terminal misbehave is replaced in them.
        headings: Of the columns, if they have any.
        text: Which columns are aligned left; the others are numbers. Where the window is too narrow, these are cut.
        wrap: Which columns are aligned left too, and go on below where the window is too narrow: then none is cut.
        indent: Stands before each line.

    Returns:
        Lines without line ends and colours: one for the headings, and one a row unless a column is wrapped.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    laid_out = Table(box=None, show_header=bool(headings), pad_edge=False, padding=(0, 1, 0, 0))
    for column, heading in enumerate(headings or [""] * len(rows[0])):
        is_text = column in text or column in wrap
        laid_out.add_column(Text(heading), justify="left" if is_text else "right", no_wrap=column not in (wrap or text))
    for row in rows:
        laid_out.add_row(
            *(
                Text(harmless(cell), no_wrap=column not in wrap, overflow="fold" if column in wrap else "ellipsis")
                for column, cell in enumerate(row)
            )
        )
    columns = max(_LEAST_WIDTH if headings else 0, width(without_terminal=_NO_LIMIT)) - len(indent)
    console = Console(width=columns, color_system=None, legacy_windows=False, _environ={})
    with console.capture() as capture:
        console.print(laid_out)
    return [f"{indent}{line}".rstrip() for line in capture.get().splitlines()]
