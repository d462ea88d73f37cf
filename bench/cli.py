"""The command line: finds the commands, turns errors into one line and an exit code.

Exit codes: 0 ok, 1 some runs failed, 2 usage or configuration, 3 regression, 130 interrupted.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
import typer.core
from typer.models import CommandInfo

import bench
from bench.contracts import plugins
from bench.names import shown
from bench.terminal import forgiving
from bench.written import one_line

PLUGINS = "plugins"
PluginsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugins", metavar="PATH", help="A file or folder of members of one's own (repeatable)."
    ),
]
OK, FAILED, USAGE, REGRESSION, INTERRUPTED = 0, 1, 2, 3, 130


TASKS = {
    "Ask a question": ("run", "plan", "status", "watch", "retry", "report"),
    "Look closer": (
        "compare",
        "figure",
        "rank",
        "select",
        "signals",
        "bias",
        "verdict",
        "evaluate",
    ),
    "What there is": ("list", "show", "doctor", "data", "truth", "reproduce"),
    "Results that travel": ("pack", "merge", "verify", "export", "gc"),
    "Your own": ("init", "new", "check-member"),
    "Search quality in CI": ("check", "baseline"),
}
"""Commands by what somebody wants to do; those that are named nowhere come last."""


class Group(typer.core.TyperGroup):
    """The commands; an empty word is refused before any of them takes it for this folder."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands of the application by task, those of a group as they come."""
        if "run" not in self.commands:
            return super().format_commands(ctx, formatter)
        named = {name for names in TASKS.values() for name in names}
        others = tuple(name for name in self.commands if name not in named)
        for heading, names in {**TASKS, "Further": others}.items():
            known = [(name, self.commands[name]) for name in names if name in self.commands]
            if known:
                with formatter.section(heading):
                    room = formatter.width - 6 - max(len(name) for name, _ in known)
                    formatter.write_dl([(n, c.get_short_help_str(max(room, 20))) for n, c in known])
        return None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Look at the words, then part them into options and arguments."""
        for before, word in zip(["", *args], args, strict=False):
            if not word or (word.startswith("--") and word.endswith("=") and word.count("=") == 1):
                raise ValueError(f"{before or word}: empty; is a variable of the shell not set?")
        return super().parse_args(ctx, args)


def application() -> typer.Typer:
    """Put the commands together: every module of `bench.commands` registers its own."""
    import bench.commands

    app = typer.Typer(
        name="bench",
        cls=Group,
        help="The reference suite for studying why differentiable architecture search fails.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing rich is 40 % of the time that --help takes
        context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
        ] = False,
    ) -> None:
        if debug:
            os.environ["BENCH_DEBUG"] = "1"

    for module in pkgutil.iter_modules(bench.commands.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"bench.commands.{module.name}").register(app)
    for info in _commands(app):
        if info.callback is not None:
            info.callback = with_plugins(info.callback)
    return app


def _version(asked: bool) -> None:
    if asked:
        print(f"bench {bench.__version__}")
        raise typer.Exit


def _commands(app: typer.Typer) -> Iterator[CommandInfo]:
    """Yield every command, those of groups included."""
    yield from app.registered_commands
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance)


def with_plugins(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that also takes ``--plugins``, and names what it is given before it begins."""
    if PLUGINS in (signature := inspect.signature(command)).parameters:
        return command  # a group that several applications share
    hints = get_type_hints(command, include_extras=True)
    own = [
        p.replace(annotation=hints.get(p.name, p.annotation)) for p in signature.parameters.values()
    ]

    def run(**arguments: Any) -> Any:
        for path in arguments.pop(PLUGINS) or ():
            plugins.use(path)
        return command(**arguments)

    added = inspect.Parameter(
        PLUGINS, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=PluginsOption
    )
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {**hints, PLUGINS: PluginsOption}
    run.__signature__ = signature.replace(parameters=[*own, added])  # type: ignore[attr-defined]
    return run


def main() -> None:
    """Run the command line and exit."""
    forgiving()
    try:
        application()(prog_name="bench", standalone_mode=True)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if os.environ.get("BENCH_DEBUG"):
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        sys.exit(USAGE)


def _one_line(error: Exception) -> str:
    """Return the message of an expected error; name the kind of any other."""
    if type(error).__name__ == "ValidationError":
        from bench.ablation.mistakes import first_error  # what pydantic says itself has a URL in it

        path, message = first_error(error)  # type: ignore[arg-type]
        return ": ".join(filter(None, (".".join(map(str, path)), message)))
    text = shown(one_line(error))  # a forged folder may hold a terminal's commands
    return (
        text
        if isinstance(error, ValueError) and text
        else f"{type(error).__name__}: {text} (see --debug)"
    )
