"""What a session's commands set, show and save."""

from dataclasses import fields
from typing import Any

import pytest

from puna.cli.session import Session
from puna.options import Options


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("temperature 0.5", 0.5),
        ("num_ctx 8192", 8192),
        ("seed -1", -1),
        ("use_mmap false", False),
        ("stop <|end|> User:", ["<|end|>", "User:"]),
        ('stop "a b" c" "\\n"', ["a b", 'c"', "\\n"]),
    ],
)
def test_parameters_are_read_as_a_modelfile_reads_them(words: str, wanted: object):
    session = Session("m")
    assert session.set(f"/set parameter {words}").startswith("Set parameter '")
    found = session.options[words.split()[0]]
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("temprature 1", "unknown parameter 'temprature'"),
        ("num_ctx 8k", "invalid int value [8k]"),
        ("top_p nan", "invalid float value [nan]"),
        ("use_mmap maybe", "invalid bool value [maybe]"),
    ],
)
def test_a_wrong_parameter_is_named(words: str, complaint: str):
    session = Session("m")
    assert session.set(f"/set parameter {words}") == f'Couldn\'t set parameter: "{complaint}"'
    assert session.options == {}


def test_every_option_of_the_api_can_be_set():
    by_default, session = Options(), Session("m")
    spelled = {"stop": "x", "kv_cache_type": "q8_0"}
    for name in Options.__struct_fields__:
        value = getattr(by_default, name)
        session.set(f"/set parameter {name} {spelled.get(name, '1')}")
        known, unknown = by_default.override({name: session.options[name]})
        assert not unknown
        assert getattr(known, name) != value or value == 1


def test_switches():
    session = Session("m")
    before = [getattr(session, f.name) for f in fields(session)]
    said = [session.set(f"/set {word}") for word in ("verbose", "nowordwrap", "nohistory", "format json")]
    assert said == ["Set 'verbose' mode.", "Set 'nowordwrap' mode.", "", "Set format to 'json' mode."]
    assert (session.verbose, session.wrap, session.history, session.format) == (True, False, False, "json")
    for word in ("quiet", "wordwrap", "history", "noformat"):
        session.set(f"/set {word}")
    assert [getattr(session, f.name) for f in fields(session)] == before


def test_what_cannot_be_set_is_said():
    session = Session("m")
    assert session.set("/set colour") == "Unknown command '/set colour'. Type /? for help"
    assert session.set("/set format yaml").startswith("Invalid or missing format.")
    assert session.set("/set parameter num_ctx x") == 'Couldn\'t set parameter: "invalid int value [x]"'
    assert session.set("/set parameter num_ctx").startswith("Available Parameters:")
    assert session.set("/set").startswith("Available Commands:")
    assert session.options == {}


def test_a_system_message_replaces_the_one_before_it_and_outlives_clear():
    session = Session("m")
    session.set("/set system  You  are a cat.")
    session.set("/set system You are a dog.")
    assert session.messages == [{"role": "system", "content": "You are a dog."}]
    session.messages += [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "woof"}]
    session.set("/set system You are a bird.")
    assert [m["content"] for m in session.messages] == ["You are a dog.", "hi", "woof", "You are a bird."]
    session.clear()
    assert session.messages == [{"role": "system", "content": "You are a bird."}]


def test_show():
    session = Session("m")
    found: dict[str, Any] = {
        "parameters": "stop x\nnum_ctx 2048",
        "template": "{{ .Prompt }}",
        "system": "Be kind.",
    }
    assert session.show("template", lambda: found) == "{{ .Prompt }}"
    assert session.show("license", lambda: found) == "No license was specified for this model."
    assert session.show("system", lambda: found) == "Be kind."
    session.set("/set system Be brief.")
    assert session.show("system", lambda: found) == "Be brief."
    session.set("/set parameter temperature 0.5")
    assert session.show("parameters", lambda: found).splitlines() == [
        "Model defined parameters:",
        "  stop x",
        "  num_ctx 2048",
        "",
        "User defined parameters:",
        "  temperature                    0.5",
    ]
    assert session.show("weather", lambda: found) == "Unknown command '/show weather'. Type /? for help"


def test_models_that_can_think_do_unless_the_person_chose():
    session = Session("m")
    session.use_model("thinker", {"capabilities": ["completion", "thinking"]})
    assert session.think is True
    session.use_model("plain", {"capabilities": ["completion"]})
    assert session.think is None
    assert session.set("/set nothink") == (
        "warning: model \"plain\" does not support thinking output\nSet 'nothink' mode."
    )
    session.use_model("thinker", {"capabilities": ["thinking"]})
    assert session.think is False
    assert session.set("/set think high") == "Set 'think' mode to 'high'."
    assert session.think == "high"
    assert session.set("/set think") == "Set 'think' mode."
    assert session.think is True


def test_what_is_saved_is_what_the_session_became():
    session = Session("m")
    assert session.create_request("new") == {"model": "new", "from": "m"}
    session.use_model("m", {"messages": [{"role": "user", "content": "hi"}]})
    session.set("/set system Be brief.")
    session.set("/set parameter stop a b")
    session.messages.append({"role": "user", "content": "what is it?", "images": [b"\xff\xd8\xff"]})
    assert session.create_request("new") == {
        "model": "new",
        "from": "m",
        "system": "Be brief.",
        "parameters": {"stop": ["a", "b"]},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "what is it?", "images": ["/9j/"]},
        ],
    }
