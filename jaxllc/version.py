"""The version of the package as it is installed; it is written in pyproject.toml alone."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("jaxllc")
except PackageNotFoundError:
    __version__ = "0+source"
