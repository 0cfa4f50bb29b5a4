"""Stand-ins for the official images of databases, made of Debian's packages: their programs, variables and volumes.

As there, the first start fills the volume by what it is told in variables and files, with a server that nobody reaches,
and any later one takes the volume as it is. Redis has nothing to fill.
"""

from __future__ import annotations

from tests.lab import images
from tests.lab.alone import alone
from tests.lab.building import build, context, exists, tagged

PACKAGES = ("postgresql", "mariadb-server", "redis-server")
FILE = f"""FROM python:full
RUN mkdir /etc/postgresql-common && \\
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf && apt-get update -qq && \\
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends {" ".join(PACKAGES)} >/dev/null && \\
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.deb /var/lib/mysql/* && mkdir -p /run/mysqld && \\
    for program in /usr/lib/postgresql/*/bin/*; do ln -sf $program /usr/local/bin/; done && \\
    sed -i "s/^#listen_addresses.*/listen_addresses = '*'/" /usr/share/postgresql/*/postgresql.conf.sample && \\
    sed -i '/^bind-address/d' /etc/mysql/mariadb.conf.d/50-server.cnf
"""
POSTGRESQL = r"""#!/bin/sh
set -e
export PGDATA=/var/lib/postgresql/data
if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
  chown -R postgres "$PGDATA" && chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --wait --mode=fast stop
fi
exec "$@"
"""
MYSQL = r"""#!/bin/sh
set -e
data=/var/lib/mysql
if [ "$1" = mariadbd ] && [ "$(id -u)" = 0 ]; then
  chown -R mysql "$data" /run/mysqld
  exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi
if [ "$1" = mariadbd ] && [ ! -d "$data/mysql" ]; then
  mariadb-install-db --datadir="$data" --skip-test-db --auth-root-authentication-method=normal
  "$@" --skip-networking &
  until mariadb-admin --user=root ping 2>/dev/null; do sleep 0.1; done
  mariadb --user=root <<END
    CREATE DATABASE $MYSQL_DATABASE;
    CREATE USER $MYSQL_USER IDENTIFIED BY '$(printf %s "$MYSQL_PASSWORD" | sed "s/['\\\\]/\\\\&/g")';
    GRANT ALL ON $MYSQL_DATABASE.* TO $MYSQL_USER;
    ALTER USER root@localhost IDENTIFIED BY '$(cat "$MARIADB_ROOT_PASSWORD_FILE")';
END
  kill $! && wait $!
fi
exec "$@"
"""
# As the official ones: by SIGTERM, PostgreSQL would wait until all its clients have gone by themselves.
SERVERS = {
    "postgresql": (POSTGRESQL, "VOLUME /var/lib/postgresql/data", "STOPSIGNAL SIGINT", 'CMD ["postgres"]'),
    "mysql": (MYSQL, "VOLUME /var/lib/mysql", 'CMD ["mariadbd"]'),
    "redis": ('#!/bin/sh\nexec "$@"\n', "VOLUME /data", 'CMD ["redis-server"]'),
}


@alone("databases")
def base() -> str:
    """Make the image that has all their programs, and their clients for an application."""
    tag = tagged("databases", FILE)
    return tag if exists(tag) else build(tag, context({"Dockerfile": FILE.encode()}), {"python:full": images.python()})


def server(kind: str) -> str:
    """Make the image of one of them."""
    begin, *lines = SERVERS[kind]
    file = "\n".join(["FROM databases", "COPY begin /usr/local/bin/", *lines, 'ENTRYPOINT ["begin"]'])
    tag = tagged(kind, FILE, begin, file)
    packed = context({"Dockerfile": file.encode(), "begin": begin.encode()})
    return tag if exists(tag) else build(tag, packed, {"databases": base()})
