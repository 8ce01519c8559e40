"""A queue's definition: every attribute, its default, and what is refused."""

from __future__ import annotations

import pytest

from mqueue import AddMode, DbMode, DbModeNumbers, Definition, DefinitionError

KAMAILIO = DbModeNumbers.KAMAILIO


def test_only_the_name_is_mandatory() -> None:
    assert Definition.parse("name=myq") == Definition("myq", size=0, dbmode=DbMode.NONE, addmode=AddMode.APPEND)


def test_every_attribute_as_kamailio_writes_it() -> None:
    expected = Definition("myq", size=20, dbmode=DbMode.BOTH, addmode=AddMode.UNIQUE_NEWEST)
    assert Definition.parse("name=myq;size=20;dbmode=1;addmode=2") == expected


@pytest.mark.parametrize(
    "text",
    [
        "name=q;size=3;",
        "NAME=q;Size=3",
        " name = q ; size = 3 ",
        "size=3;name=q",
        "name='q';size=\"3\"",
        ";;name=q;;size=3;;",
        "name=q;size=03",
    ],
)
def test_spelling_is_free(text: str) -> None:
    assert Definition.parse(text) == Definition("q", size=3)


@pytest.mark.parametrize(
    ("written", "documented", "kamailio"),
    [
        ("0", DbMode.NONE, DbMode.NONE),
        ("1", DbMode.BOTH, DbMode.BOTH),
        ("2", DbMode.SAVE, DbMode.LOAD),
        ("3", DbMode.LOAD, DbMode.SAVE),
        ("none", DbMode.NONE, DbMode.NONE),
        ("both", DbMode.BOTH, DbMode.BOTH),
        ("save", DbMode.SAVE, DbMode.SAVE),
        ("LOAD", DbMode.LOAD, DbMode.LOAD),
    ],
)
def test_dbmode_numbers_have_two_readings_and_names_have_one(written: str, documented: DbMode, kamailio: DbMode) -> None:
    assert Definition.parse(f"name=q;dbmode={written}").dbmode is documented
    assert Definition.parse(f"name=q;dbmode={written}", KAMAILIO).dbmode is kamailio


@pytest.mark.parametrize(
    ("mode", "loads", "saves"),
    [(DbMode.NONE, False, False), (DbMode.BOTH, True, True), (DbMode.SAVE, False, True), (DbMode.LOAD, True, False)],
)
def test_what_a_dbmode_does(mode: DbMode, loads: bool, saves: bool) -> None:
    assert (mode.loads, mode.saves) == (loads, saves)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("size=3", "name not defined"),
        ("", "name not defined"),
        ("name=", "name not defined"),
        ("name", "name not defined"),
        ("name=q;foo=1", "unknown param: foo"),
        ("name=q;size=abc", "size=abc"),
        ("name=q;size=-1", "size=-1"),
        ("name=q;size=", "size= "),
        ("name=q;size", "size= "),
        ("name=q;size=1.5", "size=1.5"),
        ("name=q;size=\u0663", "size=\u0663"),
        ("name=q;size=1_0", "size=1_0"),
        ("name=q;dbmode=9", "dbmode=9"),
        ("name=q;dbmode=\u0661", "dbmode=\u0661"),
        ("name=q;dbmode=\u00b2", "dbmode=\u00b2"),
        ("name=q;dbmode=maybe", "dbmode=maybe"),
        ("name=q;dbmode", "dbmode= "),
        ("name=q;addmode=3", "addmode=3"),
        ("name=q;addmode=+1", "addmode=+1"),
        ("name=q;addmode", "addmode= "),
        ("name=q;name=p", "given twice"),
    ],
)
def test_what_is_refused_is_named_and_quoted(text: str, complaint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Definition.parse(text)
    assert complaint in str(caught.value)
    assert repr(text) in str(caught.value)


def test_typed_definitions_take_plain_numbers_as_modes() -> None:
    definition = Definition("q", dbmode=2, addmode=0)  # type: ignore[arg-type]
    assert definition.dbmode is DbMode.SAVE
    assert definition.addmode is AddMode.APPEND


@pytest.mark.parametrize("arguments", [{"size": -1}, {"size": "3"}, {"dbmode": 4}, {"addmode": 3}, {"addmode": ""}])
def test_typed_definitions_are_checked_too(arguments: dict[str, object]) -> None:
    with pytest.raises(DefinitionError, match="queue 'q'"):
        Definition("q", **arguments)  # type: ignore[arg-type]


def test_a_typed_definition_needs_a_name() -> None:
    with pytest.raises(DefinitionError, match="add name=NAME"):
        Definition("")


@pytest.mark.parametrize("text", ["name=q", "name=q;size=3;dbmode=save;addmode=2", "name=q;dbmode=load", "name=q;dbmode=both;addmode=1"])
def test_str_is_what_was_parsed_and_the_same_in_both_readings(text: str) -> None:
    assert str(Definition.parse(text)) == text
    assert str(Definition.parse(text, KAMAILIO)) == text


def test_an_error_is_a_value_error_too() -> None:
    assert issubclass(DefinitionError, ValueError)
