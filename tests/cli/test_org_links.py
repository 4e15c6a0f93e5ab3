"""Links by the ids of Org notes, as commands follow them."""

import json

NOTES = {
    "raft.org": ":PROPERTIES:\n:ID: 1f-2e\n:END:\n#+title: Raft\n\nElections of leaders among logs.",
    "sub/paxos.org": "#+title: Paxos\n\nElections of leaders among ballots. Like [[id:1f-2e][the other]].",
    "tea.md": "# Tea\n\nOolong, sencha, darjeeling, and a pot.",
    "bread.md": "# Bread\n\nFlour with water, salt, some time.",
}


def test_similar_notes_know_links_by_id(fake_encoder, run, write_notes):
    folder = write_notes(NOTES)
    run("index", folder)
    for name, links in (("raft.org", ["from"]), ("sub/paxos.org", ["to"])):
        (hit,) = json.loads(run("similar", folder / name, "--path", "*.org", "--json").out)
        assert hit["links"] == links
        unlinked = run("similar", folder / name, "--unlinked", "--files").out
        assert hit["path"] not in unlinked


def test_a_note_that_loses_its_id_loses_the_links(fake_encoder, run, write_notes):
    folder = write_notes(NOTES)
    run("index", folder)
    (folder / "raft.org").write_text("#+title: Raft\n\nElections of leaders among logs.")
    run("index")
    (hit,) = json.loads(run("similar", folder / "raft.org", "--path", "*.org", "--json").out)
    assert hit["links"] == []


def test_concepts_are_proposed_for_links_by_id(fake_encoder, run, write_notes):
    folder = write_notes(NOTES)
    run("index", folder)
    assert "# linked: sub/paxos.org → raft.org" in run("concepts", "suggest").out
