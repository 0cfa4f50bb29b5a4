"""Compile assets/ into static/: smaller, and each under a name that follows its content."""

import hashlib
import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def smaller_css(text):
    """Drop comments and spaces that mean nothing in a style sheet."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"\s*([{}:;,>])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


def smaller_js(text):
    """Drop comment lines, indentation and empty lines."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def compiled(source):
    """Return the name by content and the smaller text of one asset."""
    text = (smaller_css if source.suffix == ".css" else smaller_js)(source.read_text())
    mark = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{source.stem}.{mark}{source.suffix}", text


def main():
    """Write every asset and the list of their names."""
    target = HERE / "static"
    target.mkdir(exist_ok=True)
    names = {}
    for source in sorted((HERE / "assets").iterdir()):
        names[source.name], text = compiled(source)
        (target / names[source.name]).write_text(text)
    (target / "names.json").write_text(json.dumps(names))
    print("assets:", *names.values())


if __name__ == "__main__":
    main()
