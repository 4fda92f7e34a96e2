"""`python -m triplicate`, the same door as the console script."""

from triplicate.cli import main

raise SystemExit(main())
