"""What errors say about asking again."""

from __future__ import annotations

import pytest

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    ProviderAuthError,
    ProviderOverloaded,
    ProviderUnreachable,
    RequestError,
    RunTimeout,
    Unavailable,
)
from aura_py.run.session_queue import SessionBusy
from aura_py.server.envelope import error_response


@pytest.mark.parametrize(
    ("wish", "seconds", "milliseconds"),
    [(None, "1", "1000"), (0.2, "1", "1000"), (2.5, "3", "2500"), (3600, "120", "120000")],
)
def test_an_overload_says_when_to_come_back_within_what_sdks_wait(
    wish: float | None, seconds: str, milliseconds: str
) -> None:
    response = error_response(ProviderOverloaded("x", retry_after=wish))
    assert response.status_code == 503
    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == (seconds, milliseconds)
    assert response.headers["x-should-retry"] == "true"


def test_a_server_that_drains_says_when_to_come_back() -> None:
    headers = error_response(Unavailable("x")).headers
    assert 1 <= int(headers["retry-after"]) <= 5
    assert headers["retry-after-ms"] == "1000"


@pytest.mark.parametrize(
    "error", [RequestError("x"), ContextOverflow("x"), ProviderAuthError("x"), RunTimeout("x"), AuraError("x")]
)
def test_what_will_fail_again_is_not_to_be_repeated(error: AuraError) -> None:
    assert error_response(error).headers["x-should-retry"] == "false"


@pytest.mark.parametrize("error", [ProviderOverloaded("x"), ProviderUnreachable("x"), Unavailable("x")])
def test_nothing_is_to_be_repeated_after_tools_have_run(error: AuraError) -> None:
    assert error_response(error).headers["x-should-retry"] == "true"
    assert error_response(error, tools_ran=True).headers["x-should-retry"] == "false"


def test_a_busy_session_may_be_tried_again() -> None:
    assert "x-should-retry" not in error_response(SessionBusy("x")).headers
