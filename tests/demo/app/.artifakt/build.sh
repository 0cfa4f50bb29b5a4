#!/bin/sh
# Once, while the image is built: the libraries, and the assets under names that follow their content.
set -eu
pip install --no-cache-dir --disable-pip-version-check --quiet --root-user-action=ignore -r requirements.txt
python3 assets.py
