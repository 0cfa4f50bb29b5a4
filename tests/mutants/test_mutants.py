"""Sabotages of the product, each of which turns a named test red: what the tests say they guard, they do guard.

Each is one replacement of text, which must fit exactly once, in a copy of the tree; the named tests run there in a
process of their own, and all of them pass in a copy that nothing was done to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PARTS = ("collection", "playbooks", "tests", "wrapper", "pyproject.toml")
SERVER = "collection/plugins/module_utils"
UNIT, FAILED, PASSED = "tests/unit", 1, 0
CREW, WORLD_OF_CREW = f"{UNIT}/collection/test_job_crew.py", "tests/contract/test_world_crew.py"


class Mutant(NamedTuple):
    """A sabotage: in this file this text becomes that one; and the test that must notice."""

    file: str
    old: str
    new: str
    killer: str


MUTANTS = {
    "the map is not read back": Mutant(
        f"{SERVER}/haproxy/proxy.py",
        "return here and stats.pid(info) == self._master.serving()",
        "return True",
        f"{UNIT}/haproxy/test_proxy.py::test_a_value_that_is_never_read_back_is_told",
    ),
    "no confirm": Mutant(
        f"{SERVER}/verbs/serving.py",
        "return work.wait(step, sample, verdict, SECONDS)",
        'return ""',
        f"{UNIT}/collection/test_job.py::test_a_door_that_leads_elsewhere_is_not_confirmed",
    ),
    "drain reads one worker only": Mutant(
        f"{SERVER}/haproxy/workers.py",
        "counts = [self._counted(master, pid, addresses) for pid in pids]",
        "counts = [self._counted(master, pid, addresses) for pid in pids if pid == master.serving()]",
        f"{UNIT}/haproxy/test_proxy.py::test_sessions_are_counted_in_all_workers",
    ),
    "a swap is told to the serving worker alone": Mutant(
        f"{SERVER}/haproxy/workers.py",
        "            if (master, pid) != serving:\n",
        "            if pid < 0:\n",
        f"{UNIT}/haproxy/test_proxy.py::test_a_swap_is_told_to_workers_that_are_on_their_way_out",
    ),
    "a worker that never answers is taken for one that has ended": Mutant(
        f"{SERVER}/haproxy/workers.py",
        "                break\n            self._sleep(TURN)\n",
        "                return ''\n            self._sleep(TURN)\n",
        f"{UNIT}/haproxy/test_workers.py::test_one_that_lives_and_never_answers_is_not_called_idle",
    ),
    "certificates are not tried": Mutant(
        f"{SERVER}/haproxy/certificates.py",
        "            with suppress(ssl.SSLWantReadError):\n",
        "            with suppress(ssl.SSLError):\n",
        f"{UNIT}/haproxy/test_certificates.py::test_one_that_would_not_do_is_refused_by_its_name[expired]",
    ),
    "a bake is deaf to errors": Mutant(
        f"{SERVER}/judge/bake.py",
        "    if worse(last.traffic, before, bake):\n",
        "    if False:\n",
        f"{UNIT}/collection/test_loss.py::test_a_release_that_answers_users_500_goes_back_by_itself",
    ),
    "requests do not wait while nobody runs": Mutant(
        f"{SERVER}/phases/alone.py",
        "if live_slot(seen) and seen.held != HELD:",
        "if False:",
        f"{UNIT}/collection/test_job_alone.py::test_a_deploy_stops_the_old_release_before_the_new_one_starts",
    ),
    "two run where one may": Mutant(
        f"{SERVER}/phases/alone.py",
        "        if one != placed or one.stopping:\n            yield from clear(one)\n",
        "        if one.stopping:\n            yield from clear(one)\n",
        f"{UNIT}/collection/test_job_alone.py::test_a_deploy_stops_the_old_release_before_the_new_one_starts",
    ),
    "a canary that has failed keeps its share": Mutant(
        f"{SERVER}/plan.py",
        "_BACK: tuple[Phase, ...] = (\n    first.withdraw,\n",
        "_BACK: tuple[Phase, ...] = (\n",
        f"{UNIT}/collection/test_plan.py::test_a_way_back_takes_the_share_away_before_anything_else",
    ),
    "a step of a canary is not watched": Mutant(
        f"{SERVER}/phases/live.py",
        '        yield Step("watch", release, slot, str(percent))\n',
        "",
        f"{UNIT}/collection/test_job.py::test_a_canary_shares_more_and_more_of_the_traffic_and_then_is_none",
    ),
    "a health check gets the page of a maintenance": Mutant(
        f"{SERVER}/haproxy/sections.py",
        "return [head, *([well] if page.health else []), ",
        "return [head, ",
        f"{UNIT}/haproxy/test_sections.py::test_a_page_comes_with_503_and_the_health_check_gets_200_before_it",
    ),
    "a maintenance keeps those out that it lets by, where they come as IPv6": Mutant(
        f"{SERVER}/haproxy/maps.py",
        "for n in (*found, *mapped) for digits",
        "for n in found for digits",
        f"{UNIT}/haproxy/test_maps.py::test_an_address_is_found_by_the_digits_it_begins_with"
        "[203.0.113.0/24-::ffff:203.0.113.9-::ffff:203.0.112.9]",
    ),
    "what was not counted is called 0": Mutant(
        f"{SERVER}/judge/loss.py",
        "return Loss(NOT_COUNTED, None, requests, untold)",
        "return Loss(NONE, 0, requests)",
        f"{UNIT}/collection/test_loss.py::test_a_proxy_that_was_started_anew_leaves_it_untold",
    ),
    "only failed connections count as lost": Mutant(
        f"{SERVER}/haproxy/tallies.py",
        'unanswered += ended - number(row, *ANSWERS) + number(row, "hrsp_5xx")',
        'unanswered += number(row, "econ")',
        f"{UNIT}/haproxy/test_tallies.py::test_what_no_server_has_answered_is_unanswered",
    ),
    "await trusts the first UP": Mutant(
        f"{SERVER}/verbs/verdicts.py",
        "worker = [fx.proxy.force_down(key, step.slot)]",
        "worker = [fx.proxy.view(key).pid]",
        f"{UNIT}/collection/test_job.py::test_up_from_before_the_start_proves_nothing",
    ),
    "the file is written after the runtime": Mutant(
        f"{SERVER}/haproxy/proxy.py",
        "            self._live.put(service, value)\n"
        "            for _turn in range(TRIES):\n"
        "                if self._pointed(service, value):\n",
        "            for _turn in range(TRIES):\n"
        "                if self._pointed(service, value):\n"
        "                    self._live.put(service, value)\n",
        f"{UNIT}/haproxy/test_proxy.py::test_the_file_is_written_before_the_runtime",
    ),
    "the others do not wait for the first server": Mutant(
        "collection/plugins/plugin_utils/first.py",
        "return self.begun() and self._said(fcntl.LOCK_SH) and os.getppid() == self._parent",
        "return self.begun()",
        f"{UNIT}/collection/test_first.py::test_a_first_that_raises_or_is_killed_has_not_gone_well",
    ),
    "a server that was not claimed goes on": Mutant(
        f"{SERVER}/fleet.py",
        'if not result or result.get("unclaimed"):',
        "if not result:",
        f"{UNIT}/collection/test_fleet.py::test_a_server_that_was_not_claimed_is_bad",
    ),
    "an interface that is no bridge is told to ask more often": Mutant(
        f"{SERVER}/neighbours.py",
        'if os.path.isdir(os.path.join(links, name, "bridge")):',
        "if True:",
        f"{UNIT}/test_neighbours.py::test_a_real_interface_with_these_addresses_is_left_alone",
    ),
    "no proxy lock": Mutant(
        f"{SERVER}/haproxy/proxy.py",
        "        with self._lock():\n            self._refuse_unknown(service, value)\n",
        "        if True:\n            self._refuse_unknown(service, value)\n",
        f"{UNIT}/haproxy/test_proxy.py::test_a_value_is_written_under_the_proxys_lock",
    ),
    "retreat stops the last healthy": Mutant(
        f"{SERVER}/phases/away.py",
        "and not routed(seen, placed.slot) and not needed(seen, placed):",
        "and not routed(seen, placed.slot):",
        f"{UNIT}/collection/test_plan.py::test_retreating[the last healthy release that has served is never stopped]",
    ),
    "the fake diverges from the real thing for one verb": Mutant(
        "tests/lab/fake.py",
        "        self.boxes[container].policy = policy\n",
        "        assert policy\n",
        "tests/contract/test_world.py::test_a_step_makes_of_a_server_what_the_world_says[fake-keep]",
    ),
    "a secret option without no_log": Mutant(
        f"{SERVER}/options.py",
        '"secrets": _pairs(forms.variable, kinds.secret, no_log=True),',
        '"secrets": _pairs(forms.variable, kinds.secret),',
        f"{UNIT}/test_specs.py::test_secrets_are_declared_secret_wherever_they_may_stand",
    ),
    "a build shows what its steps say of a secret": Mutant(
        f"{SERVER}/rawjson.py",
        '            text = text.replace(value, "********")\n',
        "            text = text.replace(value, value)\n",
        f"{UNIT}/build/test_buildx.py::test_a_stream_cut_anywhere_tells_the_same[64]",
    ),
    "what was shipped is loaded unseen": Mutant(
        f"{SERVER}/incoming.py",
        "        if found != self._digest:\n",
        '        if found == "":\n',
        f"{UNIT}/build/test_archive.py::test_what_is_not_what_was_sent_is_refused_and_gone[12345678x]",
    ),
    "a version that was built again is not pulled again": Mutant(
        f"{SERVER}/presence.py",
        "or named is None or pinned else",
        "or named is None else",
        f"{UNIT}/build/test_presence.py::test_an_image_comes_so[by itself, a version that was built again]",
    ),
    "a drill sends users to a release that is not well": Mutant(
        f"{SERVER}/verbs/serving.py",
        'why = "" if up(work.look().seen, other(step.slot)) else "it is not healthy"',
        'why = ""',
        f"{UNIT}/collection/test_job.py::test_without_a_way_back_the_release_stays_and_that_is_told",
    ),
    "release.sh runs once more after a crash": Mutant(
        f"{SERVER}/callback_module.py",
        "    if state == BEGUN and not callback.idempotent:\n",
        "    if state == BEGUN and callback.idempotent:\n",
        f"{UNIT}/collection/test_callbacks.py::test_begun_and_cut_off_is_not_run_again_but_where_that_does_no_harm",
    ),
    "two workers run where one may": Mutant(
        f"{SERVER}/course.py",
        "            if alone and one.process == name and one.release != release:\n",
        "            if False:\n",
        f"{CREW}::test_workers_and_cron_switch_with_web[alone]",
    ),
    "workers of the release that was left go on": Mutant(
        f"{SERVER}/course.py",
        "            if one.release != release or one.process not in names:\n                yield from _halt(one)\n",
        "            if one.process not in names:\n                yield from _halt(one)\n",
        f"{CREW}::test_workers_and_cron_switch_with_web[side by side]",
    ),
    "a worker that ends is none that failed": Mutant(
        f"{SERVER}/judge/steady.py",
        "    if ended is not None:\n",
        "    if False:\n",
        f"{CREW}::test_a_worker_that_ends_takes_web_back_with_it[side by side]",
    ),
    "workers do not go back with web": Mutant(
        f"{SERVER}/course.py",
        "    ups = [phase for one in theirs for phase in _again(one.process, target)]\n",
        "    ups: list[Phase] = []\n",
        f"{CREW}::test_a_worker_that_ends_takes_web_back_with_it[alone]",
    ),
    "cron goes on with a release that was taken back": Mutant(
        f"{SERVER}/course.py",
        "*((last,) if ours else ()))",
        "*((last,) if not ours else ()))",
        f"{UNIT}/collection/test_proof_processes.py::test_cron_runs_what_serves[without web]",
    ),
    "a worker is started before all of them are made": Mutant(
        f"{SERVER}/verbs/crew.py",
        "    return [found[n].id if n in found else _create(work, step, n) for n in range(1, of + 1)]\n",
        "    return (found[n].id if n in found else _create(work, step, n) for n in range(1, of + 1))\n",
        f"{WORLD_OF_CREW}::test_a_job_that_ends_after_any_change_to_a_worker_leaves_one_of_the_stages[without web]",
    ),
    "a worker that is being stopped is not marked": Mutant(
        f"{SERVER}/verbs/crew.py",
        "    work.remember(ending={**ending, step.process: step.release})\n",
        "",
        f"{WORLD_OF_CREW}::test_a_job_that_ends_within_a_workers_step_leaves_one_of_its_stages[fake-within stop]",
    ),
    "another command of a worker is no other release": Mutant(
        f"{SERVER}/model.py",
        "        data += [asdict(one) for one in self.processes]\n",
        "",
        f"{UNIT}/collection/test_processes.py::test_a_process_is_part_of_the_release_and_comes_back_with_it",
    ),
    "every server of the stack has every process": Mutant(
        f"{SERVER}/processes.py",
        "members = servers if not group else [one for one in servers if one in inventory.get(group, ())]",
        "members = servers",
        f"{UNIT}/collection/test_processes.py::test_each_process_is_on_the_servers_of_its_group_that_are_in_the_stack",
    ),
    "two databases write the same data": Mutant(
        f"{SERVER}/backing.py",
        '    return (*stops, begins, Act("await"), *discards)\n',
        '    return (begins, Act("await"), *stops, *discards)\n',
        f"{UNIT}/collection/test_backing.py::test_a_plan[one that is to be otherwise is stopped first]",
    ),
    "a database stays down where the new one does not come up": Mutant(
        f"{SERVER}/backing_module.py",
        "        place.engine.keep(ran, ALWAYS)\n        place.engine.start(ran)\n",
        "        place.engine.keep(ran, ALWAYS)\n",
        f"{UNIT}/collection/test_backing.py::test_where_the_new_one_does_not_come_up_the_one_before_runs_again",
    ),
    "a database that does not come up again is said to run": Mutant(
        f"{SERVER}/backing_module.py",
        """    return ": ".join([why, *_lines(place, ran)[-1:]]) if why else ""\n""",
        """    return ""\n""",
        f"{UNIT}/collection/test_backing.py::test_what_ran_before_is_told_where_it_does_not_come_up_again",
    ),
    "a job with nothing to do does not look whether a database serves": Mutant(
        f"{SERVER}/backing_module.py",
        """        if not any(act.verb == "await" for act in acts):\n""",
        "        if False:\n",
        f"{UNIT}/collection/test_backing.py::test_one_that_is_as_asked_and_does_not_serve_is_told",
    ),
    "a database that serves is taken back": Mutant(
        f"{SERVER}/backing_module.py",
        "        if serves:  # ",
        "        if not acts:  # ",
        f"{UNIT}/collection/test_backing.py::test_one_that_serves_stays_where_the_one_before_cannot_be_taken_away",
    ),
    "data is kept in a volume without a name": Mutant(
        f"{SERVER}/backing.py",
        "    for path in image.volumes:\n",
        "    for path in ():\n",
        f"{UNIT}/collection/test_backing.py::test_data_in_a_volume_without_a_name_is_refused",
    ),
    "a database does not notice another password": Mutant(
        f"{SERVER}/backing.py",
        "    data = [image, seal, one.port, ",
        "    data = [image, one.port, ",
        f"{UNIT}/collection/test_backing.py::test_a_secret_is_in_no_mark_and_no_label",
    ),
    "a database that starts again and again is up": Mutant(
        f"{SERVER}/judge/backing.py",
        "if not r.running or started_again(r, samples[0])",
        "if not r.running",
        f"{UNIT}/collection/test_backing.py::test_one_that_ends_in_that_while_is_not_up",
    ),
    "secrets of a container stay when it has gone": Mutant(
        f"{SERVER}/backing_module.py",
        "    place.records.sweep_secrets(backing.records_of(key), {one.mark for one in found(place, key)})\n",
        "    found(place, key)\n",
        f"{UNIT}/collection/test_backing.py::test_secret_files_are_in_a_folder_of_the_container_alone_and_go_with_it",
    ),
    "a status takes any database for the one that is asked for": Mutant(
        f"{SERVER}/standing.py",
        """return "" if box.told["config"] == wanted[key].mark else DIFFERS""",
        'return ""',
        f"{UNIT}/collection/test_backing.py::test_one_that_is_not_as_the_inventory_has_it_is_drift[another secret]",
    ),
    "a command for a worker runs in web": Mutant(
        f"{SERVER}/inside_module.py",
        "_group(watch, service, process, False, False)",
        '_group(watch, service, "", False, False)',
        f"{UNIT}/collection/test_inside.py::test_a_worker_is_heard_and_asked_alone",
    ),
    "the client tries once more": Mutant(
        "tests/lab/run.py",
        "            answer = await link.answer()\n",
        "            try:\n"
        "                answer = await link.answer()\n"
        "            except Failed:\n"
        "                link = await self.open()\n"
        "                await link.send(request)\n"
        "                answer = await link.answer()\n",
        f"{UNIT}/lab/test_client.py::test_a_wrong_answer_is_one_failure_and_is_not_retried"
        "[a new connection ends after the request]",
    ),
    "another image is at hand": Mutant(
        f"{SERVER}/presence.py",
        "if exact and exact not in (image.id, *image.digests):",
        "if exact and not image.id:",
        f"{UNIT}/build/test_presence.py::test_what_may_be_other_than_was_seen_is_asked_for"
        "[another digest has the name]",
    ),
    "what lies compiled goes by its name": Mutant(
        f"{SERVER}/compiled.py",
        'hashlib.sha256(MAGIC_NUMBER + place.encode() + b"\\0" + source)',
        "hashlib.sha256(MAGIC_NUMBER + place.encode())",
        f"{UNIT}/test_compiled.py::test_other_code_is_compiled_anew",
    ),
    "compiled code is taken from anybody": Mutant(
        f"{SERVER}/own_folder.py",
        " or found.st_mode & 0o022",
        "",
        f"{UNIT}/test_compiled.py::test_a_folder_that_others_can_write_into_is_not_used",
    ),
    "what was seen of a candidate is good for ever": Mutant(
        f"{SERVER}/verbs/verdicts.py",
        " and at - whole[0].at < FRESH",
        "",
        f"{UNIT}/collection/test_await.py::test_a_candidate_that_ends_before_the_proxy_has_checked_is_seen",
    ),
    "what lies on a server is run, whoever has laid it there": Mutant(
        "collection/plugins/plugin_utils/forked.py",
        """'[ -O "$d" ] && [ ! -h "$d" ] || exit 5; '""",
        "''",
        f"{UNIT}/test_code_image.py::test_what_somebody_else_may_have_laid_there_is_not_run",
    ),
    "code is known by the names of its files": Mutant(
        "collection/plugins/plugin_utils/kept_code.py",
        " + path.read_bytes()",
        "",
        f"{UNIT}/collection/test_kept_code.py::test_the_key_is_that_of_all_code",
    ),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that the tests read."""
    made = tmp_path_factory.mktemp("tree")
    leave = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, made / part, symlinks=True, ignore=leave)
        else:
            shutil.copy(ROOT / part, made / part)
    return made


@pytest.fixture
def mutated(request: pytest.FixtureRequest, tree: Path) -> Iterator[Mutant]:
    """The copy with one sabotage, for the time of a test."""
    mutant = MUTANTS[request.param]
    path = tree / mutant.file
    sound = path.read_text()
    assert sound.count(mutant.old) == 1, f"{mutant.file} has {sound.count(mutant.old)} times:\n{mutant.old}"
    path.write_text(sound.replace(mutant.old, mutant.new))
    try:
        yield mutant
    finally:
        path.write_text(sound)


def ran(tree: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """These tests, run in the copy and with what is there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
    command = [sys.executable, "-B", "-m", "pytest", "-q", "--no-header", *tests]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=300)


def test_nothing_is_red_without_a_sabotage(tree: Path) -> None:
    """All the named tests pass in the copy as it is, so what turns them red is the sabotage."""
    killers = {mutant.killer for mutant in MUTANTS.values()}
    done = ran(tree, *sorted(killers))
    assert done.returncode == PASSED, done.stdout
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)  # a test may be of several cases
    assert passed and int(passed[1]) >= len(killers), done.stdout


@pytest.mark.parametrize("mutated", MUTANTS, indirect=True)
def test_a_sabotage_turns_its_test_red(mutated: Mutant, tree: Path) -> None:
    """The named test fails, by itself and not because it could not be run."""
    done = ran(tree, mutated.killer)
    assert done.returncode == FAILED, f"{mutated.killer} did not notice:\n{done.stdout}{done.stderr}"
    assert "1 failed" in done.stdout and "error" not in done.stdout.splitlines()[-1], done.stdout
