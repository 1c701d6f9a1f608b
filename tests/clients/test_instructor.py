"""`instructor`, unmodified: objects by JSON, JSON Schema and tools, whole and as they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator

import instructor
import openai
import pytest
from instructor import Mode
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.clients.actors import OTHERWISE, add_actor, call
from tests.clients.conftest import HEAVY
from tests.running import Server

pytestmark = HEAVY

PARIS, TOKYO = {"city": "Paris", "days": 2}, {"city": "東京", "days": 1}
ANSWERS = {
    "several": json.dumps({"tasks": [PARIS, TOKYO]}, ensure_ascii=False),
    "IterablePlace": call("IterablePlace", tasks=[PARIS, TOKYO]),
    "PartialPlace": call("PartialPlace", **PARIS),
    "Place": call("Place", **PARIS),
    OTHERWISE: json.dumps(PARIS),
}


def user(said: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": said}]


class Place(BaseModel):
    """Where to go and for how long."""

    city: str
    days: int


@pytest.fixture(scope="module", autouse=True)
def learned(guide_server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    add_actor(guide_server.models, tmp_path_factory.mktemp("instructor") / "a.gguf", "instructed", ANSWERS)


@pytest.fixture(params=[Mode.JSON, Mode.JSON_SCHEMA, Mode.MD_JSON, Mode.TOOLS])
def client(request: pytest.FixtureRequest, guide_server: Server) -> Iterator[instructor.Instructor]:
    with openai.OpenAI(base_url=f"{guide_server.url}/v1", api_key="any", max_retries=0) as client:
        yield instructor.from_openai(client, mode=request.param, model="instructed")


def test_an_object(client: instructor.Instructor):
    place, completion = client.create_with_completion(user("Where?"), response_model=Place, max_retries=0)
    assert place.model_dump() == PARIS
    assert completion.usage.completion_tokens > 0


def test_an_object_as_it_grows(client: instructor.Instructor):
    parts = [part.model_dump() for part in client.create_partial(Place, user("Where?"))]
    assert parts[-1] == PARIS
    if client.mode != Mode.TOOLS:  # A call comes when it is complete.
        assert {"city": "Par", "days": None} in parts


def test_several_objects(client: instructor.Instructor):
    # The tool says that it wants several, a JSON mode only in the system's message.
    question = user("Where?" if client.mode == Mode.TOOLS else "Where, as several?")
    found = client.create_iterable(question, Place, max_retries=0)
    assert [place.model_dump() for place in found] == [PARIS, TOKYO]
