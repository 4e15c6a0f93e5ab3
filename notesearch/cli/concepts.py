"""`notesearch concepts`: the owner's links between ideas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from notesearch.cli.options import ALL, ConceptsFile, IndexOptions, MessageOptions, flag, option, with_groups
from notesearch.cli.terminal import harmless, show, shown_path, width, wrapped, write, write_json
from notesearch.errors import NOTHING_FOUND

if TYPE_CHECKING:
    from notesearch.library.concepts import ConceptProposal
    from notesearch.retrieval.concepts import Concepts

app = typer.Typer(
    name="concepts",
    help="""Show and propose links between ideas.

    They are kept by hand in concepts.toml, and searches follow them.

    Example: notesearch concepts suggest --limit 5
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_INDENT = "  "
_ELSEWHERE = "# Not at the end of this file: these lines belong among the ideas of its table concepts.\n"


@app.command("list")
@with_groups
def list_(concepts: ConceptsFile = None, *, index: IndexOptions, messages: MessageOptions) -> None:
    """Show the links in force, and the ideas that no note mentions.

    Exits with 1 when there are none.

    Example: notesearch concepts list
    """
    from notesearch.library.concepts import list_concepts
    from notesearch.settings import config_file

    found, unmentioned = list_concepts(index.settings(concepts=concepts))
    if found is None or not found.links:
        messages.tell(f"No concepts in {found.path if found else config_file().with_name('concepts.toml')}.")
        raise typer.Exit(NOTHING_FOUND)
    show(_lines_of_concepts(found, unmentioned))


@app.command("suggest")
@with_groups
def suggest(
    limit: Annotated[int, option("N", "The most links to propose; 0: all.", "--limit", "-n", min=0)] = 20,
    as_json: Annotated[bool, flag("Print them as JSON.", "--json")] = False,
    concepts: ConceptsFile = None,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Propose links between ideas that your notes join.

    The notes join them by links or tags, while their names do not show it. Prints lines for concepts.toml, which is
    yours: nothing is written there. Exits with 1 when there is nothing to propose.

    Example: notesearch concepts suggest --limit 5
    """
    from notesearch.library.concepts import suggest_concepts
    from notesearch.retrieval.concepts import read_concepts

    settings = index.settings(concepts=concepts)
    proposals = suggest_concepts(settings, limit=limit or ALL)
    if as_json:
        write_json([asdict(proposal) for proposal in proposals], indent=2)
    elif proposals:
        write(_toml_of_proposals(proposals, read_concepts(settings.concepts) if settings.concepts else None))
    if not proposals:
        if not as_json:
            messages.tell("Nothing to propose.")
        raise typer.Exit(NOTHING_FOUND)


def _lines_of_concepts(concepts: Concepts, unmentioned: set[str]) -> Iterator[str]:
    yield shown_path(str(concepts.path))
    for link in concepts.links:
        missing = " and ".join(idea for idea in (link.idea, link.linked) if idea in unmentioned)
        text = f"{link.idea} ~ {link.linked} ({link.weight:.2f})" + (f", no note mentions {missing}" if missing else "")
        yield from wrapped(text, width(), _INDENT, 2 * _INDENT)


def _toml_of_proposals(proposals: Sequence[ConceptProposal], concepts: Concepts | None) -> list[str]:
    """Lines that can be put at the end of the file of concepts as they are, with a heading where it has none yet.

    TOML allows a key once. So proposals for one idea share a line, and one for an idea that the file has a line for is
    written the other way round; where both have one, it is a comment. All are where the file does not end with the
    table of ideas.
    """
    from notesearch.retrieval.concepts import can_be_appended

    taken = set((concepts and concepts.keys) or ())
    groups: dict[str, list[tuple[str, str]]] = {}
    for proposal in proposals:
        key, linked = proposal.idea, proposal.linked
        if key in taken:
            key, linked = linked, key
        groups.setdefault(key, []).append((linked, proposal.why))
    lines = [] if concepts and concepts.keys is not None else ["[concepts]\n"]
    for key, entries in groups.items():
        lines += [f"# {harmless(why)}\n" for _, why in entries]
        values = ", ".join(_toml_string(linked) for linked, _ in entries)
        lines.append(f"{'# ' if key in taken else ''}{_toml_string(key)} = [{values}]\n")
    new = {harmless(key): [harmless(linked) for linked, _ in of] for key, of in groups.items() if key not in taken}
    if concepts is None or can_be_appended(concepts.path, "".join(lines), new):
        return lines
    if can_be_appended(concepts.path, "\n" + "".join(lines), new):  # the file's last line is not ended
        return ["\n", *lines]
    return ["\n", _ELSEWHERE, *(line if line.startswith("# ") else f"# {line}" for line in lines)]


def _toml_string(text: str) -> str:
    """A text as a basic string of TOML, which escapes as JSON does."""
    return json.dumps(harmless(text), ensure_ascii=False)
