"""Every input that fuzzing started from or failed on, through the same checks."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
TARGETS = sorted({path.parent.name for path in INPUTS})


def check_of(target: str) -> Callable[[bytes], None]:
    return importlib.import_module(f"{__package__}.fuzz_{target}").check


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_inputs_of_the_corpus(path: Path) -> None:
    check_of(path.parent.name)(path.read_bytes())


def test_each_target_has_inputs() -> None:
    assert sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py")) == [f"fuzz_{name}" for name in TARGETS]


@pytest.mark.parametrize("target", TARGETS)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_inputs_like_those_of_the_corpus(target: str, data: st.DataObject) -> None:
    lines = [line for path in INPUTS if path.parent.name == target for line in path.read_bytes()[:2000].split(b"\n")]
    pieces = (
        st.sampled_from(lines) | st.binary(max_size=6) | st.text("\r\x0c\x85\u2028\ud800é🙂", max_size=3).map(encoded)
    )
    separator = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r", b""]))
    check_of(target)(data.draw(st.binary(max_size=1)) + separator.join(data.draw(st.lists(pieces, max_size=14))))


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
