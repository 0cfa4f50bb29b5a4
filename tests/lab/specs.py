"""Writes the role's argument specifications: types from the options' table, text from the fragments.

Run it after a change of either; a test compares what it would write with what is there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
PLUGINS = "ansible_collections.stackswap.bluegreen.plugins"
WRITTEN = ROOT / "collection" / "roles" / "stackswap" / "meta" / "argument_specs.yml"
HEAD = """\
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by `python -m tests.lab.specs`: change the options' table or the fragments, not this file.
---
"""
Spec = dict[str, Any]


def fragment(name: str, attribute: str = "DOCUMENTATION") -> Spec:
    """The options of a documentation fragment."""
    module = importlib.import_module(f"{PLUGINS}.doc_fragments.{name}")
    return yaml.safe_load(getattr(module.ModuleDocFragment, attribute))["options"]


def options_of(documented: Spec) -> Spec:
    """A fragment's option as a role's specification has it: suboptions are options there."""
    spec = {key: value for key, value in documented.items() if key != "suboptions"}
    below = documented.get("suboptions")
    if below:
        spec["options"] = {name: options_of(one) for name, one in below.items()}
    return spec


def raw(*description: str, default: Any = None, **more: Any) -> Spec:
    """A variable that reaches our own check as it is."""
    spec = {"description": list(description), "type": "raw", **more}
    return spec if default is None else {**spec, "default": default}


def variables() -> Spec:
    """All variables of the role, described."""
    service, release = fragment("service"), fragment("service", "RELEASE")
    environment = {"name": "production", "criticality": "critical"}
    return {
        "stackswap_service": {**options_of(service["name"]), "required": True},
        "stackswap_services": {
            "description": [
                "The services of the stack by name.",
                "Each is what M(stackswap.bluegreen.release) documents as its option C(service).",
            ],
            "type": "dict",
            "default": {},
        },
        "stackswap_environment": {
            **options_of(service["environment"]),
            "required": False,
            "default": environment,
        },
        "stackswap_overrides": {
            "description": [
                "What this environment has otherwise, by the names of services.",
                *service["overrides"]["description"][1:],
            ],
            "type": "dict",
            "default": {},
        },
        "stackswap_proxy": {**options_of(fragment("proxy")["proxy"]), "default": {}},
        "stackswap_version": raw(*release["version"]["description"], default=""),
        **job_variables(),
        **more_variables(),
        **setup_variables(),
    }


def job_variables() -> Spec:
    """The variables that say how a job goes about it."""
    waves = "How many servers go live at once, wave by wave, each a number or a share such as V(25%)."
    return {
        "stackswap_rollback_to": raw("The version to go back to. Defaults to the one that served before.", default=""),
        "stackswap_job": raw(
            "The id of the job, in claims, records and the report. Defaults to one made for the run.",
            default="",
        ),
        "stackswap_job_kind": raw(
            "What the job is called in the report, such as V(build-and-deploy).",
            "Defaults to the kind of the playbook.",
            default="",
        ),
        "stackswap_wait_claim": raw(
            "How long to wait for another job that holds the service, in seconds.",
            "Defaults to V(0), which refuses the job and names the holder.",
            default=0,
        ),
        "stackswap_claim_seconds": raw(
            *fragment("job")["claim_seconds"]["description"],
            "From V(60) to V(86400).",
            default=fragment("job")["claim_seconds"]["default"],
        ),
        "stackswap_waves": raw(
            waves,
            "A list, or a text with commas. The last size repeats. Defaults to all servers at once.",
            default=["100%"],
        ),
        "stackswap_max_fail": raw("How many servers may fail before all go back. Defaults to V(0).", default=0),
        "stackswap_on_fail": raw(
            "What becomes of servers that are live already when more have failed than may. With V(back) they go back,",
            "with V(hold) they stay live, the old release ready to take over again. Defaults to V(back).",
            default="back",
        ),
        "stackswap_main": raw(
            "The main server, by its name in the inventory. It is claimed first, and C(release.sh) and C(after.sh) run",
            "there. Defaults to the first of the group C(stackswap).",
            default="",
        ),
        "stackswap_now": raw(
            *fragment("service", "RELEASE")["now"]["description"],
            "True or false, or the words yes and no. Defaults to V(false).",
            default=False,
        ),
        "stackswap_drill": raw(
            "Whether the way back is tried when the bake is passed, whatever C(drill) of the service says.",
            "True or false, or the words yes and no. Defaults to V(false).",
            default=False,
        ),
    }


def more_variables() -> Spec:
    """The variables that say what else builds and deploys are given."""
    registries = "The registries to log in to, by their names, each with C(username) and C(password)."
    return {
        "stackswap_room": raw(*fragment("room")["room"]["description"], default={}),
        "stackswap_env": raw("Environment variables for this job alone. They win over all others.", default={}),
        "stackswap_attached": raw(
            "The attached services by name, each with a C(kind), one of V(mysql), V(postgresql), V(redis) and V(es),",
            "and with C(host), C(port), C(user), C(password), C(database) and C(prefix) as far as it has them.",
            default={},
        ),
        "stackswap_backing": raw(
            "The databases, caches and the like that the stack runs itself, by name, each with an C(image), and with",
            "C(server), C(listen), C(deadline), C(health), C(env), C(secrets), C(secret_files), C(volumes),",
            "C(container), C(entrypoint), C(command) and what stackswap_attached knows but C(host).",
            default={},
        ),
        "stackswap_backing_name": raw("The one that the job is about. Defaults to all.", default=""),
        "stackswap_backing_state": raw(
            "With V(absent) the one that is named leaves its server. Its volumes stay. Defaults to V(present).",
            default="present",
        ),
        "stackswap_registries": raw(registries, "A password is in no command line.", default={}),
        "stackswap_base_images": raw(
            "The images to take in the place of names after C(FROM), by those names, in every service.", default={}
        ),
        "stackswap_before": raw("Task files that run on every server before anything changes there.", default=[]),
        "stackswap_after": raw(
            "Task files that run on every server in the end, told C(stackswap_outcome).", default=[]
        ),
        "stackswap_no_cache": raw("Whether the image is built without the cache. Defaults to V(false).", default=False),
        "stackswap_history": raw("How many jobs status tells of, the newest first. Defaults to V(0).", default=0),
        "stackswap_kept": raw("Whether status tells what can be gone back to. Defaults to V(false).", default=False),
        "stackswap_promote": raw(
            "What becomes of a release that is ready. With V(no) the job ends there. With V(only) it begins there: what"
            " waits on the servers is promoted, and nothing is built or started. Defaults to V(yes).",
            default="yes",
        ),
        "stackswap_preview": raw(
            "A word of your own, for C(stackswap_promote) V(no): requests with it in the header C(X-Stackswap-Preview)"
            " reach what is ready."
        ),
        "stackswap_maintenance": raw(
            "V(start) to have users get the page of the service in its place, V(end) to let them in again."
        ),
        "stackswap_exit_status": raw(
            "Whether a status fails for what is sick and for what differs between servers. Defaults to V(false).",
            default=False,
        ),
        "stackswap_drain_server": raw(
            "The server that a balancer in front is to leave out, or to take in again.", default=""
        ),
        "stackswap_drain_wait": raw(
            "How long to wait until nobody comes to a server any more, in seconds. Defaults to V(60).", default=60
        ),
        "stackswap_tail": raw(
            "How many of the last lines of each container are shown first. Defaults to V(100).", default=100
        ),
        "stackswap_follow": raw("Whether logs go on until the job is stopped. Defaults to V(false).", default=False),
        "stackswap_previous": raw(
            "Whether logs are those of the release that a rollback would go to. Defaults to V(false).", default=False
        ),
        "stackswap_process": raw(
            "The process of the service whose logs are shown, or in whose container the command runs.",
            "Defaults to V(web), on a server without that to any other.",
            default="",
        ),
        "stackswap_command": raw("The command to run in the live container, a list.", default=[]),
        "stackswap_expect": raw(
            "The hash of the plan that was approved, as a check prints it.",
            "The job is refused, and nothing is changed, if any server's plan is another by now.",
            default="",
        ),
        "stackswap_unmounted": raw(
            "The mount points on the servers that are gone on purpose: a list, or a text with commas.",
            "Else a volume that was on a mount at an earlier deploy and is on none now is refused.",
            default=[],
        ),
        "stackswap_force": raw("Whether a rollback goes past a barrier. Defaults to V(false).", default=False),
    }


def setup_variables() -> Spec:
    """The variables of setup alone."""
    return {
        "stackswap_engine_source": raw(
            "Where a Docker engine comes from if none is there. V(distribution) is the system's own"
            " packages, V(trixie) those of Debian 13 on an older Debian.",
            "With V(none) a server without an engine is refused.",
            default="distribution",
        ),
        "stackswap_engine_deadline": raw(
            "How long an engine that was started may take to answer, in seconds.", default=60
        ),
        "stackswap_pull_seconds": raw(
            "How long a registry may take to give the proxy's image, in seconds.",
            "After that the image is made from the distribution's package.",
            default=120,
        ),
    }


DEFINED = ("services", "environment", "overrides", "job", "job_kind")
CLAIMED = (
    *("proxy", "wait_claim", "claim_seconds", "now", "max_fail", "on_fail", "main"),
    *("attached", "backing", "registries", "before", "after", "expect", "room"),
)
STARTED = ("unmounted", "waves")
BUILT = ("base_images", "no_cache")
ENTRY_POINTS = {  # name: what it does, what must be given, what may be given
    "setup": (
        "Set up a server",
        "Has an engine, the directory that releases share, and the proxy running on every server.",
        (),
        ("environment", "proxy", "job", "job_kind", "engine_source", "engine_deadline", "pull_seconds"),
    ),
    "build": (
        "Build an image",
        "Builds the image of a version of a service on the builder.",
        ("service", "version"),
        (*DEFINED, *BUILT, "registries"),
    ),
    "deploy": (
        "Deploy a version",
        "Deploys a version, or else what is live with the settings of now, to all servers or none.",
        ("service",),
        ("version", "env", "promote", "preview", *DEFINED, *CLAIMED, *STARTED),
    ),
    "build_and_deploy": (
        "Build and deploy a version",
        "Builds the image of a version of a service and deploys it to every server of the stack.",
        ("service", "version"),
        ("env", "promote", "preview", *DEFINED, *BUILT, *CLAIMED, *STARTED),
    ),
    "rollback": (
        "Go back to a version before",
        "Has an earlier release of a service serve again, on every server of the stack.",
        ("service",),
        ("rollback_to", "force", *DEFINED, *CLAIMED, *STARTED),
    ),
    "maintenance": (
        "Start or end a maintenance",
        "Shows a page in the place of a service on every server of the stack, or lets users in again.",
        ("service", "maintenance"),
        (*DEFINED, "proxy"),
    ),
    "restart": (
        "Restart what is live",
        "Has new containers of the release that is live take over, on every server of the stack.",
        ("service",),
        (*DEFINED, *CLAIMED, *STARTED),
    ),
    "remove": (
        "Have a service leave",
        "Removes all of a service from every server of the stack. The inventory may not know it any more.",
        ("service",),
        (*DEFINED, "proxy", "wait_claim", "claim_seconds"),
    ),
    "logs": (
        "Show what a service says",
        "Shows the logs of a service's containers on every server of the stack.",
        ("service",),
        ("tail", "follow", "previous", "process", *DEFINED, "proxy"),
    ),
    "exec": (
        "Run a command in a service",
        "Runs a command in the live container of a service on the main server.",
        ("service", "command"),
        ("process", "main", *DEFINED, "proxy"),
    ),
    "drain": (
        "Have a balancer leave a server out",
        "Has the balancer in front leave one server out, and waits until nobody comes there any more.",
        ("drain_server",),
        ("drain_wait", "environment", "job", "job_kind", "proxy"),
    ),
    "undrain": (
        "Have a balancer take a server in again",
        "Has the balancer in front send requests to a server again.",
        ("drain_server",),
        ("environment", "job", "job_kind", "proxy"),
    ),
    "backing": (
        "Run backing services",
        "Has the databases and caches of a small stack run on their servers, or one of them leave.",
        (),
        ("backing", "backing_name", "backing_state", "environment", "registries", "job", "job_kind", "proxy"),
    ),
    "prune": (
        "Take away what nobody would go back to",
        "Removes containers, images and records of releases beyond the window. Without a service it does so for all.",
        (),
        ("service", "wait_claim", *DEFINED, "proxy"),
    ),
    "status": (
        "Tell what serves",
        "Tells what serves on every server of the stack and changes nothing. Without a service it tells of all.",
        (),
        ("service", "exit_status", "history", "kept", "backing", *DEFINED, "proxy"),
    ),
    "selftest": (
        "Prove what is promised",
        "Swaps a sample service on every server under load, breaks it, and tells which promises were kept there.",
        (),
        ("environment", "proxy", "job", "job_kind"),
    ),
}


SEVERAL = ("build", "deploy", "build_and_deploy", "rollback", "restart")
OR_SEVERAL = (
    "Several are given as a list or with commas between, such as V(shop,api). V(all) is every service of the stack.",
    "All of them are ready on every server before one goes live, and where one fails, all go back.",
)


def entry_point(name: str) -> Spec:
    """The specification of one entry point."""
    short, long, must, may = ENTRY_POINTS[name]
    known = variables()
    required = {f"stackswap_{one}": {**known[f"stackswap_{one}"], "required": True} for one in must}
    optional = {f"stackswap_{one}": {**known[f"stackswap_{one}"], "required": False} for one in may}
    if name in SEVERAL:
        required["stackswap_service"]["description"] = [*required["stackswap_service"]["description"], *OR_SEVERAL]
    for spec in required.values():
        spec.pop("default", None)
    for spec in optional.values():
        spec.pop("required")
    return {"short_description": short, "description": [long], "options": {**required, **optional}}


class Indented(yaml.SafeDumper):
    """Lists stand indented below their key, and nothing is an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never without indent."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write out what comes twice."""
        return True


def text() -> str:
    """The file as it should be."""
    specs = {"argument_specs": {name: entry_point(name) for name in ENTRY_POINTS}}
    return HEAD + yaml.dump(specs, Dumper=Indented, sort_keys=False, width=118, allow_unicode=True)


def defaults() -> Spec:
    """What the role's defaults must say."""
    return {name: spec["default"] for name, spec in variables().items() if "default" in spec}


if __name__ == "__main__":
    WRITTEN.write_text(text(), encoding="utf-8")
