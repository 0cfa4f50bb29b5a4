#!/bin/sh
# At every start of a container, just before the application: bring the database up to this version.
set -eu
python3 migrate.py
