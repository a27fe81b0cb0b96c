"""One fake process per provider and session; one conversation partner per test."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta
from aura_py.messages import user
from tests.wire.providers import providers

_ROOT = Path(__file__).parents[3]


@contextmanager
def fake_process(provider: str) -> Iterator[int]:
    """Starts a fake and yields its port. It ends with its standard input."""
    command = [sys.executable, "-m", f"tests.wire.providers.fakes.{provider}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield int(line)
        finally:
            process.communicate(timeout=10)


class Fakes:
    """Starts each fake when it is first needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._ports: dict[str, int] = {}

    def address(self, provider: str) -> str:
        if provider not in self._ports:
            self._ports[provider] = self._stack.enter_context(fake_process(provider))
        return f"http://127.0.0.1:{self._ports[provider]}"


@pytest.fixture(scope="session")
def fakes() -> Iterator[Fakes]:
    # A server builds its models before it serves; here that would hold the event loop for a fifth of a second.
    import_module("boto3").Session(region_name="eu-west-1")
    with ExitStack() as stack:
        yield Fakes(stack)


@pytest.fixture
async def untrusted(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a TLS server whose certificate signs itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def self_signed(directory: Path) -> Path:
    """A key and its certificate for the loopback address, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "self-signed.pem"
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@dataclass(slots=True)
class Partner:
    """One provider and one test. ``model`` builds the dialect itself, without retries around it."""

    provider: str
    address: str
    token: str
    control: httpx.AsyncClient
    built: list[ChatModel]

    @property
    def capabilities(self) -> Capabilities:
        return cast("Capabilities", import_module(f"aura_py.llm.{self.provider}").CAPABILITIES)

    def name(self, scenario: str) -> str:
        return f"scn.{scenario}.{self.token}"

    def model(self, scenario: str, family: str = "", **extra: Any) -> ChatModel:
        """``family`` is what the model's name begins with."""
        table = providers.table(self.provider, family + self.name(scenario), self.address, **extra)
        model = import_module(f"aura_py.llm.{self.provider}").build(table, agent="tester")
        self.built.append(model)
        return cast("ChatModel", model)

    async def ask(self, scenario: str, request: ChatRequest | None = None, **extra: Any) -> list[Delta]:
        """All deltas of one call."""
        stream = self.model(scenario, **extra).stream(request or ChatRequest((user("hello"),)))
        return [delta async for batch in stream for delta in batch]

    async def warm_up(self) -> None:
        """Makes one call under another token, so that what follows does not wait for an SDK to be imported."""
        token, self.token = self.token, uuid.uuid4().hex[:12]
        await self.ask("plain_text")
        self.token = token

    async def requests(self) -> list[dict[str, Any]]:
        """What the fake was asked, with ``json`` parsed."""
        seen = (await self.control.get(f"/__fake__/requests/{self.token}")).json()
        return [{**request, "json": json.loads(request["body"])} for request in seen]

    async def sent(self) -> Any:
        """The JSON body of the last request."""
        return (await self.requests())[-1]["json"]

    async def open(self, gate: str) -> None:
        await self.control.post(f"/__fake__/open/{self.token}/{gate}")

    async def closed(self) -> None:
        """Returns when the fake has seen the client close the connection."""
        await self.control.get(f"/__fake__/closed/{self.token}", timeout=10)


@pytest.fixture(params=providers.NAMES)
async def partner(
    request: pytest.FixtureRequest, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Partner]:
    """The test runs once for every provider that has a fake."""
    for name, value in providers.AWS.items():
        monkeypatch.setenv(name, value)
    address = fakes.address(request.param)
    async with httpx.AsyncClient(base_url=address, trust_env=False) as control:
        partner = Partner(request.param, address, uuid.uuid4().hex[:12], control, [])
        yield partner
        for model in partner.built:
            await model.aclose()
