"""The `reconcile` command: its own options and its commands, each of which is a function in `reconciler.cli.commands`.

A command imports its work when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from reconciler.cli import options
from reconciler.cli.commands.apply import apply
from reconciler.cli.commands.chaos import chaos
from reconciler.cli.commands.demo import demo
from reconciler.cli.commands.doctor import doctor
from reconciler.cli.commands.emulator import emulator
from reconciler.cli.commands.export import export
from reconciler.cli.commands.import_live import import_live
from reconciler.cli.commands.specs import fmt, schema, validate
from reconciler.cli.commands.status import history, status
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import DEFAULT_STORE, Format

app = typer.Typer(
    name="reconcile",
    no_args_is_help=False,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXIT_CODES = """
Exit codes: 0 in sync or converged (with --dry-run: the plan was made); 1 error; 2 changes are pending
(--dry-run --detailed-exitcode); 3 refused as unsafe; 4 held by a gate or by another run; 5 partly converged.
"""


def _exit(code: int, **_: object) -> None:
    raise typer.Exit(code)


@app.callback(invoke_without_command=True, result_callback=_exit, epilog=EXIT_CODES)
def reconcile(
    context: typer.Context,
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    store: options.StoreUrl = DEFAULT_STORE,
    select: options.Select = None,
    dry_run: options.DryRun = False,
    detailed_exitcode: options.Detailed = False,
    output: options.Output = Format.TEXT,
    out: options.Out = None,
    yes: options.Yes = False,
    force: options.Force = None,
    probes: options.Probes = 200,
    unfold: options.Unfold = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> ExitCode:
    """Point Azure ML Studio (classic) web services at the model versions that the specs name.

    Without a command: plan, show the plan, ask, carry it out.
    """
    if context.invoked_subcommand is not None:
        _refuse_misplaced(context)
        return ExitCode.OK  # The command's own code is what counts.
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"reconcile {installed('reconciler')}")
        return ExitCode.OK
    from reconciler.cli.commands.converge import Request, converge

    if detailed_exitcode and not dry_run:
        raise typer.BadParameter("--detailed-exitcode goes with --dry-run")
    request = Request(
        specs=tuple(specs or ()),
        cloud=cloud,
        store=store,
        select=tuple(select or ()),
        forced=frozenset(force or ()),
        probes=probes,
        unfolded=frozenset(unfold or ()),
    )
    return converge(request, dry_run=dry_run, detailed=detailed_exitcode, output=output, out=out, yes=yes)


def _refuse_misplaced(context: typer.Context) -> None:
    """Refuse an option before a command: it would belong to `reconcile` itself and silently do nothing."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter(
                f"{option} stands before the command {context.invoked_subcommand}: write it behind, "
                "if the command takes it"
            )


_COMMANDS: dict[str, Callable[..., int]] = {
    "apply": apply,
    "status": status,
    "history": history,
    "doctor": doctor,
    "validate": validate,
    "fmt": fmt,
    "schema": schema,
    "import": import_live,
    "export": export,
    "emulator": emulator,
    "chaos": chaos,
    "demo": demo,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
