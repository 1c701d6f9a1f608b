"""HTTPS from certificate files, reloaded when they change."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path
from typing import Any

from puna.errors import PunaError

_log = logging.getLogger(__name__)

_Stamps = tuple[tuple[int, int, int], ...]


class Certificates:
    """A certificate chain and its private key, both PEM, in one file or in two."""

    def __init__(self, chain: Path, key: Path | None) -> None:
        """Raises PunaError when the files cannot be read or do not match."""
        self._files = (chain, key or chain)
        self._stamp = self._file_stamps()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """The context for a listening socket; each handshake uses the newest certificate."""
        # It needs a certificate itself, because OpenSSL may choose ciphers before the callback runs.
        listening = self._read()
        listening.sni_callback = self._choose
        return listening

    def _choose(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        """Called in each handshake."""
        self._refresh()
        connection.context = self._context

    def _refresh(self) -> None:
        try:
            stamp = self._file_stamps()
            if stamp == self._stamp:
                return
            self._context = self._read()
        except PunaError as error:
            # Perhaps only one of the two files is new yet. The next handshake tries again.
            _log.warning("%s; the certificate read before stays in use", error)
        else:
            self._stamp = stamp
            _log.info("the certificate in %s was read again", self._files[0])

    def _file_stamps(self) -> _Stamps:
        try:
            states = [os.stat(file) for file in self._files]
        except OSError as error:
            raise PunaError(f"cannot read {error.filename}: {error.strerror}") from error
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        chain, key = self._files
        try:
            # Without a password here, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(chain, key, password="")
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or error.strerror or str(error)
            raise PunaError(f"cannot use the certificate {chain} with the key {key}: {reason}") from error
        return context
