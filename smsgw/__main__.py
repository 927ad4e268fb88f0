"""python -m smsgw is smsgwctl."""

from __future__ import annotations

from smsgw.cli import main

main()
