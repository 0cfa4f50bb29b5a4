"""A guestbook: a page with notes, an API, a slow answer, a stream, a WebSocket; kept in SQLite."""

import json
import os
import socket
import threading
import time
from pathlib import Path

from flask import Flask, Response, jsonify, render_template, request, url_for
from flask_sock import Sock
from migrate import database

HERE = Path(__file__).parent
VERSION = (HERE / "VERSION").read_text().strip()
NAMES = json.loads((HERE / "static" / "names.json").read_text())
LONGEST = 500
HOST = socket.gethostname()

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 20}
sock = Sock(app)
own = threading.local()


def db():
    """Return this thread's connection: opened once, for opening costs more than a query."""
    if not hasattr(own, "db"):
        own.db = database()
    return own.db


def visits():
    """Count one more visit and return how many there were."""
    counted = "UPDATE counters SET value = value + 1 WHERE name = 'visits' RETURNING value"
    return db().execute(counted).fetchall()[0][0]


def notes(limit=10):
    """Return the newest notes first, with whatever columns the schema has by now."""
    rows = db().execute("SELECT * FROM notes ORDER BY id DESC LIMIT ?", (limit,))
    return [dict(row) for row in rows.fetchall()]


@app.after_request
def signed(response):
    """Say which version answered."""
    response.headers["X-Version"] = VERSION
    return response


@app.template_global()
def asset(name):
    """Return the address of a compiled asset."""
    return url_for("static", filename=NAMES[name])


@app.get("/")
def page():
    """Show the guestbook."""
    return render_template("page.html", version=VERSION, visits=visits(), notes=notes(), host=HOST)


@app.get("/visit")
def visit():
    """Count a visit and say nothing but the version."""
    visits()
    return f"{VERSION}\n"


@app.get("/health")
def health():
    """Say whether the database can be read."""
    schema = db().execute("PRAGMA user_version").fetchone()[0]
    db().execute("SELECT value FROM counters").fetchone()
    return jsonify(status="ok", version=VERSION, schema=schema)


@app.get("/api/notes")
def list_notes():
    """List the newest notes."""
    return jsonify(version=VERSION, notes=notes(min(request.args.get("limit", 10, type=int), 100)))


@app.post("/api/notes")
def add_note():
    """Keep a note; the answer holds it as it was kept."""
    text = (request.get_json(silent=True) or {}).get("text", "")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST:
        return jsonify(error=f"text: 1 to {LONGEST} characters"), 400
    kept = db().execute("INSERT INTO notes (text) VALUES (?) RETURNING *", (text.strip(),))
    return jsonify(version=VERSION, note=dict(kept.fetchall()[0])), 201


@app.post("/echo")
def echo():
    """Send the body back."""
    return Response(request.get_data(), mimetype="application/octet-stream")


@app.get("/slow")
def slow():
    """Answer after s seconds, 60 at most."""
    time.sleep(min(request.args.get("s", 5, type=float), 60))
    return f"{VERSION}\n"


@app.get("/stream")
def stream():
    """Send n numbered lines, ms milliseconds apart."""
    count = min(request.args.get("n", 20, type=int), 1000)
    pause = min(request.args.get("ms", 250, type=int), 5000) / 1000

    def lines():
        for number in range(count):
            yield f"{VERSION} {number}\n"
            time.sleep(pause)

    return Response(lines(), mimetype="text/plain")


@sock.route("/ws")
def talk(ws):
    """Say back whatever is said."""
    while True:
        ws.send(ws.receive())


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8080")))
