"""`python -m gan_cli` is `gan-train`."""

from gan_cli.cli import train

if __name__ == "__main__":
    train()
