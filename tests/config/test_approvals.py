"""Approvals."""

from __future__ import annotations

import pytest

from aura_py.config.models import WebhookRoute
from tests.config.files import MINIMAL, agent, codes, found, only

CONVERSATION = MINIMAL + "[hitl.route]\nmode = 'conversational'\n"
WEBHOOK = MINIMAL + "[hitl.route]\nmode = 'webhook'\nurl = 'https://a.example/ask'\n"
SIGNED = {"AURA_HITL_WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef"}


def test_the_routes_have_their_own_patience() -> None:
    conversation, webhook = agent(CONVERSATION).hitl, agent(WEBHOOK).hitl
    assert conversation is not None
    assert webhook is not None
    assert (conversation.route.timeout_secs, webhook.route.timeout_secs) == (60, 300)
    assert agent(MINIMAL).hitl is None


@pytest.mark.parametrize(("value", "fails"), [(0, True), (1, False), (86400, False), (86401, True)])
def test_a_decision_takes_a_second_to_a_day(value: int, fails: bool) -> None:
    assert codes(found(CONVERSATION + f"timeout_secs = {value}\n")) == ["CFG-H04"] * fails


def test_a_gate_without_a_route_is_an_error() -> None:
    assert codes(found(MINIMAL + "[hitl]\n")) == ["CFG-H01"]
    assert codes(found(MINIMAL + "[hitl.route]\ntimeout_secs = 3\n")) == ["CFG-H01"]


@pytest.mark.parametrize("url", ["a.example/ask", "ftp://a.example", "", "https://"])
def test_a_webhook_needs_a_url(url: str) -> None:
    assert "CFG-H02" in codes(found(WEBHOOK.replace("https://a.example/ask", url)))


def test_plain_http_is_refused_once_a_secret_is_set() -> None:
    plain = WEBHOOK.replace("https", "http")
    assert codes(found(plain)) == ["WARN-HI01"]
    assert codes(found(plain, env=SIGNED)) == ["CFG-H05"]
    assert codes(found(WEBHOOK, env=SIGNED)) == []
    assert codes(found(CONVERSATION)) == []


def test_switching_it_off_with_a_key_explains_the_switch() -> None:
    error = only(found(CONVERSATION.replace("[hitl.route]", "[hitl]\nenabled = false\n[hitl.route]")))
    assert error.code == "CFG-S05"
    assert "presence" in error.message


def test_response_headers_are_compared_in_lower_case() -> None:
    hitl = agent(WEBHOOK + "tool_headers_from_response = { X-Approver = 'X-Approved-By' }\n", env=SIGNED).hitl
    assert hitl is not None
    assert isinstance(hitl.route, WebhookRoute)
    assert hitl.route.tool_headers_from_response == {"x-approver": "x-approved-by"}


@pytest.mark.parametrize(
    "name", ["content-type", "Accept", "MCP-Session-Id", "host", "Content-Length", "transfer-encoding"]
)
def test_transport_headers_are_reserved(name: str) -> None:
    text = WEBHOOK + f"tool_headers_from_response = {{ {name} = 'a' }}\n"
    assert codes(found(text, env=SIGNED)) == ["CFG-H08"]


def test_patterns_use_the_whole_dialect() -> None:
    assert (
        codes(
            found(CONVERSATION.replace("[hitl.route]", "[hitl]\nrequire_approval = ['k8s_{a,b}_[!x]*']\n[hitl.route]"))
        )
        == []
    )
