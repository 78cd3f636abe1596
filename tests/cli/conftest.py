"""What all tests of the command share."""

import pytest


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command silences other libraries for its process; tests share one."""
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
