"""`python -m flexavatar.bench` is `flexavatar bench`."""

import tyro

from flexavatar.bench.run import main

if __name__ == "__main__":
    tyro.cli(main, prog="flexavatar.bench")
