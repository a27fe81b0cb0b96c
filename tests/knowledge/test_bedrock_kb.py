"""Knowledge bases of Bedrock, over the wire: what is asked, what is made of the answer, and of refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aura_py.config.models import BedrockKbStore
from aura_py.knowledge.bedrock_kb import BedrockStore
from aura_py.knowledge.contract import KnowledgeError, Search

RESULTS = [
    {
        "content": {"text": "Rotate the keys.", "type": "TEXT"},
        "location": {"type": "S3", "s3Location": {"uri": "s3://bucket/runbook.pdf"}},
        "score": 0.81,
        "metadata": {"x-amz-bedrock-kb-document-page-number": 4.0, "x-amz-bedrock-kb-chunk-id": "1", "team": "sec"},
    },
    {"content": {"text": ""}, "location": {"type": "S3", "s3Location": {"uri": "s3://bucket/empty"}}, "score": 0.8},
    {"content": {"text": "No score here."}, "location": {"type": "WEB", "webLocation": {"url": "https://e.org/a"}}},
]


@dataclass
class Bedrock:
    url: str = ""
    status: int = 200
    answer: dict[str, Any] = field(default_factory=lambda: {"retrievalResults": RESULTS})
    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)


@pytest.fixture
def bedrock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bedrock]:
    state = Bedrock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, body, self.headers["Authorization"]))
            data = json.dumps(state.answer).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(data)))
            if state.status != 200:
                self.send_header("x-amzn-ErrorType", state.answer["__type"])
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    credentials = tmp_path / "credentials"
    credentials.write_text("[audit]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = s\n")
    for name, value in {
        "AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME": state.url,
        "AWS_ACCESS_KEY_ID": "ENVKEY",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def store(**keys: Any) -> BedrockStore:
    table = {"name": "runbooks", "knowledge_base_id": "KBEXAMPLE1", "region": "eu-central-1", **keys}
    return BedrockStore(BedrockKbStore.model_validate(table))


async def search(kb: BedrockStore, text: str = "keys", **keys: Any) -> Any:
    try:
        return await kb.search(Search(text, **keys))
    finally:
        await kb.close()


async def test_passages_keep_their_source_page_and_labels(bedrock: Bedrock) -> None:
    first, second = await search(store(), limit=7)
    assert (first.text, first.score, first.kind, first.page) == ("Rotate the keys.", 0.81, "relevance", 4)
    assert (first.source, dict(first.metadata)) == ("s3://bucket/runbook.pdf", {"team": "sec", "type": "S3"})
    assert (second.source, second.score) == ("https://e.org/a", None)
    ((path, body, authorization),) = bedrock.asked
    assert path == "/knowledgebases/KBEXAMPLE1/retrieve"
    assert body == {
        "retrievalQuery": {"text": "keys"},
        "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 7}},
    }
    assert "ENVKEY" in authorization


async def test_a_named_profile_wins_over_the_environment(bedrock: Bedrock) -> None:
    await search(store(profile="audit"))
    assert "PROFILEKEY" in bedrock.asked[0][2]
    with pytest.raises(KnowledgeError, match="`runbooks`: the AWS profile does not exist"):
        await search(store(profile="absent"))


async def test_a_managed_base_is_asked_in_its_own_way(bedrock: Bedrock) -> None:
    await search(store(managed=True))
    assert list(bedrock.asked[0][1]["retrievalConfiguration"]) == ["managedSearchConfiguration"]


async def test_filters_are_bedrocks_own(bedrock: Bedrock) -> None:
    await search(store(), filters=[("team", "sec"), ("year", "2025"), ("final", "true")])
    sent = bedrock.asked[0][1]["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"]

    def equals(key: str, value: object) -> dict[str, Any]:
        return {"equals": {"key": key, "value": value}}

    assert sent == {
        "andAll": [
            equals("team", "sec"),
            {"orAll": [equals("year", "2025"), equals("year", 2025)]},
            {"orAll": [equals("final", "true"), equals("final", True)]},
        ]
    }


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [(403, "AccessDeniedException", False), (429, "ThrottlingException", True), (500, "InternalServerException", True)],
)
async def test_a_refusal_is_named_without_what_aws_says_of_accounts(
    bedrock: Bedrock, status: int, code: str, transient: bool
) -> None:
    bedrock.status, bedrock.answer = status, {"__type": code, "message": "User arn:aws:iam::123456789012:user/x"}
    with pytest.raises(KnowledgeError, match=f"`runbooks`: Bedrock answers `{code}`") as raised:
        await search(store())
    assert raised.value.transient is transient
    assert "arn:" not in str(raised.value)


async def test_it_is_never_written(bedrock: Bedrock) -> None:
    kb = store()
    assert not kb.writable
    with pytest.raises(KnowledgeError, match="filled in AWS"):
        await kb.upsert([], None, owner="tests")
    with pytest.raises(KnowledgeError, match="filled in AWS"):
        await kb.delete("x")
