"""Web servers on loopback that pictures are fetched from: honest, broken, slow and hostile ones."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

MEDIA_MARKER = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
"""Enough of a picture for who only looks at its beginning."""

Answer = Callable[[socket.socket, bytes], None]
"""What a server does with a connection once the request's head is read."""


def answering(status: int = 200, body: bytes = MEDIA_MARKER, **headers: str) -> Answer:
    """A whole answer, as it should be."""
    fields = {
        "Content-Length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = f"HTTP/1.1 {status} Because\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in fields.items()
    )

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(head.encode() + b"\r\n" + body)

    return answer


def raw(*pieces: bytes) -> Answer:
    """These bytes and no more, then the end."""

    def answer(connection: socket.socket, asked: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return answer


@dataclass
class Host:
    """A server; `asked` are the heads of the requests it got, `connections` all that came."""

    port: int
    address: str
    scheme: str = "http"
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{shown}:{self.port}/picture.png"


@contextmanager
def host(answer: Answer, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Host]:
    """A server that does the same for every connection until the end of the block."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        found = Host(listener.getsockname()[1], address, "https" if tls else "http")
        open_: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    open_.append(connection)
                    found.connections += 1
                    threading.Thread(target=converse, args=(connection,), daemon=True).start()

        def converse(connection: socket.socket) -> None:
            with (
                suppress(OSError),
                tls.wrap_socket(connection, server_side=True) if tls else connection as line,
            ):
                asked = b""
                while b"\r\n\r\n" not in asked:
                    if not (piece := line.recv(65536)):
                        return
                    asked += piece
                found.asked.append(asked)
                answer(line, asked)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield found
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in open_:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """What a server needs to be `name`, and the file a client needs to believe it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    believed, both = folder / f"{name}.crt", folder / f"{name}.pem"
    believed.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(secret + believed.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, believed
