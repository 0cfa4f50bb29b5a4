"""Who may import whom: decisions know no effects, and each outside thing has one door."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "collection" / "plugins"
WRAPPER = ROOT / "wrapper" / "stackswap"
COLLECTION = "ansible_collections.stackswap.bluegreen"
UTILS = f"{COLLECTION}.plugins.module_utils"

# The tables. Names are paths below module_utils without .py; an __init__ goes by its folder's name.
PURE = (
    *("model", "service", "addresses", "plan", "world", "callbacks", "dockerfile", "archive"),
    *("fleet", "errors", "claims", "effects", "judge", "judge/*", "runtimes", "runtimes/*"),
    "agreement",
    "backing",
    *("guards", "last_line", "outcomes", "phases", "phases/*", "traffic"),
    *("joining", "mounts", "document", "turns", "calls"),
    *("persistent", "barrier", "attached", "baked", "counts", "history", "status", "selftest", "window", "pruned"),
    *("room", "spare", "standing"),
    *(
        "approval",
        "arguments",
        "asked",
        "blank",
        "definition",
        "forms",
        "kinds",
        "manifest",
        "merge",
        "options",
        "variables",
    ),
    "drift",
    *("course", "crew", "processes", "schedule"),
    "reading",
    *("callback_detection", "callback_scripts", "custom_build_args", "findings", "rawjson", "source", "presence"),
    *("request", "platform_images", "overlap", "alone"),
    *("engine_errors", "payload", "words"),
    *(
        "haproxy",
        "haproxy/config",
        "haproxy/entrance",
        "haproxy/gate",
        "haproxy/layout",
        "haproxy/maps",
        "haproxy/page",
        "haproxy/policy",
        "haproxy/raw",
        "haproxy/sections",
        "haproxy/stats",
        "haproxy/tallies",
    ),
)
EFFECTS = {  # each with the guarded modules that are its own
    "engine": (),
    "engine/library": ("docker", "urllib3"),
    "engine/host": (),
    "engine/watch": (),
    "buildx": ("subprocess", "threading"),
    "haproxy/control": ("socket",),
    "haproxy/certificates": ("ssl",),
    **dict.fromkeys(("haproxy/proxy", "haproxy/files", "haproxy/fragments", "haproxy/handover", "haproxy/ports"), ()),
    **dict.fromkeys(
        (
            "haproxy/holding",
            "haproxy/leaving",
            "haproxy/maintenance",
            "haproxy/runtime",
            "haproxy/setup",
            "haproxy/workers",
        ),
        (),
    ),
    "haproxy/balancer": (),
    "images": ("subprocess",),
    "git": ("subprocess",),
    "folder": (),
    "logins": (),
    "incoming": ("fcntl",),
    "probe": ("http", "socket", "ssl"),
    "prober": ("threading",),
    "visitors": ("http", "socket", "ssl", "threading"),
    "locks": ("fcntl",),
    "machine": (),
    "mounted": (),
    "neighbours": (),
    "forkserver": ("fcntl",),
    "line": ("fcntl", "signal"),
    "own_folder": (),
    "compiled": (),
    "code_image": (),
    "code_keep": (),
    "forkcall": ("fcntl",),
    "records": (),
    "crontab": (),
    "crontab/table": (),
    "crontab/rota": ("fcntl", "http", "socket"),
}
WIRING = {  # each with what it may import of ours beyond the pure
    "observe": (),
    "choose": ("observe",),
    "kept": ("choose", "observe"),
    "admission": ("choose", "observe"),
    "pruning": ("execute", "observe", "work"),
    "callback_run": ("observe",),
    "counting": (),
    "work": ("counting", "observe"),
    "verbs": ("work", "verbs/*"),
    **dict.fromkeys(("verbs/containers", "verbs/door", "verbs/serving"), ("counting", "observe", "work")),
    "verbs/crew": ("observe", "verbs/containers", "verbs/serving", "work"),
    "verbs/verdicts": ("callback_run", "counting", "observe", "work"),
    "execute": ("verbs", "work"),
    "job": ("execute", "observe", "work"),
    "leaving": ("execute", "job", "observe", "work"),
    "host_report": ("job", "observe"),
    "project": (),
    "provenance": ("project",),
    "building": ("project", "provenance"),
    "answer": ("*",),
    "build_module": ("*",),
    "module": ("*",),
    "info_module": ("*",),
    "inside_module": ("*",),
    "backing_module": ("*",),
    "drain_module": ("*",),
    "prune_module": ("*",),
    "image_module": ("*",),
    "callback_module": ("*",),
    "proxy_module": ("*",),
    "service_module": ("*",),
    "lint_module": ("*",),
    "selftest_module": ("*",),
    "maintenance_module": ("*",),
}
STANDARD_PURE = set(
    "__future__ abc base64 binascii bisect collections contextlib copy csv dataclasses datetime "
    "decimal difflib enum fnmatch fractions functools gzip hashlib heapq hmac io ipaddress "
    "itertools json math operator pathlib posixpath re shlex statistics string struct tarfile "
    "textwrap types typing unicodedata urllib.parse zlib".split()
)
GUARDED = set(  # one file each may have these; any other standard module is free in an effect
    "asyncio ctypes fcntl http multiprocessing random signal socket ssl subprocess threading urllib.request".split()
)
SHARED = ("own_folder", "forkserver", "forkcall", "compiled", "code_image", "code_keep")  # effects that others may use
# What stands behind the modules: they alone construct effects.
FACES = (
    "backing_module",
    "module",
    "info_module",
    "inside_module",
    "drain_module",
    "service_module",
    "prune_module",
    "image_module",
    "build_module",
    "callback_module",
    "proxy_module",
    "lint_module",
    "selftest_module",
    "maintenance_module",
    "answer",
)
WRAPPER_PURE = ("spec", "events", "fold", "loss", "report", "words", "errors")
WRAPPER_THIRD = {  # third-party library: who may import it
    "ansible_runner": ("runner",),
    "jinja2": ("*",),
    "rich": ("show", "show/*"),
    "yaml": ("*",),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "now", "utcnow", "today"}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns fits the name."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def name_of(path: Path, base: Path) -> str:
    """The path below base as the tables write it."""
    name = path.relative_to(base).with_suffix("").as_posix()
    return name.removesuffix("/__init__")


def files(base: Path) -> list[Path]:
    """The Python files below base."""
    return sorted(path for path in base.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """The full dotted names that a file imports, wherever in it."""
    package = dotted_folder(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def dotted_folder(path: Path) -> list[str]:
    """The package that a file's relative imports start from."""
    if path.is_relative_to(PLUGINS):
        return [*COLLECTION.split("."), "plugins", *path.parent.relative_to(PLUGINS).parts]
    return list(path.parent.relative_to(WRAPPER.parent).parts)


def util_of(dotted: str) -> str | None:
    """The table name of the module_utils file that a dotted name is, or is in; None for others."""
    if not dotted.startswith(UTILS + "."):
        return None
    parts = dotted.removeprefix(UTILS + ".").split(".")
    names = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
    fitting = [name for name in names if is_file(name)] or [name for name in names if known(name)]
    return (fitting or names)[0]


def is_file(name: str) -> bool:
    """Whether a table name is a file or a package that exists."""
    path = PLUGINS / "module_utils" / name
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def known(name: str) -> bool:
    """Whether one of the tables has the name."""
    return matches(name, PURE) or name in EFFECTS or name in WIRING


def within(dotted: str, names: set[str] | tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these modules or is in one of them."""
    return any(dotted == name or dotted.startswith(name + ".") for name in names)


def outside_fault(dotted: str, name: str) -> str | None:
    """What is wrong with a module_utils file importing something that is not ours."""
    if within(dotted, STANDARD_PURE):
        return None
    if name in FACES:
        fits = dotted.startswith("ansible.module_utils.") or is_standard(dotted)
        return None if fits else "a module's wiring imports ours, the standard library, ansible.module_utils"
    if name in EFFECTS:
        free = is_standard(dotted) and not within(dotted, GUARDED)
        fits = free or within(dotted, EFFECTS[name])
        return None if fits else "not this effect's: see EFFECTS and GUARDED"
    return "not in STANDARD_PURE"


def is_standard(dotted: str) -> bool:
    """Whether it is of the standard library."""
    return dotted.split(".")[0] in sys.stdlib_module_names


def inside_fault(other: str, name: str) -> str | None:
    """What is wrong with a module_utils file importing this one of ours."""
    if matches(other, PURE):
        return None
    if name in WIRING:
        fits = matches(other, WIRING[name])
        return None if fits else "only module.py knows the effects"
    if name in EFFECTS:
        same = "/" in name + other and name.split("/")[0] == other.split("/")[0]
        return None if same or other in SHARED else "an effect imports pure files, and its own folder's"
    return "a pure file imports pure files"


def util_fault(dotted: str, name: str) -> str | None:
    """What is wrong with a module_utils file importing this."""
    other = util_of(dotted)
    if other:
        return inside_fault(other, name)
    if dotted.startswith("ansible_collections"):
        return "module_utils imports module_utils only"
    return outside_fault(dotted, name)


def plugin_fault(dotted: str, kind: str) -> str | None:
    """What is wrong with a plugin of this kind importing this."""
    other = util_of(dotted)
    if kind == "modules":
        own = dotted.startswith("__future__.") or dotted == "ansible.module_utils.basic.AnsibleModule"
        return None if own or other in (*FACES, "service", "compiled") else "a module imports its wiring and service"
    if other:
        return None if matches(other, PURE) else "on the control side only pure files are used"
    if dotted.startswith(COLLECTION):
        return (
            None
            if any(f".plugins.{one}." in dotted for one in (kind, "plugin_utils"))
            else "plugins share code through module_utils"
        )
    fits = dotted.startswith("ansible.") or (is_standard(dotted) and not within(dotted, ("subprocess",)))
    return None if fits else "plugins import ansible and the standard library"


def wrapper_fault(dotted: str, name: str) -> str | None:
    """What is wrong with a file of the wrapper importing this."""
    top = dotted.split(".")[0]
    if top == "stackswap":
        return None
    if matches(name, WRAPPER_PURE):
        return None if within(dotted, STANDARD_PURE) else "not in STANDARD_PURE, and this file is pure"
    if is_standard(dotted):
        return None
    return None if matches(name, WRAPPER_THIRD.get(top, ())) else "not this file's: see WRAPPER_THIRD"


def impure_calls(path: Path) -> list[str]:
    """Calls that reach outside without an import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [call.id for call in calls if isinstance(call, ast.Name)]
    names += [call.attr for call in calls if isinstance(call, ast.Attribute) and is_clock(call)]
    return [name for name in names if name in IMPURE_CALLS]


def is_clock(call: ast.Attribute) -> bool:
    """Whether it is a method of datetime or date, which read the clock."""
    return ast.unparse(call.value).split(".")[-1] in ("datetime", "date")


def faults(path: Path, fault_of, *what: str) -> list[str]:
    """The faults of a file's imports, as sentences."""
    found = ((dotted, fault_of(dotted, *what)) for dotted in imports(path))
    return [f"{path.relative_to(ROOT)}: {dotted}: {fault}" for dotted, fault in found if fault]


def test_every_module_utils_file_is_in_one_table() -> None:
    """A new file belongs to the pure, the effects or the wiring, and says so here."""
    names = [name_of(path, PLUGINS / "module_utils") for path in files(PLUGINS / "module_utils")]
    strangers = [name for name in names if name != "." and not known(name)]
    assert not strangers, f"in none of PURE, EFFECTS, WIRING of tests/unit/test_imports.py: {strangers}"
    twice = [name for name in (*EFFECTS, *WIRING) if matches(name, PURE)]
    assert not twice


def test_module_utils_import_what_their_table_allows() -> None:
    """Pure files import pure files; effects their own library; only module.py knows the effects."""
    base = PLUGINS / "module_utils"
    found = [fault for path in files(base) for fault in faults(path, util_fault, name_of(path, base))]
    assert not found, "\n".join(found)


def test_pure_files_call_nothing_outside() -> None:
    """No files, no printing, no clock in a pure file."""
    base = PLUGINS / "module_utils"
    pure = [path for path in files(base) if matches(name_of(path, base), PURE)]
    found = {str(path.relative_to(ROOT)): calls for path in pure if (calls := impure_calls(path))}
    assert not found


def test_plugins_stay_thin() -> None:
    """Modules reach the servers through module.py alone; control-side plugins use pure files."""
    paths = [path for path in files(PLUGINS) if not path.is_relative_to(PLUGINS / "module_utils")]
    found = [fault for path in paths for fault in faults(path, plugin_fault, path.relative_to(PLUGINS).parts[0])]
    assert not found, "\n".join(found)


def test_wrapper_and_collection_know_nothing_of_each_other() -> None:
    """Extra vars go in and one report comes out; nothing is imported across."""
    found = [fault for path in files(WRAPPER) for fault in faults(path, wrapper_fault, name_of(path, WRAPPER))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("dotted", "name", "allowed"),
    [
        (f"{UTILS}.model.Service", "plan", True),
        (f"{UTILS}.engine.Engine", "plan", False),
        (f"{UTILS}.engine", "execute", False),
        (f"{UTILS}.engine.Engine", "module", True),
        (f"{UTILS}.judge.health.judge", "execute", True),
        (f"{UTILS}.haproxy.control", "haproxy/proxy", True),
        (f"{UTILS}.haproxy.control", "haproxy/config", False),
        (f"{UTILS}.engine", "locks", False),
        ("docker.errors", "engine/library", True),
        ("docker.errors", "engine", False),
        ("docker.errors", "module", False),
        ("subprocess.run", "buildx", True),
        ("subprocess.run", "engine", False),
        ("os.path", "records", True),
        ("os.path", "plan", False),
        ("time.monotonic", "execute", False),
        ("time.monotonic", "module", True),
        ("random", "model", False),
        ("stackswap.cli", "module", False),
        ("ansible.module_utils.basic.AnsibleModule", "module", True),
        ("ansible.module_utils.basic.AnsibleModule", "service", False),
    ],
)
def test_the_table_tells_allowed_from_forbidden(dotted: str, name: str, allowed: bool) -> None:
    """The table itself refuses what the design refuses."""
    assert (util_fault(dotted, name) is None) is allowed


@pytest.mark.parametrize(
    ("fault", "allowed"),
    [
        (plugin_fault(f"{UTILS}.module.run", "modules"), True),
        (plugin_fault(f"{UTILS}.plan.climb", "modules"), False),
        (plugin_fault("ansible.module_utils.basic.AnsibleModule", "modules"), True),
        (plugin_fault("ansible.module_utils.common.text", "modules"), False),
        (plugin_fault(f"{UTILS}.fleet.fold", "action"), True),
        (plugin_fault(f"{UTILS}.engine.Engine", "action"), False),
        (plugin_fault("ansible.plugins.action.ActionBase", "action"), True),
        (plugin_fault("stackswap.report", "callback"), False),
        (wrapper_fault("ansible_runner.run", "runner"), True),
        (wrapper_fault("ansible_runner.run", "job"), False),
        (wrapper_fault(f"{UTILS}.model", "report"), False),
        (wrapper_fault("docker", "job"), False),
        (wrapper_fault("rich.table.Table", "show/table"), True),
        (wrapper_fault("time", "events"), False),
    ],
)
def test_plugins_and_wrapper_are_told_apart(fault: str | None, allowed: bool) -> None:
    """The rules of the other two worlds refuse what the design refuses."""
    assert (fault is None) is allowed
