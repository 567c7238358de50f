"""The `reconcile` command: its own options and its commands, each of which is a function in `reconciler.cli.commands`.

A command imports its work when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from textwrap import indent
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
from reconciler.cli.usage import PlainCommand, PlainGroup

app = typer.Typer(
    name="reconcile",
    cls=PlainGroup,
    no_args_is_help=False,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EPILOG = """
\b
Examples:
  reconcile --dry-run                  Show what would change.
  reconcile --yes --select clinic-a    Converge one target.
  reconcile --dry-run --out plan.json  Save a plan for `reconcile apply`.

\b
Exit codes:
  0    in sync or converged; with --dry-run: a plan was made
  1    error
  2    changes are pending (--dry-run --detailed-exitcode)
  3    refused as unsafe, or the saved plan is stale
  4    held by a gate, locked by another run, or not approved
  5    partly converged: some targets failed
  130  interrupted
"""


def _exit(code: int, **_: object) -> None:
    raise typer.Exit(code)


@app.callback(invoke_without_command=True, result_callback=_exit, epilog=EPILOG)
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

    Without a command: make a plan, show it, ask for approval and apply it.
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
        raise typer.BadParameter("--detailed-exitcode requires --dry-run")
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
    command = context.invoked_subcommand or ""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            if name in signature(_COMMANDS[command][0]).parameters:
                raise typer.BadParameter(f"{option} must come after the command: reconcile {command} {option} ...")
            raise typer.BadParameter(f"{command} does not take {option}")


_COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "apply": (apply, "reconcile apply plan.json"),
    "status": (status, "reconcile status\nreconcile status clinic-a --output json"),
    "history": (history, "reconcile history clinic-a --limit 10"),
    "doctor": (doctor, "reconcile doctor --cloud public"),
    "validate": (validate, "reconcile validate specs/"),
    "fmt": (fmt, "reconcile fmt specs/\nreconcile fmt --check --diff specs/"),
    "schema": (schema, "reconcile schema > fleet.schema.json\nreconcile schema plan"),
    "import": (import_live, "reconcile import --workspace contoso --out imported/ --verify"),
    "export": (export, "reconcile export diabetes-progress --out definition.json"),
    "emulator": (emulator, "reconcile emulator --state studio --cloud-file cloud.json --env-file studio.env"),
    "chaos": (chaos, "reconcile chaos --cloud-file cloud.json --seed 7 --share 0.2 --for 60"),
    "demo": (demo, "reconcile demo\nreconcile demo --directory demo/"),
}
"""Each command, with examples for its help."""
for _name, (_command, _examples) in _COMMANDS.items():
    app.command(_name, cls=PlainCommand, epilog="\b\nExamples:\n" + indent(_examples, "  "))(_command)
