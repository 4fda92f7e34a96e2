"""`python -m triplicate`, the same as the console script."""

from triplicate.cli import main

raise SystemExit(main())
