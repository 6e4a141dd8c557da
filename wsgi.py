"""The application object for the web server, and nothing else."""

from directory import create_app

app = create_app()
