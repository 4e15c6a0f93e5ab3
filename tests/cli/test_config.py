import json
import tomllib

import pytest


@pytest.fixture(autouse=True)
def no_editor(monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config" / "notesearch" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        f'model = "mine"\neditor = "code --wait"\n[collections.work]\nfolders = ["{tmp_path}/work"]\n'
        'not_tags = ["draft", "old"]\n[collections.home]\n'
    )
    return path


def test_the_path_is_printed_even_of_a_file_that_is_not_there_or_broken(run, tmp_path):
    path = tmp_path / "config" / "notesearch" / "config.toml"
    assert (run("config", "--path").code, run("config", "--path").out) == (0, f"{path}\n")
    path.parent.mkdir(parents=True)
    path.write_text("broken = ")
    assert run("config", "--path").out == f"{path}\n"
    assert run("config").code == 2


def test_without_a_file_there_are_defaults(run, tmp_path):
    done = run("config")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"# {tmp_path}/config/notesearch/config.toml (not there)"
    assert f'index_dir = "{tmp_path}/data/notesearch"  # default' in lines
    assert "# model is not set" in lines
    assert "max_file_bytes = 2000000  # default" in lines
    assert "folders" not in done.out and "not_tags" not in done.out


def test_each_setting_says_where_it_comes_from(run, file, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTESEARCH_MODEL", "theirs")
    lines = run("config", "-c", "work").out.splitlines()
    assert lines[:2] == [f"# {file}", "# collections: work, home"]
    assert 'model = "theirs"  # $NOTESEARCH_MODEL' in lines
    assert 'editor = "code --wait"  # file' in lines
    assert 'not_tags = ["draft", "old"]  # [collections.work]' in lines
    assert f'index_dir = "{tmp_path}/data/notesearch/collections/work"  # default' in lines
    assert 'index_dir = "/flag"  # --index-dir' in run("config", "--index-dir", "/flag").out.splitlines()
    monkeypatch.setenv("EDITOR", "vim")
    file.write_text("")
    assert 'editor = "vim"  # $EDITOR' in run("config").out.splitlines()


def test_what_is_printed_can_be_read_as_settings(run, file, tmp_path):
    settings = tomllib.loads(run("config", "-c", "work").out)
    assert settings["not_tags"] == ["draft", "old"] and settings["folders"] == [f"{tmp_path}/work"]
    assert settings["follow_symlinks"] is False


def test_as_json(run, file):
    values = json.loads(run("config", "--json", "-c", "work").out)
    assert (values["file"], values["collection"], values["collections"]) == (str(file), "work", ["work", "home"])
    assert values["settings"]["model"] == {"value": "mine", "source": "file", "place": str(file)}
    assert values["settings"]["not_tags"]["value"] == ["draft", "old"]
    assert values["settings"]["not_tags"]["place"] == f"{file} [collections.work]"
    assert values["settings"]["token_model"] == {"value": None, "source": "default", "place": ""}
    assert json.loads(run("config", "--json").out)["collection"] is None


def test_what_is_wrong_is_told_as_everywhere(run, file):
    file.write_text("colour = 1")
    done = run("config")
    assert (done.code, done.out) == (2, "")
    assert "unknown setting 'colour'" in done.err and "Known settings: index_dir, model" in done.err
