import os
from collections.abc import Mapping

from flask import Flask

__version__: str

def create_app(config: Mapping[str, object] | str | os.PathLike[str] | None = None) -> Flask: ...
