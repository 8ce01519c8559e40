"""``python -m proxy`` is ``mqproxy``."""

from proxy.cli import main

main()
