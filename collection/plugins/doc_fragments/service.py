# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A service, and a release of it. Options whose type is raw are text unless they say else."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - The name of the service. Up to 40 small letters, digits and dashes, with no dash at either end.
    type: raw
    required: true
  environment:
    description: The environment that the service runs in.
    type: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the environment, written as a service's name is. All names on the servers begin with it.
          - The application is told it as C(ARTIFAKT_ENVIRONMENT_NAME).
        type: raw
      criticality:
        description:
          - How much depends on the environment, in a word of your own.
          - The application is told it as C(ARTIFAKT_ENVIRONMENT_CRITICALITY).
          - Defaults to V(critical).
        type: raw
      env:
        description:
          - Environment variables of every service of the environment, names and values as text.
          - They win over a service's own C(env), and those of a job win over them.
        type: dict
  service:
    description:
      - The definition of the service, as it stands in the inventory below its name.
      - An unknown key is refused, and so is a number where text belongs, since YAML reads C(1.10) as C(1.1).
      - An empty text counts as absent at every level, the values of variables included.
    type: dict
    required: true
    suboptions:
      source:
        description:
          - Where the application's code is. One of C(path) and C(git).
          - Without it nothing is built, and the image named in C(image) is run as it is.
        type: dict
        suboptions:
          path:
            description: A folder on the builder.
            type: raw
          git:
            description:
              - The address of a git repository. One with a name or password in it is refused.
            type: raw
          ref:
            description:
              - The branch, tag or commit of the git repository. Defaults to the repository's own default branch.
            type: raw
          folder:
            description: The folder below the source that is built. Defaults to the source itself.
            type: raw
          key:
            description: The private SSH key for the git repository and its submodules, as text. It is never on a disk.
            type: raw
          key_file:
            description: A file on the builder with the private SSH key.
            type: raw
          token:
            description: The token for a git repository by HTTPS. It is in no command line and on no disk.
            type: raw
          submodules:
            description: Whether the submodules of the git repository are fetched too. Defaults to V(true).
            type: bool
          limit:
            description:
              - The most that the source may weigh, a size such as V(500m).
              - Defaults to V(5g) for a git repository. A path has no limit by default.
            type: raw
      image:
        description:
          - The name of the image, with the registry if there is one. With a C(source) it has no tag or digest.
          - Without one, images that are built travel to the servers over SSH.
        type: raw
      build:
        description: How the image is built from the C(source).
        type: dict
        suboptions:
          dockerfile:
            description: The Dockerfile, below the folder that is built. Defaults to V(Dockerfile).
            type: raw
          target:
            description: The stage of the Dockerfile that is built. Defaults to the last.
            type: raw
          args:
            description:
              - Build arguments, names and values as text.
              - They are seen in the image's history, so none may be a secret.
            type: dict
          base_images:
            description: The images to take in the place of names after C(FROM), by those names.
            type: dict
          callbacks:
            description: Who runs the application's callbacks.
            type: dict
            suboptions:
              folder:
                description: The folder that the callbacks are in. Defaults to V(.artifakt).
                type: raw
              build:
                description:
                  - Who runs C(build.sh), once in the build of the image. V(ours) is a last layer of the image,
                    V(theirs) the Dockerfile.
                  - Defaults to V(auto), which is V(theirs) if the Dockerfile runs it and else V(ours).
                type: raw
                choices: [auto, ours, theirs, none]
              entrypoint:
                description:
                  - Who runs C(entrypoint.sh), in every start of a container before the default process.
                    V(ours) is a wrapper in the image, V(theirs) the image's own entrypoint.
                  - Defaults to V(auto), which is V(theirs) if the image's entrypoint runs it and else V(ours).
                type: raw
                choices: [auto, ours, theirs, none]
          code_root:
            description: The folder in the image that C(build.sh) runs in. Defaults to the image's working directory.
            type: raw
          runtime:
            description:
              - The runtime that makes the image where there is no Dockerfile, such as V(python) or V(php-apache).
              - Defaults to the one whose marks are in the code.
            type: raw
          platforms:
            description:
              - What the image is built for, such as V(linux/amd64). Defaults to the builder's own platform.
              - A server that none of them fits refuses the image before it starts anything.
            type: list
            elements: raw
          cache_from:
            description: Where a build cache is read from, as C(docker buildx build --cache-from) takes it.
            type: list
            elements: raw
          cache_to:
            description: Where the build cache is written to, as C(docker buildx build --cache-to) takes it.
            type: list
            elements: raw
          cache_limit:
            description:
              - The most that the builder's build cache may keep after a build, a size such as V(10g).
              - By default nothing is removed, since the cache is shared with all who build there.
            type: raw
          image_limit:
            description: The most that the image may weigh, a size such as V(10g), which is the default.
            type: raw
          timeout:
            description:
              - The seconds in which the image must be built. What has not ended by then is ended.
              - Defaults to an hour.
            type: float
          labels:
            description: More labels of the image, names and values as text.
            type: dict
          ssh:
            description:
              - Whether the Dockerfile may use the SSH agent of the builder, with C(RUN --mount=type=ssh).
              - Defaults to V(false).
            type: bool
          pull:
            description:
              - Whether registries are asked for newer images after C(FROM). Defaults to V(false).
            type: bool
      env:
        description:
          - Environment variables, names and values as text. A number has to be quoted.
          - They win over the C(ARTIFAKT_*) variables that stackswap sets.
        type: dict
      secrets:
        description:
          - Environment variables whose values are never told, names and values as text.
          - No name may stand in C(env) too.
          - Changed values make a new candidate. Which ones changed is not told.
        type: dict
      secret_files:
        description:
          - Secrets that the application reads as files, by the names of the files below C(/run/secrets).
          - On the server they lie in a folder that root alone may enter, one for each release.
        type: dict
      attach:
        description:
          - The attached services, by their names in C(stackswap_attached), whose addresses the application is told as
            C(ARTIFAKT_*) variables.
        type: list
        elements: raw
      volumes:
        description:
          - Mounts, each a path on the server or a named volume, a colon and a path in the container,
            such as V(/srv/exports:/exports:ro).
        type: list
        elements: raw
      shared:
        description:
          - Whether C(/mnt/shared) of the server is mounted at C(/data). It is shared by all releases.
          - Defaults to V(true).
        type: bool
      persistent:
        description:
          - Folders below the code root that are kept in C(/data) from release to release.
          - What the image has in them is copied there once, when there is nothing yet.
          - Defaults to those that the runtime knows of its framework.
        type: list
        elements: raw
      callbacks:
        description: How the application's callbacks besides C(build.sh) are run.
        type: dict
        suboptions:
          release:
            description:
              - The callback C(release.sh). It runs once, on the main server, before any server starts the release.
            type: dict
            suboptions:
              run:
                description: With V(none) it does not run. Defaults to V(auto), which runs it if it is in the image.
                type: raw
                choices: [auto, none]
              timeout:
                description: The most it may take, in seconds. Defaults to V(600) for C(release.sh), else V(60).
                type: float
              user:
                description: The user that it runs as. Defaults to the image's.
                type: raw
              on_error:
                description:
                  - With V(abort) its failure fails the release, with V(warn) it is told and the job goes on.
                  - Defaults to V(abort), for C(after.sh) always V(warn).
                type: raw
                choices: [abort, warn]
              idempotent:
                description: Whether it may run again for a release that it was cut off for. Defaults to V(false).
                type: bool
          verify:
            description: The callback C(verify.sh). It runs on every server against what is ready, before any traffic.
            type: dict
            suboptions:
              run:
                description: As C(run) of C(release).
                type: raw
                choices: [auto, none]
              timeout:
                description: As C(timeout) of C(release).
                type: float
              user:
                description: As C(user) of C(release).
                type: raw
              on_error:
                description: As C(on_error) of C(release).
                type: raw
                choices: [abort, warn]
              idempotent:
                description: As C(idempotent) of C(release).
                type: bool
          after:
            description: The callback C(after.sh). It runs on the main server in the end, and is told the outcome.
            type: dict
            suboptions:
              run:
                description: As C(run) of C(release).
                type: raw
                choices: [auto, none]
              timeout:
                description: As C(timeout) of C(release).
                type: float
              user:
                description: As C(user) of C(release).
                type: raw
              on_error:
                description: As C(on_error) of C(release).
                type: raw
                choices: [abort, warn]
              idempotent:
                description: As C(idempotent) of C(release).
                type: bool
          entrypoint_lock:
            description:
              - How long C(entrypoint.sh) waits, in seconds, while that of another server runs.
              - Defaults to no lock, so that those of all servers run at once.
            type: float
      migrations:
        description:
          - What the version does to data that the one before it also uses.
          - V(contract) and V(irreversible) bar a rollback to versions before it.
          - Defaults to V(none).
        type: raw
        choices: [none, expand, contract, irreversible]
      container:
        description:
          - Settings of the containers, by the names that M(community.docker.docker_container) has for them.
          - One that is absent is the image's, or the engine's.
        type: dict
        suboptions:
          memory:
            description: The most memory a container may use, a size such as V(512m). Defaults to no limit.
            type: raw
          cpus:
            description: The most processors a container may use, a number such as V(1.5). Defaults to no limit.
            type: raw
          user:
            description: The user that the process runs as, by name or number, such as V("33:33").
            type: raw
          working_dir:
            description: The folder that the process starts in.
            type: raw
          hostname:
            description: The host name inside the container.
            type: raw
          shm_size:
            description: The size of C(/dev/shm), such as V(64m).
            type: raw
          read_only:
            description: Whether the container's own files are read-only. Defaults to V(false).
            type: bool
          init:
            description:
              - Whether a small init process passes on signals and collects dead processes.
              - Defaults to V(true).
            type: bool
          capabilities:
            description: Capabilities to add, such as V(NET_BIND_SERVICE).
            type: list
            elements: raw
          cap_drop:
            description: Capabilities to drop, or V(ALL).
            type: list
            elements: raw
          security_opts:
            description: Security options, such as V(no-new-privileges:true).
            type: list
            elements: raw
          extra_hosts:
            description: More names for the container's hosts file, with their addresses or V(host-gateway).
            type: dict
          tmpfs:
            description: Paths in the container that are in memory, such as V(/run) or V(/run:size=16m).
            type: list
            elements: raw
          ulimits:
            description: Limits of the process, each a name, a soft and a hard limit, such as V(nofile:1024:2048).
            type: list
            elements: raw
          labels:
            description: Labels, names and values as text. None may begin with C(stackswap.).
            type: dict
          log_driver:
            description: The engine's log driver. Defaults to V(json-file).
            type: raw
          log_options:
            description:
              - Options of the log driver, names and values as text. They take the place of the default ones.
              - Defaults to C(max-file) V(3) and C(max-size) V(10m).
            type: dict
          stop_signal:
            description: The signal that asks the process to stop.
            type: raw
          stop_timeout:
            description: How long a stop waits before it kills, in seconds. Defaults to V(10).
            type: int
      entrypoint:
        description: A list of words to take in the place of the image's entrypoint.
        type: raw
      port:
        description: The port that the application listens on, in the container. Defaults to V(8080).
        type: int
      routes:
        description:
          - What the proxy lets in to the service. Without one no request from outside reaches it.
          - Routes are no part of a release. New ones restart nothing.
        type: list
        elements: dict
        suboptions:
          host:
            description: A host name, without scheme or port.
            type: raw
          path:
            description: What the request's path begins with. The longest one wins. Defaults to V(/).
            type: raw
      door:
        description:
          - Whom the proxy lets in to the service, and how. No part of a release, and a change restarts nothing.
        type: dict
        suboptions:
          allow:
            description:
              - Addresses and networks, such as V(203.0.113.0/24). All others get 403.
              - The client's address counts, as the C(trusted) proxies of the stack tell it. Defaults to everybody.
            type: list
            elements: raw
          deny:
            description: Addresses and networks that get 403, those that C(allow) has, too.
            type: list
            elements: raw
          redirect:
            description: Whether who comes by http is sent to https, with 308. Defaults to V(false).
            type: bool
          hsts:
            description:
              - For how many seconds browsers shall come by https alone, told them over https.
              - Defaults to what the proxy says for all services.
            type: int
          raw:
            description:
              - Lines of HAProxy's own configuration for the service's backends, as a list or a text. They may use
                C(acl), C(http-request), C(http-response), C(http-after-response), C(timeout), C(compression),
                C(stick-table) and some others, no files and no maps.
              - HAProxy checks them before anything changes. Lines that it refuses stop the deploy, and other services
                do not notice.
            type: raw
      replicas:
        description: How many containers of a release run on each server, 8 at the most. Defaults to V(1).
        type: int
      command:
        description: A list of words to take in the place of the image's command.
        type: raw
      health:
        description:
          - When a container counts as healthy. A path, such as V(/health), the word V(image) for the image's own check,
            the word V(none) for a port that is open, or a dictionary.
          - In a dictionary C(path) is the path that must answer with a status from 200 to 399,
            C(deadline) the time in seconds that a new container has to become healthy,
            C(min_healthy_time) the time in seconds that it has to stay so,
            and C(kind) one of V(http), V(image) and V(none).
          - Defaults to the path V(/), a C(deadline) of V(60) and a C(min_healthy_time) of V(5).
        type: raw
      maintenance:
        description:
          - What users get in the place of the service while M(stackswap.bluegreen.maintenance) has it so.
        type: dict
        suboptions:
          page:
            description:
              - A file of HTML beside the inventory, or with C(.j2) at its end a template of one.
              - Without it a plain page is shown.
            type: raw
          retry_after:
            description: After how many seconds clients may come again. Defaults to V(300).
            type: int
          bypass:
            description: Addresses and networks that get to the service all the while.
            type: list
            elements: raw
      canary:
        description:
          - Steps in which requests come to the new release before all of them do, each with a greater C(share) than the
            one before. It is watched at each, and what it cannot take the live release takes.
          - Defaults to none. A rollback leaves them out, and so does a first deploy.
        type: list
        elements: dict
        suboptions:
          share:
            description: How many of a hundred, from V(1) to V(100).
            type: int
          seconds:
            description: How long it is watched with them, in seconds. Defaults to V(30).
            type: float
      canary_by:
        description:
          - What a share is of. V(request) deals each request anew, V(client) each client by its address, so that one
            who has got the new release keeps it while the share grows.
          - Defaults to V(request).
        type: raw
        choices: [request, client]
      bake:
        description:
          - How long the new release is watched under traffic, in seconds, with the old one ready to take it back.
          - Or a dictionary of C(seconds), C(max_error_share), C(min_requests) and C(observe).
          - C(max_error_share) is how much greater the share of its failed requests may be than the old release's was
            before the switch, V(0.1) for a tenth of all. A request has failed if it is answered 5xx, or not at all.
          - C(min_requests) is how many requests it must have had before it is judged by them, V(20). With fewer only
            its health is watched, and five must have failed.
          - C(observe) is V(layer4), or V(layer7) to have the proxy take a replica out of traffic, while it is watched,
            after ten answers in a row that are 5xx or none.
          - Defaults to V(10).
        type: raw
      drain_timeout:
        description:
          - How long the old release may finish what it has, in seconds, before that is cut and it is stopped.
            WebSockets and streams live until then; hours are fine. With V(0) they are cut at once.
          - Defaults to V(30).
        type: float
      settle:
        description:
          - V(later) leaves the old release to finish what it has after the job has ended. It gets no new requests, and
            does not come back after a reboot. The next job of the service on the server finishes the drain.
          - Defaults to V(now).
        type: raw
        choices: [now, later]
      drill:
        description:
          - Whether the way back is tried when the bake is passed. All requests go to the old release for a moment, are
            confirmed there, and come forward again. No request is lost, and the milliseconds that it took are told.
          - Where the old release cannot be reached, or is not healthy, the new one stays, and a warning says that
            there is no way back. A new release that does not take over again goes, and the old one serves.
          - A rollback and a first deploy have no drill. Defaults to V(false).
        type: bool
      overlap:
        description:
          - Whether two releases of the service may run side by side on a server. V(false) is for what has one writer,
            as a database in a file. The old release is stopped before the new one starts, and requests wait at the
            proxy meanwhile. If the new one does not come up, the old one is started again and answers them.
          - With V(false) there is no C(canary), C(bake), C(drill), C(settle) or C(probe), and no job that ends at
            V(ready) for people to look.
          - Defaults to V(true).
        type: bool
      hold:
        description:
          - With C(overlap) V(false), for how many seconds a request waits at the most until the new release is up. If
            the old one is started again instead, it waits as long again at the most. From 1 to 300.
          - The new release has what is left of it after the old one has finished and stopped. C(drain_timeout) must be
            less, and without one it is V(10), or a third of C(hold) if that is less.
          - Defaults to V(30).
        type: int
      probe:
        description:
          - How many requests a second the server sends through the proxy itself while a release is swapped, to find
            the longest gap between two answers. 50 at the most.
          - Defaults to V(0), which sends none.
        type: float
      confirmations:
        description: How many new connections through the proxy must reach the new release. Defaults to V(5).
        type: int
      keep:
        description:
          - How many releases before the live one can be gone back to.
          - What is older goes with M(stackswap.bluegreen.prune).
          - Defaults to V(5).
        type: int
      processes:
        description:
          - The parts that the service has, by their names, each a dictionary. All run one image, and switch as one.
          - The process C(web) takes requests. Its options C(port), C(routes), C(replicas), C(command) and C(health) may
            stand at the top of the service instead. It is there unless other processes are, and none of C(web),
            C(port) and C(routes) is.
          - Any other process takes none. Its C(command) is a list, the command and its arguments. It has C(replicas)
            containers, V(1) unless said otherwise.
          - The C(health) of those is V(none), which asks that it runs on, V(image) for the image's HEALTHCHECK, or a
            dictionary with a C(command) of its own, a C(deadline) of V(60) and a C(min_healthy_time) of V(5) seconds.
            Defaults to V(none).
          - With C(overlap) the new release's start before the old one's end. With V(false) they never run at the same
            time, and the old ones end first. Defaults to V(true).
          - C(stop_signal) and C(stop_timeout) are as those of the service's C(container), which they replace.
          - One with a C(schedule), as cron has it, is run by the main server's cron. It has a C(command) besides, and
            nothing else.
          - Each of the others may have a C(group) of the inventory, whose servers in the stack have it. Without one all
            have it.
        type: dict
  overrides:
    description:
      - What this environment has otherwise, laid over the definition of the service.
      - Dictionaries merge, lists and all else replace, null deletes. An empty text does nothing.
    type: dict
"""

    RELEASE = r"""
options:
  version:
    description:
      - The version of the release. Always text, in quotes, since YAML reads C(1.10) as C(1.1).
      - Letters, digits, dots, dashes and underscores, 128 at the most.
      - Without one the release that is live is meant.
    type: raw
  image:
    description:
      - The image of the release on this server, by name, id or digest. It must be there.
      - Defaults to the image that the definition names, with the version as its tag.
    type: raw
  state:
    description:
      - How far the release climbs on this server. A state climbs through those below it.
      - V(claimed) only takes the claim of the O(job), so that no other job changes the service on this server.
      - V(ready) starts its containers beside the live ones and waits until they are healthy. No request reaches them.
      - V(live) points the proxy at them, confirms it and watches them, with the old release ready to take over again.
      - V(settled) lets the old release finish what it has and stops it. It is kept for a rollback.
      - V(back) points the proxy at the release before, if this one is live and that one is healthy.
        This one is stopped and kept.
      - V(absent) removes the release, which O(version) has to name. One that is live is refused. The module
        M(stackswap.bluegreen.service) has the whole service leave the server.
      - V(released) gives the claim of the O(job) up and changes nothing else.
    type: str
    choices: [claimed, ready, live, settled, back, absent, released]
    default: settled
  now:
    description:
      - Whether another release's bake that is under way is cut short to make room for this release.
        What it replaces still finishes what it has, and this release's own bake takes its time.
    type: bool
    default: false
  drill:
    description: Whether the way back is tried when the bake is passed, whatever C(drill) of O(service) says.
    type: bool
    default: false
"""
