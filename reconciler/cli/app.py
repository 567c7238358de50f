"""The `reconcile` command. What each command needs is imported when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options
from reconciler.cli.options import DEFAULT_STORE, Format, Listing

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


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
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
) -> None:
    """Point Azure ML Studio (classic) web services at the model versions that the specs name.

    Without a command: plan, show the plan, ask, carry it out.
    """
    if context.invoked_subcommand is not None:
        _refuse_misplaced(context)
        return
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"reconcile {installed('reconciler')}")
        return
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
    raise typer.Exit(converge(request, dry_run=dry_run, detailed=detailed_exitcode, output=output, out=out, yes=yes))


def _refuse_misplaced(context: typer.Context) -> None:
    """An option before a command would be for `reconcile` itself, so it would silently do nothing."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter(
                f"{option} stands before the command {context.invoked_subcommand}: write it behind, "
                "if the command takes it"
            )


@app.command()
def apply(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A plan that --dry-run wrote with --out.")],
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    store: options.StoreUrl = DEFAULT_STORE,
    select: options.Select = None,
    probes: options.Probes = 200,
    output: options.Output = Format.TEXT,
) -> None:
    """Carry out exactly a saved plan; refused (exit 3) if the world moved since."""
    from reconciler.cli.commands.converge import Request, apply_saved

    request = Request(
        specs=tuple(specs or ()),
        cloud=cloud,
        store=store,
        select=tuple(select or ()),
        forced=frozenset(),
        probes=probes,
    )
    raise typer.Exit(apply_saved(request, plan, output=output))


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="Only this target or version.")] = None,
    store: options.StoreUrl = DEFAULT_STORE,
    output: options.AsListing = Listing.TEXT,
) -> None:
    """What the store knows: targets and why they are held, versions and their metrics, jobs in flight. No network."""
    from reconciler.cli.commands.status import show_status

    raise typer.Exit(show_status(store, name, output))


@app.command()
def history(
    subject: Annotated[str | None, typer.Argument(help="Only this target, or this model@version.")] = None,
    store: options.StoreUrl = DEFAULT_STORE,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")] = 50,
    output: options.AsListing = Listing.TEXT,
) -> None:
    """What was done, newest first. No network."""
    from reconciler.cli.commands.status import show_history

    raise typer.Exit(show_history(store, subject, limit, output))


@app.command()
def export(
    service: Annotated[
        str, typer.Argument(metavar="NAME|RESOURCE_ID", help="A NewWebService of the specs, or a resource id.")
    ],
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it here. Default: standard output.")
    ] = None,
) -> None:
    """Write a New web service's definition, without secrets, as `definition: {file: …}` of a spec takes it."""
    from reconciler.cli.commands.export import export as write

    raise typer.Exit(write(service, tuple(specs or ()), cloud, out))


@app.command()
def doctor(
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    select: options.Select = None,
    output: options.AsListing = Listing.TEXT,
) -> None:
    """What works and what does not: sign-in, hosts, clocks, permissions, storage, quotas. Changes nothing.

    Exit code 1 when something failed, else 0.
    """
    from reconciler.cli.commands.doctor import diagnose

    raise typer.Exit(diagnose(tuple(specs or ()), cloud, tuple(select or ()), output))


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Spec files or directories. Default: specs."),
    ] = None,
    specs: options.Specs = None,
) -> None:
    """Check the specs and their definition files; report every mistake at once, with its place. No network."""
    from reconciler.cli.commands.specs import validate as check

    raise typer.Exit(check([*(paths or ()), *(specs or ())]))


@app.command()
def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Spec files or directories. Default: specs."),
    ] = None,
    specs: options.Specs = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; name the files that would change, and exit 1 for them.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
) -> None:
    """Bring spec files into their canonical form: order of fields, quotes, indentation. Comments stay.

    Prints the names of the files that it changed. A file with mistakes is left as it is and reported (exit 1). No
    network.
    """
    from reconciler.cli.commands.specs import fmt as format_specs

    raise typer.Exit(format_specs([*(paths or ()), *(specs or ())], check=check, diff=diff))


@app.command(name="import")
def import_command(
    workspace: Annotated[
        list[str],
        typer.Option(
            "--workspace",
            metavar="NAME|ID|NAME=ID",
            help="A Workspace document of --specs by its name, or a workspace by its id; may be repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")],
    specs: options.Specs = None,
    region: Annotated[
        str | None, typer.Option("--region", help="Of a workspace given by its id: as the portal shows it.")
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option("--token-env", metavar="VARIABLE", help="The variable that holds its authorization token."),
    ] = None,
    storage_env: Annotated[
        str | None,
        typer.Option(
            "--storage-env", metavar="VARIABLE", help="The variable that holds its storage's connection string."
        ),
    ] = None,
    container: Annotated[
        str | None, typer.Option("--container", help="The container for inputs and models. Default: models.")
    ] = None,
    subscription: Annotated[
        str | None,
        typer.Option("--subscription", metavar="ID", help="Import New web services of this subscription too."),
    ] = None,
    resource_group: Annotated[
        list[str] | None,
        typer.Option("--resource-group", metavar="NAME", help="Only those of this resource group; may be repeated."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make the plan over what was written; exit 1 unless it is empty.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    cloud: options.CloudName = None,
    store: options.StoreUrl = DEFAULT_STORE,
    probes: options.Probes = 200,
) -> None:
    """Write spec files for what is live: endpoints with their settings, New web services, models as far as known.

    Nothing but files is written. Targets that have documents in --specs are left out.
    """
    from reconciler.cli.commands.import_live import ImportRequest, import_live
    from reconciler.importing.workspaces import NewWorkspace
    from reconciler.targets.inventory import Scope

    if resource_group and subscription is None:
        raise typer.BadParameter("--resource-group goes with --subscription")
    if subscription is not None and not options.is_subscription(subscription):
        raise typer.BadParameter(f"--subscription {subscription} is not the id of a subscription: a GUID is wanted")
    groups: list[str | None] = [*(resource_group or [])] or [None]
    request = ImportRequest(
        workspaces=tuple(workspace),
        specs=tuple(specs or ()),
        new_workspace=NewWorkspace(region, token_env, storage_env, container),
        scopes=tuple(Scope(subscription, group) for group in groups) if subscription is not None else (),
        out=out,
        force=force,
        verify=verify,
        cloud=cloud,
        store=store,
        probes=probes,
    )
    raise typer.Exit(import_live(request))


@app.command()
def schema(
    kind: Annotated[
        str | None, typer.Argument(help="A kind of document, or `plan`. Default: all kinds of document.")
    ] = None,
) -> None:
    """Print a JSON Schema that an editor can use."""
    from reconciler.cli.commands.specs import schema as show

    raise typer.Exit(show(kind))


@app.command()
def emulator(
    studio: Annotated[
        Path | None,
        typer.Option("--studio", metavar="FILE", help="A studio file. Default: the built-in one."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Keep its state here. Default: in memory.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The loopback port; 0 picks a free one.")] = 0,
    cloud_file: Annotated[
        Path | None, typer.Option("--cloud-file", metavar="FILE", help="Where to write the file for --cloud.")
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help="Where to write the secrets that specs refer to."),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", help="Rules that make it fail. Default: none."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="What it does where no source is sure: documented, terse, hostile or random:SEED. "
            "Default: that of the studio file.",
        ),
    ] = None,
) -> None:
    """Run a local Studio; prints one line of JSON, with its URL and its files, when it answers."""
    from reconciler.cli.commands.emulator import run_emulator

    raise typer.Exit(run_emulator(studio, state, port, cloud_file, env_file, faults, profile=profile))


@app.command()
def chaos(
    cloud_file: Annotated[
        Path | None, typer.Option("--cloud-file", metavar="FILE", help="The cloud file of a running emulator.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Or its URL.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same mix.")] = 0,
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1, help="About this share of the requests is hit.")
    ] = 0.1,
    lasts: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0.1, help="How long. Default: until Ctrl-C.")
    ] = None,
    retired: Annotated[
        str | None,
        typer.Option(
            "--retired",
            metavar="FORM",
            help="Instead of a mix: the whole service has ended, as refused (goes with --for), reset, 404, 410, "
            "NoRegisteredProviderFound or name-not-found.",
        ),
    ] = None,
) -> None:
    """Make a running emulator fail here and there, until Ctrl-C: a seeded mix of faults, printed and then removed."""
    from datetime import timedelta

    from reconciler.cli.commands.chaos import run_chaos

    span = None if lasts is None else timedelta(seconds=lasts)
    raise typer.Exit(run_chaos(url, cloud_file, seed, share, span, retired=retired))


@app.command()
def demo(
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory",
            metavar="DIR",
            help="Where to work. Default: a new temporary directory, removed at the end.",
        ),
    ] = None,
) -> None:
    """Walk through the main job on a local Studio with real data: two minutes, nothing but loopback."""
    from reconciler.cli.commands.demo import run_demo

    raise typer.Exit(run_demo(directory))
