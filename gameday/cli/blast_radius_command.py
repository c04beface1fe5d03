"""``gameday blast-radius``: its options; nothing heavy is imported here."""

from __future__ import annotations

import click

from gameday.cli.options import quick_imports

EPILOG = """\b
Exit codes:
  0   answered
  1   used, with --fail-if-used
  2   the command line is invalid
  3   interrupted: the answer is partial, and says so
  4   answered, but something that should have been read was not
  5   refused: the key, the source or the AWS is not there
"""


@click.command("blast-radius", epilog=EPILOG)
@click.argument("key")
@click.option(
    "--source",
    metavar="lookup|DIR|s3://BUCKET/PREFIX|athena|spark",
    default="lookup",
    show_default=True,
    help="Where the records are: the event history, log files, a table, a cluster.",
)
@click.option("--since", default="90d", show_default=True, help="A time (2026-11-01T10:00Z) or how long ago.")
@click.option("--until", default="0", help="A time, or how long ago.  [default: now]")
@click.option("--alias", "aliases", multiple=True, metavar="alias/NAME", help="Also look for this alias; repeatable.")
@click.option(
    "--only-account", "only_accounts", multiple=True, metavar="ID", help="Read this account's logs; repeatable."
)
@click.option(
    "--only-region",
    "only_regions",
    multiple=True,
    metavar="REGION",
    help="Read this Region's logs, and take a multi-Region key's replica there for the key; repeatable.",
)
@click.option("--role", "roles", multiple=True, metavar="ARN", help="lookup: also in this role's account; repeatable.")
@click.option("--target", metavar="lab=URL|aws", help="Which AWS, where one is needed; log files in DIR need none.")
@click.option("--account", help="The account that you mean; needed with --target aws, and STS must agree.")
@click.option("--region", help="The Region; needed with --target aws.")
@click.option("--profile", help="One of boto3's profiles, with --target aws.")
@click.option("--format", "format_", type=click.Choice(["table", "json", "csv", "mermaid"]), default="table")
@click.option("--limit", default=40, show_default=True, type=click.IntRange(1), help="Lines that the table shows.")
@click.option(
    "--sort",
    type=click.Choice(["uses", "recent"]),
    default="uses",
    show_default=True,
    help="The table: the most used or the most recently used first.",
)
@click.option("--fail-if-used", is_flag=True, help="Exit with 1 when the key was used; for pipelines.")
@click.option("--logs", metavar="PLACE", help="Where the log files are, for spark, and for athena --create-table.")
@click.option("--master", metavar="URL", help="spark: its master, e.g. spark://host:7077.")
@click.option("--database", default="default", show_default=True, help="athena: the database.")
@click.option("--table", default="cloudtrail_logs", show_default=True, help="athena: the table.")
@click.option("--workgroup", default="primary", show_default=True, help="athena: the workgroup.")
@click.option("--output", metavar="s3://…", help="athena: where results go, unless the workgroup says.")
@click.option("--create-table", is_flag=True, help="athena: print the table's definition, and create it.")
def blast_radius(**options: object) -> None:
    r"""Say who used KEY, through which service, for what: who will feel it when it goes away.

    KEY is a key's ARN or id, or an alias (then --target must say whose). Log files are read without any AWS:

    \b
        gameday blast-radius arn:aws:kms:eu-central-1:111122223333:key/… --source ./logs --since 90d
    """
    with quick_imports():
        from gameday.cli.blast_radius import print_blast_radius

    print_blast_radius(**options)
