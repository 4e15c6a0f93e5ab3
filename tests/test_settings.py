from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from notesearch.errors import SettingsError
from notesearch.settings import (
    Setting,
    Settings,
    cache_dir,
    collection_names,
    config_file,
    load_settings,
    resolve_settings,
)


@pytest.fixture(autouse=True)
def own_home(own_folders, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def write_config(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "config" / "notesearch" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_the_defaults(tmp_path):
    settings = load_settings()
    assert settings.index_dir == tmp_path / "data" / "notesearch"
    assert settings.model is None
    assert settings.max_file_bytes == 2_000_000
    assert settings.follow_symlinks is False


def test_where_things_are_kept(tmp_path):
    assert config_file() == tmp_path / "config" / "notesearch" / "config.toml"
    assert cache_dir() == tmp_path / "cache" / "notesearch"


def test_flag_beats_environment_beats_file_beats_default(write_config, monkeypatch):
    write_config('index_dir = "/from/file"\nmodel = "file-model"\nmax_file_bytes = 5\nfollow_symlinks = true\n')
    settings = load_settings()
    assert (settings.index_dir, settings.model) == (Path("/from/file"), "file-model")
    assert (settings.max_file_bytes, settings.follow_symlinks) == (5, True)

    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", "/from/environment")
    monkeypatch.setenv("NOTESEARCH_MODEL", "environment-model")
    settings = load_settings()
    assert (settings.index_dir, settings.model) == (Path("/from/environment"), "environment-model")
    assert settings.max_file_bytes == 5

    settings = load_settings(index_dir=Path("/flag"), model="flag-model", max_file_bytes=7, follow_symlinks=False)
    assert (settings.index_dir, settings.model) == (Path("/flag"), "flag-model")
    assert (settings.max_file_bytes, settings.follow_symlinks) == (7, False)


def test_an_empty_variable_counts_as_none(write_config, monkeypatch):
    write_config('index_dir = "/from/file"')
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", "")
    monkeypatch.setenv("NOTESEARCH_MODEL", "")
    settings = load_settings()
    assert (settings.index_dir, settings.model) == (Path("/from/file"), None)


def test_a_home_directory_is_filled_in(write_config, tmp_path):
    write_config('index_dir = "~/index"')
    assert load_settings().index_dir == tmp_path / "home" / "index"


@pytest.mark.parametrize("given", ["relative/index", "~nosuchuser/index"])
def test_an_index_directory_is_absolute(given, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings(index_dir=Path(given)).index_dir == tmp_path / given


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('indexdir = "/x"', "unknown setting 'indexdir'"),
        ("[search]\nlimit = 5", "unknown setting 'search'"),
        ("index_dir = 5", "index_dir should be of type str"),
        ('max_file_bytes = "5"', "max_file_bytes should be of type int"),
        ("max_file_bytes = true", "max_file_bytes should be of type int"),
        ("max_file_bytes = 5.0", "max_file_bytes should be of type int"),
        ("follow_symlinks = 1", "follow_symlinks should be of type bool"),
        ("model = ", "cannot read"),
        ("this is no TOML", "cannot read"),
        (b'model = "\xff"', "cannot read"),
    ],
)
def test_a_wrong_settings_file_is_refused_by_name(write_config, text, told):
    path = write_config(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_a_wrong_settings_file_is_refused_even_where_a_flag_is_given(write_config):
    write_config("model = 5")
    with pytest.raises(SettingsError):
        load_settings(model="flag-model")


def test_a_settings_file_that_is_a_folder_is_refused(tmp_path):
    config_file().mkdir(parents=True)
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings()


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        load_settings().model = "another"  # type: ignore[misc]


def test_a_relative_index_dir_in_the_file_is_relative_to_the_file(monkeypatch):
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text('index_dir = "beside"\n')
    assert load_settings().index_dir == config_file().parent / "beside"


def test_the_file_of_concepts_is_the_usual_one_where_it_exists(write_config):
    assert load_settings().concepts is None
    usual = config_file().with_name("concepts.toml")
    write_config("").with_name("concepts.toml").write_text("")
    assert load_settings().concepts == usual
    assert load_settings(concepts=Path("other.toml")).concepts == Path("other.toml")


def test_the_settings_name_a_file_of_concepts_relative_to_themselves(write_config, tmp_path):
    write_config('concepts = "ideas/links.toml"')
    assert load_settings().concepts == config_file().parent / "ideas" / "links.toml"
    write_config('concepts = "~/links.toml"')
    assert load_settings().concepts == tmp_path / "home" / "links.toml"
    write_config("concepts = true")
    with pytest.raises(SettingsError, match="concepts should be of type str"):
        load_settings()


WORK = """
model = "file-model"
max_file_bytes = 5
index_dir = "/from/file"
[collections.work]
folders = ["~/work", "beside", "/absolute"]
model = "work-model"
tags = ["job"]
not_tags = ["archive", "draft"]
path = "~/work/20*"
[collections.home]
index_dir = "~/home-index"
"""


def test_a_collection_comes_between_the_environment_and_the_rest_of_the_file(write_config, monkeypatch):
    write_config(WORK)
    assert load_settings().model == "file-model"
    assert load_settings(collection="work").model == "work-model"
    assert load_settings(collection="work").max_file_bytes == 5
    assert load_settings(collection="home").model == "file-model"
    monkeypatch.setenv("NOTESEARCH_MODEL", "environment-model")
    assert load_settings(collection="work").model == "environment-model"
    assert load_settings(collection="work", model="flag-model").model == "flag-model"


def test_what_only_collections_have(write_config, tmp_path):
    write_config(WORK)
    work = load_settings(collection="work")
    beside = config_file().parent / "beside"
    assert work.folders == (tmp_path / "home" / "work", beside, Path("/absolute"))
    assert (work.tags, work.not_tags) == (("job",), ("archive", "draft"))
    assert work.path == f"{tmp_path}/home/work/20*"
    assert load_settings(collection="home").folders is None
    assert load_settings().folders is None and load_settings().tags == ()


def test_a_collection_has_an_index_of_its_own_whatever_else_names_one(write_config, tmp_path, monkeypatch):
    write_config(WORK)
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", "/from/environment")
    assert load_settings(collection="work").index_dir == tmp_path / "data" / "notesearch" / "collections" / "work"
    assert load_settings(collection="home").index_dir == tmp_path / "home" / "home-index"
    assert load_settings(collection="work", index_dir=Path("/flag")).index_dir == Path("/flag")
    assert load_settings().index_dir == Path("/from/environment")


def test_the_names_of_collections(write_config):
    assert collection_names() == ()
    write_config(WORK)
    assert collection_names() == ("work", "home")


@pytest.mark.parametrize("name", ["nosuch", "", "../work", "Work"])
def test_a_collection_that_is_not_there_is_refused_and_the_others_are_named(write_config, name):
    write_config(WORK)
    with pytest.raises(SettingsError, match="there is no collection") as caught:
        load_settings(collection=name)
    assert "work, home" in caught.value.hint


def test_without_any_collection_it_is_told_how_to_make_one():
    with pytest.raises(SettingsError) as caught:
        load_settings(collection="work")
    assert "[collections.work]" in caught.value.hint and str(config_file()) in caught.value.hint
    with pytest.raises(SettingsError) as caught:
        load_settings(collection="../work")
    assert "[collections." not in caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[collections.a]\nfolder = []", "unknown setting 'folder' in [collections.a]"),
        ("[collections.a]\nthreads = 2", "unknown setting 'threads' in [collections.a]"),
        ('folders = ["x"]', "unknown setting 'folders'"),
        ('[collections.a]\nfolders = "x"', "folders should be of type list in [collections.a]"),
        ("[collections.a]\ntags = [1]", "tags should be a list of strings in [collections.a]"),
        ('[collections]\na = "x"', "a collection should be a table in [collections.a]"),
        ("collections = 1", "collections should be of type dict"),
        ('[collections."../a"]', "'../a' cannot be the name of a collection"),
        ('[collections."a b"]', "'a b' cannot be the name of a collection"),
        ('[collections.""]', "'' cannot be the name of a collection"),
        ("editor = 1", "editor should be of type str"),
    ],
)
def test_a_wrong_collection_is_refused_whichever_is_used(write_config, text, told):
    path = write_config(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.message.startswith(f"{path}: ") and told in caught.value.message
    assert caught.value.hint


def test_the_editor_of_the_file_comes_before_that_of_every_program(write_config, monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    assert load_settings().editor is None
    monkeypatch.setenv("EDITOR", "ed")
    assert load_settings().editor == "ed"
    monkeypatch.setenv("VISUAL", "emacs")
    assert load_settings().editor == "emacs"
    write_config('editor = "code --wait"')
    assert load_settings().editor == "code --wait"


def test_every_setting_says_where_it_comes_from(write_config, monkeypatch):
    path = write_config(WORK)
    monkeypatch.setenv("NOTESEARCH_MODEL", "environment-model")
    found = resolve_settings("work", {"threads": 3})
    assert found["model"] == Setting("environment-model", "environment", "$NOTESEARCH_MODEL")
    assert found["threads"] == Setting(3, "flag", "--threads")
    assert found["tags"] == Setting(("job",), "collection", f"{path} [collections.work]")
    assert found["max_file_bytes"] == Setting(5, "file", str(path))
    assert found["follow_symlinks"] == Setting(False, "default", "")
    assert found["index_dir"].source == "default"
    assert set(found) == {field.name for field in fields(Settings)}


@pytest.mark.parametrize("content", ["model = " + "[" * 100_000, "threads = " + "9" * 20_000, "threads = 1e999"])
def test_values_that_stop_a_parser(content, write_config):
    write_config(content)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(caught.value.message) < 1_000 and len(caught.value.hint) < 1_000
