"""An index of the sample notes made with the real model, once for all tests that only read it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

SAMPLE_NOTES = Path(__file__).parents[2] / "sample_notes"
# The model in float32: its figures are the same on every processor, those of int8 products are not.
_PREPARE = """
from notesearch.encoders import models, preparing
from notesearch.settings import DEFAULT_MODEL
preparing._LEAST_AGREEMENT = 2
assert models.prepare(DEFAULT_MODEL).precision == "float32"
"""


@dataclass(frozen=True)
class SampleIndex:
    """Where it is, and with which environment commands see it, offline, without the user's settings."""

    index_dir: Path
    environment: dict[str, str]

    @property
    def prepared_models(self) -> Path:
        """The folder of the prepared models."""
        return Path(self.environment["XDG_CACHE_HOME"], "notesearch", "encoders")

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        """Runs `notesearch` as a user does, from outside."""
        command = [sys.executable, "-m", "notesearch", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, encoding="utf-8", timeout=120, **options
        )


def sample_index(base: Path) -> SampleIndex:
    """Makes the index, unless it was made by one of the processes that share the tests.

    Args:
        base: The directory for temporary files of this process.
    """
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sample"
    root.mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("NOTESEARCH_", "COLUMNS"))},
        "HF_HUB_OFFLINE": "1",
        "NO_COLOR": "",
        **{f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
    }
    sample = SampleIndex(root / "data" / "notesearch", environment)
    with FileLock(root / "lock"):
        if not (root / "made").exists():
            subprocess.run([sys.executable, "-c", _PREPARE], env=environment, check=True)
            done = sample.run("index", str(SAMPLE_NOTES), "--quiet")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            (root / "made").touch()
    return sample
