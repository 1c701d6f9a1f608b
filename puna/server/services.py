"""The services behind the endpoints. The application creates them once."""

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
class Services:
    """The services of one model store."""

    library: Library
    starter: EngineStarter
    scheduler: Scheduler
    inference: Inference
    pulls: Pulls
    remote: Remote
    web: Web
    keyring: Keyring
    no_cloud: bool
    """OLLAMA_NO_CLOUD is set."""

    def remote_for(self, model: str) -> Remote:
        """Fetches the media of one request. Raises BadRequest if `model` supports none."""
        return self.remote.for_request(partial(self.inference.check_vision_or_audio, model))

    def models(self) -> list[Model]:
        """The models in the library that the caller may see. Reads files."""
        return [model for model in self.library.list() if caller().sees(model.name)]

    def open(self, name: str) -> Model:
        """A model that the caller may use. Reads files. Raises ModelForbidden, and like `Library.open`."""
        caller().check_model(name)
        return self.library.open(name)

    async def drain(self) -> None:
        """Refuse new requests and wait for running ones. Ends pulls, which can be resumed."""
        self.pulls.close()
        await self.scheduler.drain()

    @property
    def stopping(self) -> bool:
        """New requests are refused."""
        return self.scheduler.stopping

    async def close(self) -> None:
        """End every engine and every pull; their requests get an error. May be called twice."""
        self.pulls.close()
        await self.scheduler.close()
        await self.starter.close()


def services_of(request: Request) -> Services:
    """The services of the request's application."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found
