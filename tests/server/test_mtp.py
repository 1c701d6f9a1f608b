"""A served model whose own MTP layer drafts."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.models import install
from tests.mtp_models import scripted_mtp_model
from tests.ollama_qwen import qwen35
from tests.running import serving

WORDS = [f"word{number}, " for number in range(80)]
SCRIPT = "".join(WORDS)


def test_its_text_is_as_without_and_what_was_accepted_is_counted(tmp_path: Path) -> None:
    for name, astray in (("right", 0), ("misled", 3)):
        scripted_mtp_model(tmp_path / name, WORDS, astray=astray)
        install(tmp_path / "models", name, tmp_path / name, template="{{ .Prompt }}")
    with serving(tmp_path / "models") as server, httpx.Client(base_url=server.url, timeout=60) as client:

        def answered(model: str, prompt: str = "Go!", **options: object) -> dict[str, object]:
            body = {"model": model, "prompt": prompt, "stream": False, "options": {"num_ctx": 512} | options}
            answer = client.post("/api/generate", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["response"] == SCRIPT
            return answer.json()

        plain = answered("right", temperature=0, draft_num_predict=0)
        assert "draft_n" not in plain
        # What pays is measured, and this machine may be busy.
        found = (answered("right", f"Go {n}!", temperature=0, draft_num_predict=4) for n in range(20))
        drafted = next((one for one in found if one.get("draft_n_accepted")), None)
        assert drafted is not None, "nothing was ever drafted"
        assert drafted["eval_count"] == plain["eval_count"]
        answered("misled", temperature=0)
        answered("misled", temperature=0.9, seed=3, draft_num_predict=4)


def test_that_of_a_qwen_3_5_of_ollamas_own_converter_drafts(tmp_path: Path) -> None:
    scripted_mtp_model(tmp_path / "new", WORDS, family="qwen35", sections=(8, 4, 4, 0))
    qwen35(tmp_path / "new", None, tmp_path / "old")
    install(tmp_path / "models", "old", tmp_path / "old", template="{{ .Prompt }}")
    with serving(tmp_path / "models") as server, httpx.Client(base_url=server.url, timeout=60) as client:

        def answered(prompt: str) -> dict[str, object]:
            options = {"num_ctx": 512, "temperature": 0, "draft_num_predict": 3}
            body = {"model": "old", "prompt": prompt, "stream": False, "options": options}
            answer = client.post("/api/generate", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["response"] == SCRIPT
            return answer.json()

        assert any(answered(f"Go {n}!").get("draft_n_accepted") for n in range(20)), (
            "nothing was ever drafted"
        )
