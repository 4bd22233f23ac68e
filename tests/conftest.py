"""Fixtures that tests in several folders share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data files, which are not part of the repository.

    ``SKFACTOR_DATA`` names it; otherwise it is ``../shared/data`` beside the repository, if
    that exists.
    """
    named = os.environ.get("SKFACTOR_DATA")
    if named:
        folder = Path(named)
        if not folder.is_dir():
            pytest.fail(f"SKFACTOR_DATA must name a folder; there is none at {named!r}.")
        return folder
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs real data files: set SKFACTOR_DATA to the folder that holds them")
    return folder
