"""The reference of the commands: every verb and option is in it, and every example of `--json` has the form of a real answer."""

import pytest

from tests.support import command_reference
from tests.support.command_reference import GUIDE, SERVING, examples, shape, verbs

RENEW = "run: python -m tests.support.command_reference --write"


def test_every_verb_and_every_option_is_in_the_reference() -> None:
    sections = GUIDE.read_text().split("### `tellergate ")
    told = {section.split("`", 1)[0]: " ".join(section.split()) for section in sections[1:]}
    assert set(told) == set(verbs()), RENEW
    for name, parser in verbs().items():
        for action in parser._actions:
            wanted = [*action.option_strings, action.help or ""]
            assert all(" ".join(text.split()).replace("%%", "%") in told[name] for text in wanted), (
                name,
                action.option_strings,
                RENEW,
            )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the `openai` package, for the API that the demo speaks
def test_every_command_s_json_has_the_form_of_its_example() -> None:
    told, real = examples(GUIDE.read_text()), command_reference.answers()
    commands = dict(command_reference.RUNS) | SERVING
    assert set(told) == set(commands.values()), RENEW
    without = {name for name in verbs() if not any(other == name or other.startswith(f"{name} ") for other in commands)}
    assert without == {"completion"}, "a shell's script is no JSON"
    for name, command in commands.items():
        assert shape(told[command]) == shape(command_reference.short(real[name])), (name, RENEW)


@pytest.mark.parametrize(("one", "other"), [({"a": 1}, {"a": "1"}), ({"a": 1}, {}), ([1], ["1"]), ([], [1]), (None, 1)])
def test_forms_differ_where_a_key_or_a_type_does(one: object, other: object) -> None:
    assert shape(one) != shape(other)
