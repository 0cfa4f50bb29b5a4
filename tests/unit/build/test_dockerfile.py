"""The last layers: who runs which callback, what is refused, what is told, and their text."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import custom_build_args, dockerfile, findings
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import (
    Folder,
    Script,
    asks_for,
    built_by,
    entry_paths,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.dockerfile import Choice, Inside
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image

SH = "#!/bin/sh\ntrue\n"
BOTH = Folder(build=Script("build.sh", SH), entrypoint=Script("entrypoint.sh", SH))
BOTH_OURS = Choice("ours", "ours")
HERE = Inside({"/bin/sh": ""})


def image(**fields: object) -> Image:
    """An image with these fields."""
    return Image("sha256:1", **fields)  # type: ignore[arg-type]


def chosen(**fields: object) -> Choice:
    """What is chosen for both callbacks, with these things other than usual."""
    usual = {"asked": {}, "text": "FROM x\n", "image": image(), "inside": HERE}
    return dockerfile.choose(BOTH, *{**usual, **fields}.values())  # type: ignore[arg-type]


LAYERS = {
    "both, USER kept": (
        Choice("ours", "ours"),
        image(user="1234:5", entrypoint=("/run me",), command=("a b", 'c"d')),
        """\
FROM app
COPY artifakt/ /.artifakt/
USER 0:0
RUN --mount=type=bind,source=build,target=/.stackswap/build \
--mount=type=secret,id=stackswap-env,required=true ["/bin/sh", "/.stackswap/build/run", "/app"]
USER 1234:5
COPY entrypoint /.stackswap/entrypoint
ENTRYPOINT ["/.stackswap/entrypoint", "/run me"]
CMD ["a b", "c\\"d"]
""",
    ),
    "root needs no USER line": (
        Choice("ours", "none"),
        image(),
        """\
FROM app
COPY artifakt/ /.artifakt/
RUN --mount=type=bind,source=build,target=/.stackswap/build \
--mount=type=secret,id=stackswap-env,required=true ["/bin/sh", "/.stackswap/build/run", "/app"]
""",
    ),
    "no CMD stays no CMD": (
        Choice("none", "ours"),
        image(entrypoint=("/x",)),
        """\
FROM app
COPY artifakt/ /.artifakt/
COPY entrypoint /.stackswap/entrypoint
ENTRYPOINT ["/.stackswap/entrypoint", "/x"]
CMD []
""",
    ),
    "a base that was wrapped is wrapped once": (
        Choice("none", "ours"),
        image(entrypoint=("/.stackswap/entrypoint", "/x"), command=("y",)),
        """\
FROM app
COPY artifakt/ /.artifakt/
COPY entrypoint /.stackswap/entrypoint
ENTRYPOINT ["/.stackswap/entrypoint", "/x"]
CMD ["y"]
""",
    ),
    "the folder alone": (
        Choice("theirs", "theirs"),
        image(),
        "FROM app\nCOPY artifakt/ /.artifakt/\n",
    ),
}


@pytest.mark.parametrize(("choice", "made", "text"), LAYERS.values(), ids=LAYERS)
def test_the_layers_are_written_so(choice: Choice, made: Image, text: str) -> None:
    """The whole text, so that a change of it is seen."""
    assert dockerfile.layers(choice, made, "/app") == text


DOCKERFILES = {
    "runs it from the code": ("FROM x\nCOPY . .\nRUN .artifakt/build.sh", True),
    "runs the copy": ("FROM x\nCOPY .artifakt /.artifakt\nrun sh /.artifakt/build.sh\n", True),
    "runs it on a continued line": (
        "FROM x\nRUN set -e; \\\n  # why\n  sh .artifakt/build.sh",
        True,
    ),
    "runs it in a here document": ("FROM x\nRUN <<EOT\nset -e\n/.artifakt/build.sh\nEOT\n", True),
    "copies it elsewhere": ("FROM x\nCOPY .artifakt/build.sh /b/\nRUN /b/build.sh\n", True),
    "enters the folder": (
        "FROM x\nCOPY .artifakt /.artifakt\nRUN cd /.artifakt && ./build.sh",
        True,
    ),
    "has it in a comment": ("FROM x\n# RUN .artifakt/build.sh\n", False),
    "only copies it": ("FROM x\nCOPY .artifakt/build.sh /.artifakt/\n", False),
    "only makes it executable": ("FROM x\nCOPY . .\nRUN chmod +x .artifakt/build.sh\n", False),
    "has a build.sh of its own": ("FROM x\nCOPY . .\nRUN ./build.sh\n", False),
}


@pytest.mark.parametrize(("text", "theirs"), DOCKERFILES.values(), ids=DOCKERFILES)
def test_a_dockerfile_that_runs_build_sh_is_seen(text: str, theirs: bool) -> None:
    """Neither script ever runs twice, and neither is forgotten."""
    assert bool(built_by(text, image())) is theirs


STARTS = {
    "an entrypoint script": (
        {"entrypoint": ("/entry.sh",)},
        {"/entry.sh": "#!/bin/sh\n. /.artifakt/entrypoint.sh\n"},
        True,
    ),
    "a script behind an init": (
        {"entrypoint": ("/sbin/tini", "--", "docker-entrypoint.sh"), "command": ("x",)},
        {"/usr/local/bin/docker-entrypoint.sh": "/.artifakt/entrypoint.sh\nexec $@\n"},
        True,
    ),
    "a script in the working directory": (
        {"entrypoint": ("./start",), "working_dir": "/app"},
        {"/app/start": "sh /.artifakt/entrypoint.sh"},
        True,
    ),
    "a line of shell": ({"command": ("/bin/sh", "-c", "/.artifakt/entrypoint.sh && x")}, {}, True),
    "a label": ({"labels": (("stackswap.callbacks", "entrypoint"),)}, {}, True),
    "a comment": ({"entrypoint": ("/e",)}, {"/e": "# /.artifakt/entrypoint.sh\nexec $@"}, False),
    "another script": ({"entrypoint": ("/e",)}, {"/e": "exec $@"}, False),
    "none": ({"command": ("x",)}, {}, False),
}


@pytest.mark.parametrize(("fields", "files", "theirs"), STARTS.values(), ids=STARTS)
def test_an_image_that_runs_entrypoint_sh_is_seen(
    fields: dict[str, object], files: dict[str, str], theirs: bool
) -> None:
    """Only files that the product asks for are found, as in a real image."""
    made = image(**fields)
    texts = {path: text for path, text in files.items() if path in entry_paths(made)}
    choice = chosen(image=made, inside=Inside(texts))
    assert choice.entrypoint == ("theirs" if theirs else "ours")
    assert any("not run again" in note for note in choice.notes) is theirs


def test_what_the_service_says_wins() -> None:
    """The detection is for `auto` alone."""
    text = "FROM x\nRUN .artifakt/build.sh\n"
    asked = {"build": "ours", "entrypoint": "none"}
    choice = chosen(asked=asked, text=text)
    assert (choice.build, choice.entrypoint, choice.notes) == ("ours", "none", ())


def test_a_script_that_is_not_there_is_nobodys() -> None:
    """Even if it is asked for."""
    asked = {"build": "ours", "entrypoint": "ours"}
    assert dockerfile.choose(Folder(), asked, "", image(), HERE) == Choice()


def refusal(folder: Folder, inside: Inside, choice: Choice = BOTH_OURS) -> str:
    """The words of a refusal."""
    with pytest.raises(BadInput) as refused:
        dockerfile.refuse(folder, choice, inside)
    return refused.value.what


def test_an_image_without_a_shell_is_refused() -> None:
    """With the callbacks that need one, and what to do."""
    said = refusal(BOTH, Inside({}))
    assert "no /bin/sh" in said
    assert ".artifakt/build.sh and .artifakt/entrypoint.sh" in said
    dockerfile.refuse(BOTH, Choice("theirs", "none"), Inside({}))


def test_onbuild_lines_are_refused() -> None:
    """They would run in our layers, against a context that is not theirs."""
    assert "ONBUILD" in refusal(BOTH, Inside({"/bin/sh": ""}, ("COPY . .",)))


def test_a_missing_interpreter_is_refused_where_nothing_can_install_it() -> None:
    """The first to run must find its program; build.sh may install that of entrypoint.sh."""
    bash = Script("entrypoint.sh", "#!/bin/bash\n")
    assert "/bin/bash" in refusal(Folder(entrypoint=bash), HERE, Choice("none", "ours"))
    dockerfile.refuse(Folder(build=Script("build.sh", SH), entrypoint=bash), Choice("ours", "ours"), HERE)
    assert "/bin/bash" in refusal(Folder(build=Script("build.sh", bash.text)), HERE)


def test_env_finds_its_program_on_the_path() -> None:
    """The usual portable first line is understood."""
    assert "/usr/bin/bash" in asks_for(Script("x", "#!/usr/bin/env -S bash -e\n"))


def script(text: str, executable: bool = True) -> Script:
    """A script of this text."""
    return Script("after.sh", text, executable)


GOOD = "#!/bin/sh\nset -e\n"
SCRIPTS = {
    "good": (script(GOOD), []),
    "Windows": (script("#!/bin/sh\r\nset -e\r\n"), [("error", "has Windows line ends")]),
    "Windows in part": (script("#!/bin/sh -e\nx\r\n"), [("warning", "has Windows line ends (CRLF) in some")]),
    "no exec bit": (script(GOOD, executable=False), [("warning", "is not executable")]),
    "no first line": (script("set -e\n"), [("warning", "has no #! line")]),
    "goes on": (script("#!/bin/bash\n# set -e\ntrue"), [("warning", "does not say `set -e`")]),
    "env goes on": (script("#!/usr/bin/env bash\n"), [("warning", "does not say `set -e`")]),
    "stops by its first line": (script("#!/usr/bin/env -S bash -eu\n"), []),
    "stops by a long name": (script("#!/bin/bash\n set -o pipefail -o errexit\n"), []),
    "stops by one of many": (script("#!/bin/bash\nset -euo pipefail\n"), []),
    "no shell": (script("#!/usr/bin/env python3\nimport os\n"), []),
}


@pytest.mark.parametrize(("one", "told"), SCRIPTS.values(), ids=SCRIPTS)
def test_what_is_wrong_with_a_script_is_found(one: Script, told: list[tuple[str, str]]) -> None:
    """In any of the five; an error is what keeps it from running."""
    found = findings.of_folder(Folder(".cb", after=one))
    assert [(f.level, f.file) for f in found] == [(level, ".cb/after.sh") for level, _ in told]
    assert all(f.what.startswith(what) for f, (_, what) in zip(found, told, strict=True))


def test_errors_are_refused_by_a_build_and_the_rest_is_told() -> None:
    """What the platform skipped without a word is said here."""
    with pytest.raises(BadInput, match=r"\.artifakt/after\.sh has Windows line ends"):
        dockerfile.check(Folder(after=script("#!/bin/sh\r\ntrue\r\n")))
    told = dockerfile.check(Folder(".cb", entrypoint=Script("entrypoint.sh", "true\n", False)))
    assert [note.split(":")[0] for note in told] == [
        ".cb/entrypoint.sh is not executable",
        ".cb/entrypoint.sh has no #! line",
        ".cb/entrypoint.sh does not say `set -e`",
    ]


FILES = {
    "a list": ('FROM x\nCMD ["a"]\n', []),
    "a line of shell": ("FROM x\nCMD a\n", ["CMD"]),
    "the last one counts": ('FROM x\nCMD a\nCMD ["b"]\n', []),
    "the last stage counts": ('FROM x\nCMD a\nFROM y\nENTRYPOINT ["b"]\n', []),
    "an entrypoint hides the command": ("FROM x\nENTRYPOINT a\nCMD b\n", ["ENTRYPOINT"]),
    "none": ("", []),
}


@pytest.mark.parametrize(("text", "verbs"), FILES.values(), ids=FILES)
def test_a_start_in_shell_form_is_found(text: str, verbs: list[str]) -> None:
    """Before anything is built."""
    found = findings.of_dockerfile("Dockerfile", text)
    assert [f.what.split(" in shell form")[0] for f in found] == [f"has {verb}" for verb in verbs]


def test_a_build_sh_that_a_dockerfile_cannot_run_is_an_error() -> None:
    """Ours is made executable; theirs runs before we could."""
    folder = Folder(build=Script("build.sh", GOOD, executable=False))
    (found,) = findings.of_dockerfile("Dockerfile", "FROM x\nRUN /.artifakt/build.sh\n", folder)
    assert (found.level, found.file) == ("error", "Dockerfile")


INPUTS = "--mount=type=bind,from=stackswap-inputs,target=/.stackswap/inputs"


def ours(target: str) -> str:
    """The two mounts that stand for one of theirs."""
    return f"--mount=type=secret,id=stackswap-env,target={target},required=true,mode=0444 {INPUTS}"


F = custom_build_args.FILE
MOUNTS = {
    "as in their samples": (f"RUN --mount=source={F},target=/b \\\n  x", f"RUN {ours('/b')} \\\n  x"),
    "another order, more options": (f"run --mount=ro,dst=/b,type=bind,src=./{F} x", f"run {ours('/b')} x"),
    "quoted": (f"RUN --mount='target=/b,\"source={F}\"' x", f"RUN {ours('/b')} x"),
    "between other flags": (
        f"RUN --network=none --mount=source={F},target=/b --mount=type=cache,target=/c x",
        f"RUN --network=none {ours('/b')} --mount=type=cache,target=/c x",
    ),
    "on lines of its own": (
        f"RUN \\\n # why\n --mount=type=bind,\\\nsource={F},target=/b \\\n x",
        f"RUN \\\n # why\n {ours('/b')} \\\n \\\n x",
    ),
    "twice": (
        f"RUN --mount=source={F},target=/b x\nRUN --mount=source={F},target=/c y",
        f"RUN {ours('/b')} x\nRUN {ours('/c')} y",
    ),
    "another escape": (f"# escape=`\nRUN `\n--mount=source={F},target=/b x", f"# escape=`\nRUN `\n{ours('/b')} x"),
    "with a variable": (f"RUN --mount=source={F},target=$B x", f"RUN {ours('$B')} x"),
}
STAY = (
    f"#RUN --mount=source={F},target=/b \\\n#  x\nRUN x",
    f"RUN <<EOT\nRUN --mount=source={F},target=/b x\nEOT\n",
    f"RUN --mount=type=secret,id={F},target=/b x",
    f"RUN --mount=from=other,source={F},target=/b x",
    f"RUN --mount=source={F} x",
    f"RUN x --mount=source={F},target=/b",
    f"COPY {F} /b",
    "RUN x",
)


@pytest.mark.parametrize(("text", "given"), MOUNTS.values(), ids=MOUNTS)
def test_the_mount_of_the_build_arguments_is_replaced(text: str, given: str) -> None:
    """On its own lines, so that what the builder says of a line is true of the user's file."""
    assert custom_build_args.provide(text) == given


@pytest.mark.parametrize("text", STAY)
def test_other_lines_stay_as_they_are(text: str) -> None:
    """Comments, here documents, other kinds of mounts."""
    assert custom_build_args.provide(text) == text


def test_a_here_string_is_no_here_document() -> None:
    """What follows it is still read."""
    text = f"RUN cat <<<word && x $((a<<b))\nRUN --mount=source={F},target=/b x"
    assert ours("/b") in custom_build_args.provide(text)


def test_declared_arguments_are_known() -> None:
    """With and without a default, several in a line."""
    text = "ARG A=1 CODE_ROOT\nFROM x\n# ARG B\n"
    assert custom_build_args.declares(text, "CODE_ROOT")
    assert not custom_build_args.declares(text, "B")


def test_an_image_without_a_shell_has_no_persistent_folders() -> None:
    """Refused at the build, and what to say is said."""
    with pytest.raises(BadInput, match=r"persistent: \[\]"):
        dockerfile.refuse(Folder(), Choice(), Inside({}), ("var",))


def test_persistent_folders_are_linked_after_build_sh() -> None:
    """What it made there is their seed; the start is wrapped although nobody has a callback."""
    text = dockerfile.layers(Choice("ours"), image(user="1"), "/app", ("var",))
    steps = [line.rsplit(" ", 1)[0] if line.startswith("RUN") else line for line in text.splitlines()]
    assert [line.split()[0] for line in steps] == [
        "FROM",
        "COPY",
        "USER",
        "RUN",
        "RUN",
        "USER",
        "COPY",
        "ENTRYPOINT",
        "CMD",
    ]
    assert '["/bin/sh", "/.stackswap/persist/run", "/app", "var"]' in text
    alone = dockerfile.layers(Choice(), image(), "/app", ("var",), copied=False)
    assert "artifakt" not in alone
    assert 'ENTRYPOINT ["/.stackswap/entrypoint"]' in alone


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"command": ("/bin/sh", "-c", "python app.py")}, "CMD is in shell form"),
        ({"entrypoint": ("/bin/bash", "-lc", "x")}, "ENTRYPOINT is in shell form"),
        ({}, "neither ENTRYPOINT nor CMD"),
        ({"command": ("python", "app.py")}, ""),
        ({"entrypoint": ("/e",), "command": ("sh", "-c", "x")}, ""),
    ],
)
def test_starts_that_lose_signals_are_told(fields: dict[str, object], told: str) -> None:
    """People hear of it at the build, not at the first slow stop."""
    notes = dockerfile.warn(image(**fields))
    assert told in "".join(notes)
    assert bool(notes) is bool(told)


@pytest.mark.parametrize("root", ["app", "/a\nUSER x", "/a<<b"])
def test_a_strange_code_root_is_refused(root: str) -> None:
    """It must not become another line of the Dockerfile."""
    with pytest.raises(BadInput):
        dockerfile.code_root_of(image(), root)


def test_the_code_root_is_the_working_directory() -> None:
    """Unless asked otherwise."""
    assert dockerfile.code_root_of(image(working_dir="/w"), None) == "/w"
    assert dockerfile.code_root_of(image(), None) == "/"
    assert dockerfile.code_root_of(image(working_dir="/w"), "/x y") == "/x y"
