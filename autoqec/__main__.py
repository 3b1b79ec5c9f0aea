"""`python -m autoqec`."""

from autoqec.cli.main import main

if __name__ == "__main__":
    main()
