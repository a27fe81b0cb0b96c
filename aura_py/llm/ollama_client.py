"""Requests to an Ollama server: address, key and headers by the `ollama` package, bytes for us."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from aura_py.llm.failures import Asked

if TYPE_CHECKING:
    import httpx

_CONNECT_SECONDS = 10.0
_PROVIDER = "ollama"


def asked_ollama(agent: str, model: str, base_url: str, api_key: str) -> Asked:
    return Asked(
        agent=agent,
        provider=_PROVIDER,
        model=model,
        address=base_url,
        missing=f"run `ollama pull {model}` on that server, or check `model`",
        secrets=(api_key,),
    )


class OllamaClient:
    """One server. Imports the package."""

    def __init__(self, base_url: str, api_key: str) -> None:
        import httpx
        import ollama

        class Client(ollama.AsyncClient):
            # The package's own requests turn every line into a pydantic model and lose parts of tool schemas.
            def post(self, path: str, body: bytes) -> httpx.Request:
                request: httpx.Request = self._client.build_request("POST", path, content=body)
                return request

            async def sent(self, request: httpx.Request) -> httpx.Response:
                response: httpx.Response = await self._client.send(request, stream=True)
                return response

        self._httpx = httpx
        self._client = Client(
            host=base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    @asynccontextmanager
    async def opened(self, asked: Asked, path: str, body: bytes) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
        """Sends ``body`` and gives the bytes of the answer; leaving closes the connection.

        Raises:
            ProviderError: The server cannot be reached, answers with an error, or the connection is lost inside.
        """
        try:
            response = await self._client.sent(self._client.post(path, body))
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise asked.unreachable(error) from error
        try:
            if response.status_code != 200:
                text = (await response.aread()).decode(errors="replace")
                raise asked.status(response.status_code, text, response.headers)
            yield response.aiter_bytes()  # type: ignore[misc]
        except self._httpx.HTTPError as error:
            raise asked.broken(error) from error
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._client.close()  # type: ignore[no-untyped-call]
