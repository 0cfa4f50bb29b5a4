"""A service's sections in the proxy: rendered, read back, checked."""

from __future__ import annotations

import json

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import sections
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Door, Health

BLUE = Backend(("172.30.64.16",), 8080, Health(path="/health"))
GREEN = Backend(("172.30.64.24",), 9000, Health(kind="none"))
MANY = Backend(("172.30.64.24", "172.30.64.25"), 8080, Health(path="/up?deep=1"))

ONE_EACH = """\
backend prod.shop:blue from web
    retries 15
    no option redispatch
    server blue1 172.30.64.16:8080 track prod.shop:blue.green/blue1
backend prod.shop:blue.green from web
    option httpchk
    http-check send meth GET uri /health ver HTTP/1.1 hdr Host 172.30.64.16:8080 hdr User-Agent stackswap
    http-check expect status 200-399
    option allbackups
    server blue1 172.30.64.16:8080 check
    server green1 172.30.64.24:9000 track prod.shop:green.blue/green1 backup
backend prod.shop:wait-blue from web
    retries 15
    no option redispatch
    server blue1 172.30.64.16:8080 error-limit 1000000 on-error fastinter
backend prod.shop:green from web
    retries 15
    no option redispatch
    server green1 172.30.64.24:9000 track prod.shop:green.blue/green1
backend prod.shop:green.blue from web
    option allbackups
    server green1 172.30.64.24:9000 check
    server blue1 172.30.64.16:8080 track prod.shop:blue.green/blue1 backup
backend prod.shop:wait-green from web
    retries 15
    no option redispatch
    server green1 172.30.64.24:9000 error-limit 1000000 on-error fastinter
"""


def parted(text: str) -> dict[str, list[str]]:
    """The lines of each section by its name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("backend "):
            found[line.split()[1]] = lines = []
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    return found


def test_a_fragment_has_six_sections_and_says_what_it_was_made_from() -> None:
    """Each slot with the port and the check of its own release."""
    text = sections.fragment("prod.shop", {"blue": BLUE, "green": GREEN})
    mark, _, rest = text.partition("\n")
    assert rest == ONE_EACH
    assert json.loads(mark[len(sections.MARK) :])["service"] == "prod.shop"


@pytest.mark.parametrize("backends", [{"blue": BLUE, "green": GREEN}, {"green": MANY}, {"blue": MANY, "green": BLUE}])
def test_a_fragment_gives_back_what_it_was_made_from(backends) -> None:
    """And passes its own lint."""
    text = sections.fragment("prod.shop", backends)
    assert sections.read_fragment(text) == backends
    sections.lint(text, "prod.shop")


@pytest.mark.parametrize("text", ["", "# stackswap {", '# stackswap {"slots": 1}', "backend x"])
def test_a_fragment_that_does_not_tell_gives_nothing(text) -> None:
    """So it is written anew."""
    assert sections.read_fragment(text) == {}


def test_replicas_are_checked_also_where_they_serve_alone() -> None:
    """Trackers are not observed: a dead one of several would take its share for seconds."""
    found = parted(sections.fragment("a", {"blue": BLUE, "green": MANY}))
    assert [line for line in found["a:green"] if line.startswith("server")] == [
        "server green1 172.30.64.24:8080 check",
        "server green2 172.30.64.25:8080 check",
    ]
    assert "retries 15" not in found["a:green"]
    assert "retries 15" in found["a:blue"]
    assert sum("backup" in line.split() for line in found["a:blue.green"]) == 2


def test_a_slot_alone_has_no_backup() -> None:
    """Nothing may track a server that is not there: HAProxy would refuse it all."""
    found = parted(sections.fragment("a", {"green": GREEN}))
    assert sorted(found) == ["a:green", "a:green.blue", "a:wait-green"]
    assert "blue1" not in str(found)


@pytest.mark.parametrize(("kind", "code"), [("http", "L7OK"), ("image", "L4OK"), ("none", "L4OK")])
def test_what_a_good_check_says(kind, code) -> None:
    """A connection alone proves layer 4."""
    assert sections.expected_check(Health(kind=kind)) == code


@pytest.mark.parametrize(
    "backend",
    [
        Backend(("10.0.0.1",), 80, Health(path="/a b")),
        Backend(("10.0.0.1",), 80, Health(path="/a\n    server x 1.1.1.1:1")),
        Backend(("10.0.0.1",), 80, Health(path="/'")),
        Backend(("10.0.0.1",), 80, Health(path="health")),
        Backend(("10.0.0.1 check",), 80, Health()),
        Backend((), 80, Health()),
        Backend(("10.0.0.1",), 0, Health()),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(backend) -> None:
    """Nothing of a user gets into the configuration but what it is."""
    with pytest.raises(BadInput):
        sections.fragment("a", {"blue": backend})


@pytest.mark.parametrize("service", ["", "a b", "a:b", "a/b", "-a", "../a", "a\nb", "ä"])
def test_a_key_that_is_none_is_refused(service) -> None:
    """It becomes a file's name, a backend's name and a map's key."""
    with pytest.raises(BadInput):
        sections.fragment(service, {"blue": BLUE})


@pytest.mark.parametrize(
    "line",
    [
        "frontend in from web",
        "    frontend in",
        "listen x",
        "defaults",
        "global",
        "    bind :80",
        "backend other:blue from web",
        "backend a:blue",
        "backend a:purple from web",
        "backend aXblue from web",
        "    use_backend x",
        "program x",
        ".if 1",
    ],
)
def test_a_fragment_holds_only_backends_of_its_service(line) -> None:
    """HAProxy takes a second frontend on the same port without a word."""
    sections.lint("backend a:blue from web\n", "a")
    with pytest.raises(sections.FragmentRefused, match="line 2"):
        sections.lint(f"backend a:blue from web\n{line}\n", "a")


def test_a_fragment_ends_with_its_line() -> None:
    """HAProxy refuses a file cut off."""
    with pytest.raises(sections.FragmentRefused):
        sections.lint("backend a:blue from web", "a")


# -- the door

DOOR = Door(
    allow=("10.0.0.0/8", "2001:db8::/32"), deny=("10.6.6.6/32",), redirect=True, hsts=300, raw=("  acl x path /x",)
)


def test_the_door_stands_before_every_slot_and_is_read_back() -> None:
    """Also while a request waits for a slot: nobody gets round it."""
    text = sections.fragment("prod.shop", {"blue": BLUE, "green": GREEN}, DOOR)
    found = parted(text)
    assert len(found) == 6
    for lines in found.values():
        assert [line for line in lines if line.startswith("http-request deny")] == [
            "http-request deny deny_status 403 if stackswap-denied !stackswap-ours",
            "http-request deny deny_status 403 if !stackswap-allowed !stackswap-ours",
        ]
        assert "acl x path /x" in lines and "acl stackswap-denied var(txn.src) -m ip 10.6.6.6/32" in lines
    assert (sections.read_door(text), sections.read_fragment(text)) == (DOOR, {"blue": BLUE, "green": GREEN})
    sections.lint(text, "prod.shop")


def test_an_open_door_is_no_line() -> None:
    """A fragment of before is what it was."""
    assert sections.fragment("a", {"blue": BLUE}, Door()) == sections.fragment("a", {"blue": BLUE})
    assert sections.read_door(sections.fragment("a", {"blue": BLUE})) == sections.read_door("") == Door()


def test_a_long_list_is_many_lines() -> None:
    """HAProxy takes so many words in one."""
    many = tuple(f"10.0.{n}.0/24" for n in range(50))
    (lines, *_) = parted(sections.fragment("a", {"blue": BLUE}, Door(deny=many))).values()
    listed = [line.split() for line in lines if line.startswith("acl stackswap-denied")]
    assert len(listed) == 3 and max(map(len, listed)) < 64
    assert [word for line in listed for word in line if "/" in word] == list(many)


PAGE = sections.Page("/var/lib/stackswap/proxy/pages/prod.shop-0123456789ab.html", "/health")


def test_a_page_is_a_section_of_its_own_and_is_read_back() -> None:
    """It passes the lint, and the slots are as without it."""
    text = sections.fragment("prod.shop", {"blue": BLUE}, page=PAGE)
    sections.lint(text, "prod.shop")
    assert (sections.read_page(text), sections.read_fragment(text)) == (PAGE, {"blue": BLUE})
    shown, plain = parted(text), parted(sections.fragment("prod.shop", {"blue": BLUE}))
    assert shown.pop("prod.shop:maintenance") and shown == plain
    assert sections.read_page(sections.fragment("prod.shop", {"blue": BLUE})) is None


def test_a_page_comes_with_503_and_the_health_check_gets_200_before_it() -> None:
    """A balancer in front keeps the server, and crawlers come again; without a path to check there is no exception."""
    asked, shown = parted(sections.fragment("prod.shop", {"blue": BLUE}, page=PAGE))["prod.shop:maintenance"]
    assert asked.startswith("http-request return status 200") and asked.endswith("if { path -m str /health }")
    assert shown.startswith("http-request return status 503") and f"file {PAGE.file}" in shown
    assert 'hdr retry-after "%[var(txn.closed)]"' in shown
    bare = parted(sections.fragment("prod.shop", {"blue": BLUE}, page=sections.Page(PAGE.file)))
    assert bare["prod.shop:maintenance"] == [shown]


@pytest.mark.parametrize(
    "page", [sections.Page("/pages/a b.html"), sections.Page("/p.html", "/a b"), sections.Page("p.html")]
)
def test_a_page_that_would_be_more_than_a_word_is_refused(page: sections.Page) -> None:
    """A blank would begin another option."""
    with pytest.raises(BadInput):
        sections.fragment("prod.shop", {"blue": BLUE}, page=page)
