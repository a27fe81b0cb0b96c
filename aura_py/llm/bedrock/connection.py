"""The AWS side of Bedrock: session, endpoint and signatures by boto3, bytes over our own connection.

boto3 blocks. It resolves credentials, validates, serialises and signs in a thread; the signed request then goes out
over an asyncio socket, so that a long answer occupies no thread and cancelling it closes the connection.
"""

from __future__ import annotations

import re
import ssl
import threading
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from aura_py.errors import ConfigurationError, ProviderAuthError, ProviderError, ProviderRejected
from aura_py.llm.transport import HttpClient, HttpResponse, Refusal

if TYPE_CHECKING:
    from aura_py.llm.provider_errors import ProviderErrors

_THREADS = 8
_CREDENTIAL = re.compile(r"(?:Credential=|Bearer )([^/,\s]+)")
_LOGIN = "log in again or check the profile, the environment or the role of this host"


@dataclass(slots=True, frozen=True)
class SignedRequest:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def discreet(self, errors: ProviderErrors) -> ProviderErrors:
        """``errors`` without what a refusal may repeat: key id, session token, bearer token."""
        lower = {name.lower(): value for name, value in self.headers.items()}
        found = _CREDENTIAL.search(lower.get("authorization", ""))
        sent = (found[1] if found else "", lower.get("x-amz-security-token", ""))
        return replace(errors, secrets=(*errors.secrets, *sent))


class _Signed(Exception):
    """Carries the finished request out of boto3, which would send it otherwise."""

    def __init__(self, request: Any) -> None:
        super().__init__("signed")
        headers = {
            name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()
        }
        body = request.body or b""
        self.request = SignedRequest(
            request.method, request.url, headers, body.encode() if isinstance(body, str) else bytes(body)
        )


class BedrockClient:
    """One region and profile. Safe for concurrent calls."""

    def __init__(self, *, region: str, profile: str | None, base_url: str | None, agent: str) -> None:
        """Imports boto3 and finds the profile; credentials are resolved by the first call.

        Raises:
            ConfigurationError: There is no such profile.
        """
        import boto3
        from botocore.exceptions import ProfileNotFound

        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            raise ConfigurationError(
                f"agent `{agent}`: AWS profile `{profile}` is not in the AWS configuration of this host; mend"
                " `profile` or leave it out for the default credentials"
            ) from error
        self._profile = profile
        self._base_url = base_url
        self._lock = threading.Lock()
        self._runtime: Any = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._http = HttpClient(tls=self._tls_context)
        self._tls: ssl.SSLContext | None = None

    async def signed(self, errors: ProviderErrors, operation: str, parameters: dict[str, Any]) -> SignedRequest:
        """The request as boto3 would send it.

        Raises:
            ProviderError: No usable credentials, or parameters the API does not know.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(
            self._sign, errors, operation, parameters, limiter=self._limiter, abandon_on_cancel=True
        )

    def send(
        self, errors: ProviderErrors, request: SignedRequest, refusal: Refusal
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send it; raises :class:`ProviderError` when the service cannot be reached or answers with an error."""
        # The signature covers the path exactly as boto3 quoted it.
        return self._http.post(errors, request.url, request.headers, request.body, refusal=refusal, quoted=True)

    async def aclose(self) -> None:
        await self._http.aclose()
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.close()

    def _sign(self, errors: ProviderErrors, operation: str, parameters: dict[str, Any]) -> SignedRequest:
        from botocore import exceptions

        try:
            getattr(self._client(), operation)(**parameters)
        except _Signed as signed:
            return signed.request
        except exceptions.ParamValidationError as error:
            raise _error(
                errors, ProviderRejected, "cannot be errors this way; check `model` and `additional_params`", error
            ) from error
        except (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.NoAuthTokenError,
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
            raise _error(
                errors,
                ProviderRejected,
                "cannot be errors with this AWS configuration; check `region`, `profile` and `base_url`",
                error,
            ) from error
        raise errors.garbage("boto3 sent the request itself")

    def _client(self) -> Any:
        with self._lock:
            if self._runtime is None:
                from botocore.config import Config

                # A profile is meant to win over a bearer token in the environment.
                forced = {"signature_version": "v4"} if self._profile else {}
                runtime = self._session.client(
                    "bedrock-runtime",
                    endpoint_url=self._base_url,
                    config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, **forced),
                )
                runtime.meta.events.register("before-send.bedrock-runtime", _hand_over)
                self._runtime = runtime
            return self._runtime

    def _tls_context(self) -> ssl.SSLContext:
        """The authorities that boto3 would trust."""
        if self._tls is None:
            from botocore.httpsession import get_cert_path

            bundle = self._session._session.get_config_variable("ca_bundle") or get_cert_path(True)
            self._tls = ssl.create_default_context(cafile=bundle)
        return self._tls


def _hand_over(request: Any, **_: Any) -> None:
    raise _Signed(request)


def _error(errors: ProviderErrors, kind: type[ProviderError], what: str, cause: Exception) -> ProviderError:
    return kind(
        f"Agent `{errors.agent}`: provider `{errors.provider}`, model `{errors.model}`, {what}.",
        detail=errors.said(f"{type(cause).__name__}: {cause}"),
    )
