"""As `datamodules.bounds`; only until all who are here import that one."""

from datamodules.bounds import one_of, within

__all__ = ["one_of", "within"]
