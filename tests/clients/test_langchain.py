"""`langchain-ollama`, unmodified, under the suites by which LangChain judges every integration."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import pytest
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from PIL import Image

from puna.library import Layer, Library, Name
from tests.clients.actors import OTHERWISE, REASONING, add_actor, call
from tests.clients.conftest import HEAVY, HELLO
from tests.running import Server
from tests.vision_models import llava_projector

pytestmark = HEAVY

ANSWERS = {
    "cats": '{"setup": "Why was the cat on the keyboard?", "punchline": "To keep an eye on the mouse."}',
    "result": "1 + 2 is 3.",
    "你好啊集团": call("unicode_customer", customer_name="你好啊集团", description="技术公司"),
    "こんにちは株式会社": call(
        "unicode_customer", customer_name="こんにちは株式会社", description="日本の会社"
    ),
    "sunny": "It is sunny in San Francisco.",
    "magic_function_no_args": call("magic_function_no_args"),
    "magic_function": call("magic_function", input=3),
    "greeting_generator": call("greeting_generator", answer_style="Pirate"),
    "my_adder_tool": call("my_adder_tool", a=3, b=4),
    "get_weather": call("get_weather", location="San Francisco, CA"),
    OTHERWISE: HELLO,
}
"""What the suite's questions and tools want to hear."""


@pytest.fixture(scope="module", autouse=True)
def learned(guide_server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model "langchain" that has learned `ANSWERS`, and sees."""
    gguf = tmp_path_factory.mktemp("langchain") / "model.gguf"
    add_actor(guide_server.models, gguf, "langchain", ANSWERS)
    library = Library(guide_server.models)
    model = library.open("langchain")
    llava_projector(gguf, width=model.metadata.arch("embedding_length"))
    sight = Layer("application/vnd.ollama.image.projector", *library.blobs.add([gguf.read_bytes()]))
    library.write_manifest(Name.parse("langchain"), model.config, [*model.layers, sight])


@pytest.fixture(autouse=True)
def picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture that the suite would fetch."""
    file = BytesIO()
    Image.new("RGB", (32, 32), (255, 0, 0)).save(file, "PNG")
    monkeypatch.setattr(httpx, "get", lambda url, **_: httpx.Response(200, content=file.getvalue()))


class TestChat(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[ChatOllama]:
        return ChatOllama

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "langchain"}

    @property
    def has_tool_choice(self) -> bool:
        return False  # ChatOllama takes a tool_choice and sends none.

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "thinker"


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[OllamaEmbeddings]:
        return OllamaEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "all-minilm:22m"}


def test_reasoning_is_apart_from_the_answer():
    answer = ChatOllama(model="thinker", reasoning=True).invoke("Why?")
    assert (answer.additional_kwargs["reasoning_content"], answer.content) == (REASONING, "Blue.")


def test_a_model_is_looked_for_before_it_is_asked():
    ChatOllama(model="langchain", validate_model_on_init=True)
    with pytest.raises(ValueError, match="not found"):
        ChatOllama(model="no-such-model", validate_model_on_init=True)
