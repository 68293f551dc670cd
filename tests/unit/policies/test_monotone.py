"""Which shapes of assurance in a rule are taken, and which are refused."""

import pytest

from policies import cedar, monotone

GOOD = [
    "permit (principal, action, resource);",
    "permit (principal, action, resource) when { context.assurance.level >= 2 };",
    "permit (principal, action, resource) when { 2 <= context.assurance.level };",
    "permit (principal, action, resource) when { principal.frozen == false && context.assurance.level > 1 };",
    "permit (principal, action, resource) unless { context.assurance.level < 3 };",
    "permit (principal, action, resource) when { !(context.assurance.level < 3) };",
    "permit (principal, action, resource) when { context.assurance.level >= context.function.level };",
    'permit (principal, action, resource) when { context.assurance.level >= 2 || context.channel == "branch" };',
    "forbid (principal, action, resource) when { context.assurance.level < 3 };",
    "forbid (principal, action, resource) when { 3 > context.assurance.level };",
    "forbid (principal, action, resource) unless { context.assurance.level >= 3 };",
    "forbid (principal, action, resource) when { principal.frozen } when { context.assurance.level <= 2 };",
    "forbid (principal, action, resource) when { 1 + context.conversation.calls > 5 && context.assurance.level < 3 };",
    "forbid (principal, action, resource) when { context.assurance.level < 3 && context.conversation.tainted };",
]

LOSES = "more assurance could lose a permit"
OTHERWISE = "other than by comparing"
LAST = "must stand last"

BAD = [
    ("permit (principal, action, resource) when { context.assurance.level < 3 };", LOSES),
    ("permit (principal, action, resource) when { context.assurance.level <= 3 };", LOSES),
    ("permit (principal, action, resource) when { 3 > context.assurance.level };", LOSES),
    ("permit (principal, action, resource) unless { context.assurance.level >= 3 };", LOSES),
    ("permit (principal, action, resource) when { !(context.assurance.level >= 3) };", LOSES),
    ("permit (principal, action, resource) when { context.assurance.level >= 2 && !(context.assurance.level > 3) };", LOSES),
    ("forbid (principal, action, resource) when { context.assurance.level >= 3 };", LOSES),
    ("forbid (principal, action, resource) unless { context.assurance.level < 3 };", LOSES),
    ("forbid (principal, action, resource) when { context.assurance.level == 3 };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance.level == 3 };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance.level != 1 };", OTHERWISE),
    ("permit (principal, action, resource) when { [2, 3].contains(context.assurance.level) };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance == {level: 3} };", OTHERWISE),
    ("permit (principal, action, resource) when { context == {} };", OTHERWISE),
    ("permit (principal, action, resource) when { {a: context}.a.assurance.level < 3 };", OTHERWISE),
    ("permit (principal, action, resource) when { context has assurance };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance.level + 1 >= 3 };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance.level * -1 >= 3 };", OTHERWISE),
    ("permit (principal, action, resource) when { if context.assurance.level >= 2 then false else true };", OTHERWISE),
    ("permit (principal, action, resource) when { (context.assurance.level >= 2) == false };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance.level >= context.assurance.level };", OTHERWISE),
    ("permit (principal, action, resource) when { context.assurance.level >= 3 && 1 + context.conversation.calls > 5 };", LAST),
    (
        "permit (principal, action, resource) when { context.assurance.level >= 3 } when { 1 + context.conversation.calls > 5 };",
        LAST,
    ),
    ('forbid (principal, action, resource) when { context.assurance.level < 3 && resource.account.status == "closed" };', LAST),
    ("forbid (principal, action, resource) when { context.assurance.level < 3 || -context.money.minor > 5 };", LAST),
    ("forbid (principal, action, resource) when { context.assurance.level < 3 } unless { principal.frozen };", LAST),
    ('forbid (principal, action, resource) when { context.assurance.level < 3 && context.args.account.status == "x" };', LAST),
]


@pytest.mark.parametrize("text", GOOD)
def test_what_can_only_gain_is_taken(text: str) -> None:
    (policy,) = cedar.parse(text)
    assert monotone.fault(policy) is None


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_could_lose_is_refused(text: str, words: str) -> None:
    (policy,) = cedar.parse(text)
    assert words in (monotone.fault(policy) or "taken")
