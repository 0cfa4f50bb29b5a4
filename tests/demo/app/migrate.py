"""Bring the database up to the newest migration here; safe while another version serves.

A migration only adds, so the version before goes on with the newer schema, and may come back to it.
"""

import os
import sqlite3
from pathlib import Path

FOLDER = Path(__file__).with_name("migrations")
FILE = Path(os.environ.get("DATABASE", "/data/guestbook.db"))


def database():
    """Open the database for reading and writing by several processes at once."""
    opened = sqlite3.connect(FILE, timeout=20, isolation_level=None)
    opened.execute("PRAGMA synchronous = NORMAL")
    opened.row_factory = sqlite3.Row
    return opened


def schema(opened):
    """Return the number of the newest migration that the database has had."""
    return opened.execute("PRAGMA user_version").fetchone()[0]


def migrations():
    """Return number and SQL of each migration, in order."""
    return sorted((int(file.name.split("_")[0]), file.read_text()) for file in FOLDER.glob("*.sql"))


def migrate(opened):
    """Run what is missing, one transaction each, and return the numbers that were run."""
    done = []
    for number, sql in migrations():
        opened.execute("BEGIN IMMEDIATE")  # one at a time; who waited looks again
        if schema(opened) < number:
            for statement in filter(str.strip, sql.split(";")):
                opened.execute(statement)
            opened.execute(f"PRAGMA user_version = {number}")
            done.append(number)
        opened.execute("COMMIT")
    return done


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    opened = database()
    opened.execute("PRAGMA journal_mode = WAL")
    ran = migrate(opened)
    print(f"database: schema {schema(opened)}, migrations run: {ran or 'none'}")
