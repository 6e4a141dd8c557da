"""The contact records of an institution, and the way of each enquiry to whoever answers it.

Older Pythons read this file before they can be told that they are too old, so it keeps to what
Python 2.7 can parse; its types stand in ``__init__.pyi``.
"""

__version__ = "0.1.0"


def create_app(config=None):
    """The WSGI application; *config* is a path, a mapping as the file has it, or None."""
    # Imported when called: whoever wants the version, or a domain class, needs no web framework.
    from directory.app import create_app as create
    from directory.cli import cli

    app = create(config)
    # `flask --app directory` knows what `directory` does.
    for name, command in cli.commands.items():
        app.cli.add_command(command, name)
    return app
