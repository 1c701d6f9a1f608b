"""The Modelfile language: read as Ollama reads it, and printed so that it reads back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import BadRequest
from puna.modelfile import Modelfile, parse, unparse
from puna.options import Options
from puna.types import MediaFile, Message

COMMAND = "command must be one of"
ROLE = 'message role must be one of "system", "user", or "assistant"'


def read(text: str) -> Modelfile:
    return parse(text.encode())


def system(argument: str) -> str:
    return read(f"FROM m\nSYSTEM {argument}").system


def test_every_command_is_read():
    found = read(
        """
# a comment, with FROM inside
FROM llama3.2
from ./projector.gguf
ADAPTER ./one.gguf
adapter two
  Template \"""{{ .System }}
{{ .Prompt }}\"""
SYSTEM You are "Puna". # not a comment
PARAMETER temperature 0.5
PARAMETER num_ctx 4096
PARAMETER use_mmap false
PARAMETER stop "<|end|> "
PARAMETER stop User:
LICENSE MIT
LICENSE "Apache 2.0"
MESSAGE user Is it: yes or no?
MESSAGE assistant \"""yes
\"""
RENDERER qwen3
PARSER qwen3
REQUIRES v0.14.0
"""
    )
    assert found == Modelfile(
        sources=("llama3.2", "./projector.gguf"),
        adapters=("./one.gguf", "two"),
        template="{{ .System }}\n{{ .Prompt }}",
        system='You are "Puna". # not a comment',
        parameters={"temperature": 0.5, "num_ctx": 4096, "use_mmap": False, "stop": ["<|end|> ", "User:"]},
        licenses=("MIT", "Apache 2.0"),
        messages=(
            Message(role="user", content="Is it: yes or no?"),
            Message(role="assistant", content="yes\n"),
        ),
        renderer="qwen3",
        parser="qwen3",
        requires="0.14.0",
    )


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("plain   words  ", "plain   words"),
        ("\t tab\tinside\t", "tab\tinside"),
        ('"   kept   "   ', "   kept   "),
        ('""', ""),
        ('""""""', ""),
        ('"""\nfirst\n"""  ', "\nfirst\n"),
        ('"""says "hi"."""', 'says "hi".'),
        ('"""three """ inside a line"""', 'three """ inside a line'),
        ('"a "quoted" word"', 'a "quoted" word'),
        ('"over\ntwo lines"', "over\ntwo lines"),
        ('"""ends in a quote""""', 'ends in a quote"'),
        ('"""""""', '"'),
        ("'single'", "'single'"),
        (r"no \n escapes \ ", "no \\n escapes \\"),
        ('word "then quotes', 'word "then quotes'),
        ("空格\u3000和👨‍👩‍👧", "空格\u3000和👨‍👩‍👧"),
    ],
)
def test_arguments(argument: str, wanted: str):
    assert system(argument) == wanted
    assert system(argument + "\nPARAMETER seed 1\n") == wanted


def test_an_argument_ends_with_the_first_line_that_ends_in_its_quotation_marks():
    found = read('FROM m\nSYSTEM "one" two\nthree"\nPARAMETER seed 1\n')
    assert (found.system, found.parameters) == ('one" two\nthree', {"seed": 1})


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_breaks_of_every_system(newline: str):
    text = newline.join(["FROM m", "# comment", 'SYSTEM "a', 'b"', "PARAMETER seed 1", "WRONG x"])
    with pytest.raises(BadRequest, match=r"^Modelfile:6: command must be"):
        read(text)
    assert read(text.replace("WRONG", "LICENSE")).system == f"a{newline}b"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_with_a_byte_order_mark(encoding: str):
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    assert parse((mark + "FROM 模型\nSYSTEM 你好 😀\n").encode(encoding)).system == "你好 😀"


def test_bytes_that_are_no_text_are_replaced():
    assert parse(b"FROM m\nSYSTEM a\xffb").system == "a\ufffdb"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Modelfile: no FROM line"),
        ("PARAMETER seed 1", "Modelfile: no FROM line"),
        ("FROM m\nBADCOMMAND x", f"Modelfile:2: {COMMAND}"),
        ("FROM m\nSYSTEM\n", f"Modelfile:2: {COMMAND}"),
        ("FROM m\n\n\nSYS-TEM x", f"Modelfile:4: {COMMAND}"),
        ("FROM", f"Modelfile:1: {COMMAND}"),
        ("FROM \nSYSTEM x", "Modelfile:1: FROM names no model"),
        ("FROM m\nMESSAGE wizard hi", f"Modelfile:2: {ROLE}"),
        ("FROM m\nMESSAGE User hi", f"Modelfile:2: {ROLE}"),
        ("FROM m\nMESSAGE user", "Modelfile:2: unexpected EOF"),
        ("FROM m\nPARAMETER seed\n", "Modelfile:2: unexpected EOF"),
        ("FROM m\nPARAMETER se-ed 1\n", "Modelfile:2: unexpected EOF"),
        ('FROM m\nSYSTEM """open\n\nuntil the end""\n', "Modelfile:2: unexpected EOF"),
        ('FROM m\nSYSTEM "\n', "Modelfile:2: unexpected EOF"),
        ("FROM m\nPARAMETER sed 1", "Modelfile:2: unknown parameter 'sed'"),
        ("FROM m\n\nPARAMETER seed 1.5", "Modelfile:3: invalid int value [1.5]"),
        ("FROM m\nPARAMETER seed 99999999999999999999", "Modelfile:2: invalid int value"),
        ("FROM m\nPARAMETER temperature warm", "Modelfile:2: invalid float value [warm]"),
        ("FROM m\nPARAMETER temperature nan", "Modelfile:2: invalid float value [nan]"),
        ("FROM m\nPARAMETER temperature 1e39", "Modelfile:2: invalid float value [1e39]"),
        ("FROM m\nPARAMETER use_mmap yes", "Modelfile:2: invalid bool value [yes]"),
        ("FROM m\nREQUIRES new", "Modelfile:2: requires must be a valid semver (e.g. 0.14.0)"),
        ("FROM m\nREQUIRES 0.1-rc1", "Modelfile:2: requires must be a valid semver"),
        ("FROM m\nDRAFT ", "Modelfile:2: DRAFT names no model"),
        ("FROM m\nDRAFT a\nSYSTEM x\ndraft b", "Modelfile:4: DRAFT: a model has one draft model"),
    ],
)
def test_errors_name_the_line(text: str, message: str):
    with pytest.raises(BadRequest) as error:
        read(text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("version", ["0.14.0", "v1", "1.2", "1.2.3-rc.1+build.5"])
def test_versions(version: str):
    assert read(f"FROM m\nREQUIRES {version}").requires == version.removeprefix("v")


def test_paths_know_the_line_they_stand_on():
    found = read('\nFROM "a"\nSYSTEM """two\nlines"""\nADAPTER b\nfrom c\nDraft ./d\n')
    assert [(text, getattr(text, "line", 0)) for text in (*found.sources, *found.adapters, found.draft)] == [
        ("a", 2),
        ("c", 6),
        ("b", 5),
        ("./d", 7),
    ]


def test_what_has_no_effect_is_passed_over_with_a_warning():
    found = read("FROM m\nPARAMETER low_vram true\nPARAMETER seed 1")
    assert found.parameters == {"seed": 1}
    assert found.warnings == ("parameter low_vram has no effect",)


def test_digits_may_be_parted_in_a_float():
    assert parse(b"FROM m\nPARAMETER top_p 1_0.2_5e-0_1").parameters == {"top_p": 1.025}


@pytest.mark.parametrize("name", Options.__struct_fields__)
def test_every_option_may_be_a_parameter(name: str):
    text = "f16" if name == "kv_cache_type" else "1"
    assert set(read(f"FROM m\nPARAMETER {name} {text}").parameters) == {name}


def test_the_last_of_several_values_counts():
    found = read("FROM m\nPARAMETER seed 1\nPARAMETER seed 2\nSYSTEM a\nSYSTEM b")
    assert (found.parameters, found.system) == ({"seed": 2}, "b")


def test_an_open_quotation_over_many_lines_is_read_once():
    # With a look back at all lines for each of them this would take an hour.
    with pytest.raises(BadRequest, match="Modelfile:2: unexpected EOF"):
        parse(b'FROM m\nSYSTEM """' + b'"" \n' * 300_000)


words = st.one_of(
    st.text(st.sampled_from(list("\"'# \t\n\ra\\é:\u3000")), max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(['"""', 'x """\ny', '"""\n"""', '"\n', '\n"', "FROM x\nSYSTEM y", " # "]),
)
some = words.filter(bool)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(-1e38, 1e38),
        "num_ctx": st.integers(-(1 << 63), (1 << 63) - 1),
        "use_mmap": st.booleans(),
        "stop": st.lists(words, min_size=1, max_size=3),
    },
)
modelfiles = st.builds(
    Modelfile,
    sources=st.lists(some, min_size=1, max_size=3).map(tuple),
    adapters=st.lists(some, max_size=2).map(tuple),
    draft=some,
    template=words,
    system=words,
    renderer=words,
    parser=words,
    requires=st.sampled_from(["", "0.14.0", "1.2.3-rc.1"]),
    parameters=parameters,
    licenses=st.lists(words, max_size=2).map(tuple),
    messages=st.lists(
        st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=words), max_size=3
    ).map(tuple),
)


@given(modelfiles)
def test_what_is_printed_is_read_back(modelfile: Modelfile):
    try:
        text = unparse(modelfile)
    except BadRequest:
        text = None
    if text is None:
        texts = [*modelfile.sources, *modelfile.adapters, *modelfile.licenses, modelfile.template]
        texts += [modelfile.system, modelfile.renderer, modelfile.parser, modelfile.draft]
        texts += [said.content for said in modelfile.messages] + modelfile.parameters.get("stop", [])
        assert any(breaks_every_quotation(text) for text in texts)
    else:
        assert parse(text.encode()) == modelfile


def breaks_every_quotation(text: str) -> bool:
    """Whether a line other than the last would end `text` in three quotation marks, and so in one too."""
    lines = text.replace("\r", "\n").split("\n")[:-1]
    return any(line.rstrip().endswith('"""') for line in lines)


@given(words)
def test_only_a_line_that_ends_in_three_quotation_marks_cannot_be_printed(text: str):
    if not breaks_every_quotation(text):
        assert parse(unparse(Modelfile(sources=("m",), system=text)).encode()).system == text


@pytest.mark.parametrize(
    ("modelfile", "message"),
    [
        (
            Modelfile(sources=("m",), system='code:\n"""\nend'),
            'cannot hold this SYSTEM: a line in it ends in """',
        ),
        (Modelfile(sources=("m",), parameters={"stop": []}), "cannot hold these parameters"),
        (Modelfile(sources=("m",), parameters={"numa": True}), "unknown parameter 'numa'"),
        (Modelfile(sources=("m",), messages=(Message(role="tool", content="x"),)), "message role must be"),
        (
            Modelfile(sources=("m",), messages=(Message(role="user", images=[MediaFile(b"x")]),)),
            "hold these messages",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(modelfile: Modelfile, message: str):
    with pytest.raises(BadRequest, match=message.replace("(", r"\(")):
        unparse(modelfile)


def complaint(data: bytes) -> str:
    """What is wrong with `data`; empty when it is a Modelfile."""
    try:
        parse(data)
    except BadRequest as error:
        return str(error)
    return ""


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    assert complaint(data).partition(":")[0] in ("Modelfile", "")


@given(st.text(st.sampled_from(list('FROMSYTEAPGE "\n#\tfromparametersystemusg10')), max_size=60))
def test_what_is_wrong_behind_a_first_line_is_said_with_a_later_one(text: str):
    assert not complaint(b"FROM m\n" + text.encode()).startswith("Modelfile:1:")
