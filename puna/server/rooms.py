"""What request functions use, made once by the application."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from puna.access import Keyring, caller
from puna.engine import EngineStarter
from puna.inference import Inference
from puna.library import Library, Model
from puna.scheduling import Scheduler
from puna.server.pulls import Pulls
from puna.server.remote import Remote
from puna.server.web import Web


@dataclass(frozen=True)
class Rooms:
    """The rooms below the server, opened for one model store."""

    library: Library
    starter: EngineStarter
    scheduler: Scheduler
    inference: Inference
    pulls: Pulls
    remote: Remote
    web: Web
    keyring: Keyring
    no_cloud: bool
    """OLLAMA_NO_CLOUD, which clients query."""

    def visit(self, model: str) -> Remote:
        """Fetches the media of a request to `model`; refuses if that takes none."""
        return self.remote.visit(partial(self.inference.check_vision_or_audio, model))

    def models(self) -> list[Model]:
        """The models in the library that the caller may see. Reads files."""
        return [model for model in self.library.list() if caller().sees(model.name)]

    def open(self, name: str) -> Model:
        """A model that the caller may use. Reads files. Raises ModelForbidden, and as `Library.open` does."""
        caller().check_model(name)
        return self.library.open(name)

    async def drain(self) -> None:
        """Refuse new requests and wait for those under way. Pulls end now, and can be resumed."""
        self.pulls.close()
        await self.scheduler.drain()

    @property
    def stopping(self) -> bool:
        """Requests that come now are refused."""
        return self.scheduler.stopping

    async def close(self) -> None:
        """End every engine and every pull; their requests get an error. May be called twice."""
        self.pulls.close()
        await self.scheduler.close()
        await self.starter.close()


def rooms(request: Request) -> Rooms:
    """The rooms of the application that `request` came to."""
    found = request.app.state.rooms
    assert isinstance(found, Rooms)
    return found
