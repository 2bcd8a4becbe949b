"""`python -m flexavatar` is the command `flexavatar`."""

from flexavatar.cli import main

if __name__ == "__main__":
    main()
