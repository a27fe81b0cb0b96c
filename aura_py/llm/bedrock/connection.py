"""The AWS side of Bedrock: credentials, endpoint and signatures by botocore, bytes over our own connection.

botocore blocks while it finds or renews credentials, so that happens in a thread; the signed request then goes out over
an asyncio socket, and cancelling it closes the connection.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import anyio.to_thread

from aura_py.errors import ConfigurationError, ProviderAuthError, ProviderError, ProviderRejected
from aura_py.llm.bedrock.errors import PROVIDER, bedrock_refusal
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.transport import HttpClient, HttpResponse, default_tls_context, join_url

if TYPE_CHECKING:
    from botocore.session import Session

_THREADS = 8
_LOGIN = "log in again or check the profile, the environment or the role of this host"
_BEARER_TOKEN = "AWS_BEARER_TOKEN_BEDROCK"


class BedrockConnection:
    """One operation of one model, in one region. Safe for concurrent calls."""

    def __init__(
        self, model: str, operation: str, *, region: str, profile: str | None, base_url: str | None, agent: str
    ) -> None:
        """Imports botocore and finds the profile; the first call resolves endpoint and credentials.

        Raises:
            ConfigurationError: There is no such profile.
        """
        self.path = f"/model/{quote(model, safe='-._~')}/{operation}"
        self._region = region
        self._profile = profile
        self._base_url = base_url
        self._session = _session(profile, region, agent)
        self._lock = threading.Lock()
        self._http: HttpClient | None = None
        self._limiter: anyio.CapacityLimiter | None = None

    @asynccontextmanager
    async def post(self, errors: ProviderErrors, body: bytes) -> AsyncGenerator[HttpResponse, None]:
        """Sign ``body``, send it and give the response.

        Raises:
            ProviderError: No usable credentials, the service cannot be reached, or it answered with an error.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        http, headers, secrets = await anyio.to_thread.run_sync(
            self._sign, errors, body, limiter=self._limiter, abandon_on_cancel=True
        )
        # A refusal may repeat the key id, the session token or the bearer token.
        errors = replace(errors, secrets=(*errors.secrets, *secrets))
        async with http.post(errors, body, headers) as response:
            yield response

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def sign(self, url: str, body: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
        """The headers that authorise ``body``, and what of them must not be shown. Blocks; raises what botocore does.

        A profile is meant to win over a bearer token in the environment.
        """
        from botocore.auth import BearerAuth, SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import NoCredentialsError
        from botocore.tokens import FrozenAuthToken

        request = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
        token = os.environ.get(_BEARER_TOKEN)
        if token and not self._profile:
            BearerAuth(FrozenAuthToken(token)).add_auth(request)
            return dict(request.headers.items()), (token,)
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        frozen = credentials.get_frozen_credentials()
        SigV4Auth(frozen, PROVIDER, self._region).add_auth(request)
        return dict(request.headers.items()), (frozen.access_key, frozen.token or "")

    def _sign(self, errors: ProviderErrors, body: bytes) -> tuple[HttpClient, dict[str, str], tuple[str, ...]]:
        from botocore import exceptions

        try:
            with self._lock:
                if self._http is None:
                    self._http = self._connect()
            return self._http, *self.sign(self._http.url, body)
        except (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.TokenRetrievalError,
            exceptions.SSOError,
            exceptions.MetadataRetrievalError,
        ) as error:
            raise _error(errors, ProviderAuthError, f"has no usable AWS credentials; {_LOGIN}", error) from error
        except exceptions.HTTPClientError as error:
            raise errors.unreachable(error) from error
        except exceptions.ClientError as error:
            # The token service refused to exchange the credentials.
            raise _error(errors, ProviderAuthError, f"refused to issue credentials; {_LOGIN}", error) from error
        except exceptions.BotoCoreError as error:
            what = "cannot be asked with this AWS configuration; check `region`, `profile` and `base_url`"
            raise _error(errors, ProviderRejected, what, error) from error

    def _connect(self) -> HttpClient:
        """The client of the endpoint that AWS's configuration, variables and rules give for the region."""
        runtime = self._session.create_client("bedrock-runtime", self._region, endpoint_url=self._base_url)
        address = runtime.meta.endpoint_url
        runtime.close()
        # The signature covers the path exactly as it is quoted here.
        url = join_url(address, self.path)
        return HttpClient(url, refusal=bedrock_refusal, tls=self._tls_context, signed_path=True)

    def _tls_context(self) -> ssl.SSLContext:
        bundle = self._session.get_config_variable("ca_bundle")
        return ssl.create_default_context(cafile=bundle) if bundle else default_tls_context()


def _session(profile: str | None, region: str, agent: str) -> Session:
    from botocore.exceptions import ProfileNotFound
    from botocore.session import Session

    session: Any = Session(profile=profile)
    session.set_config_variable("region", region)
    try:
        session.get_scoped_config()
    except ProfileNotFound as error:
        if profile is None:
            # A profile of the environment that does not exist is told by the first call, like missing credentials.
            return session
        raise ConfigurationError(
            f"agent `{agent}`: AWS profile `{profile}` is not in the AWS configuration of this host; mend"
            " `profile` or leave it out for the default credentials"
        ) from error
    return session


def _error(errors: ProviderErrors, kind: type[ProviderError], what: str, cause: Exception) -> ProviderError:
    return kind(
        f"Agent `{errors.agent}`: provider `{errors.provider}`, model `{errors.model}`, {what}.",
        detail=errors.excerpt(f"{type(cause).__name__}: {cause}"),
    )
