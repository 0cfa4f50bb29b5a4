"""How the guestbook is served: threads for long answers, and time to finish them at the end."""

import os

bind = f"0.0.0.0:{os.environ.get('PORT', '8080')}"
worker_class = "gthread"
workers = int(os.environ.get("WORKERS", "2"))
threads = 32
graceful_timeout = 30
# Longer than a proxy keeps an idle connection: so it is the proxy that closes it.
keepalive = 75
