"""``python -m bench``."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it still loads is one line as well."""
    try:
        from bench.cli import main  # late: saves start-up time

        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
