"""python -m stackswap."""

from stackswap.cli import main

raise SystemExit(main())
