"""A registry's client: answers authentication challenges, and follows redirects without the token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from puna.errors import NotFound, PunaError
from puna.library.registry.allowed import ANY_HOST, AllowedHosts, host_and_port
from puna.library.registry.challenge import Challenge, signed_text
from puna.library.registry.errors import RegistryRefused, is_transient_and_fast
from puna.library.registry.key import default_key, signature
from puna.library.registry.limits import TransferLimits
from puna.library.registry.transport import MAX_ANSWER, HTTPAnswer, Transport

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 10
_ATTEMPTS = 3
_DENIED = "unauthorized: access denied"

T = TypeVar("T")

Body = Callable[[], bytes | Iterable[bytes]]
"""Creates a request's body, once for each attempt."""


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class Registry:
    """The registry at `base` (scheme, host and port). May be used from several threads."""

    def __init__(
        self,
        base: str,
        key: Path | None,
        limits: TransferLimits,
        allowed: AllowedHosts = ANY_HOST,
        *,
        user_host: str = "",
    ) -> None:
        """`key` identifies the user; None for Ollama's key.

        `user_host` is the host that the user named, if it differs from the registry's.
        """
        self.base = base
        self._key = key or default_key()
        self._limits = limits
        self._transport = Transport(limits, user_host or urlsplit(base).netloc, allowed)
        self._token = ""
        self._token_lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        *,
        follow: bool = True,
        read_timeout: float | None = None,
    ) -> HTTPAnswer:
        """The answer, of any status; with `follow`, the one after redirects.

        Only the registry itself receives the token. `read_timeout` is in seconds. Raises
        Unreachable, Interrupted, RegistryRefused if the token is rejected, PunaError if there is no token.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._send_authorised(method, url, headers or {}, body, read_timeout)
            location = answer.headers.get("Location")
            if not (follow and location and answer.status in _REDIRECTS):
                return answer
            answer.close()
            url = urljoin(url, location)
        raise PunaError(f"maximum redirects exceeded ({_MAX_REDIRECTS}) for {urlsplit(url).netloc}")

    def has(self, url: str) -> bool:
        """Whether `url` exists. Raises the errors of `request` and `raise_for_status`."""
        with closing(self.request("HEAD", url)) as answer:
            try:
                answer.raise_for_status()
            except NotFound:
                return False
        return True

    def retry(self, ask: Callable[[], T]) -> T:
        """The result of `ask`, with a few retries after transient errors."""
        for failures in range(1, _ATTEMPTS):
            try:
                return ask()
            except PunaError as error:
                if not is_transient_and_fast(error):
                    raise
                wait = self._limits.wait(failures, error)
            time.sleep(wait)
        return ask()

    def address(self, location: str, below: str) -> str:
        """The URL in a Location header of an answer from `below`.

        Keeps HTTPS for the registry's own host, because a registry behind a proxy may redirect to HTTP.
        """
        url, base = urlsplit(urljoin(below, location)), urlsplit(self.base)
        return url._replace(scheme=base.scheme if url.netloc == base.netloc else url.scheme).geturl()

    def close(self) -> None:
        self._transport.close()

    def _send_authorised(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, read_timeout: float | None
    ) -> HTTPAnswer:
        def send() -> HTTPAnswer:
            mine = {"Authorization": f"Bearer {token}"} if ours and token else {}
            return self._transport.send(
                method, url, {**headers, **mine}, body and body(), read_timeout=read_timeout
            )

        ours = _origin(url) == _origin(self.base)
        token = self._token
        answer = send()
        if answer.status != 401 or not ours:
            return answer
        answer.close()
        challenge = Challenge.parse(answer.headers.get("WWW-Authenticate", ""))
        if challenge is None:
            raise RegistryRefused(401, _DENIED)
        token = self._renew_token(challenge, token)
        answer = send()
        if answer.status == 401:
            answer.close()
            raise RegistryRefused(401, _DENIED)
        return answer

    def _renew_token(self, challenge: Challenge, stale: str) -> str:
        """A token for the challenge. Concurrent threads renew it once."""
        with self._token_lock:
            if self._token == stale:
                self._token = self._fetch_token(challenge)
            return self._token

    def _fetch_token(self, challenge: Challenge) -> str:
        challenge.check_realm(self.base)
        url = challenge.url()
        answer = self._transport.send("GET", url, {"Authorization": signature(self._key, signed_text(url))})
        if answer.status == 404:
            raise PunaError(f"there is no token at {challenge.realm}")
        try:
            content = answer.raise_for_status().all(MAX_ANSWER)
            token = msgspec.json.decode(content, type=_Token)
        except msgspec.DecodeError:
            raise PunaError(f"{challenge.realm} gave no token") from None
        finally:
            answer.close()
        return token.token or token.access_token


def _origin(url: str) -> tuple[str, str, int]:
    return urlsplit(url).scheme, *host_and_port(url)
