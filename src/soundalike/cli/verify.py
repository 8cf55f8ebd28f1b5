"""``soundalike verify``."""

from __future__ import annotations

import sys

import click

from soundalike.cli.common import json_option, model_option, note, print_json


@click.command()
@model_option
@json_option
def verify(model: str, device: str, as_json: bool) -> None:
    """Check that this machine gives the vectors of the release.

    The example sounds are embedded, each twice.
    """
    from soundalike.embed import load_model
    from soundalike.selftest import run_selftest

    checks = run_selftest(load_model(model, device))
    for check in checks:
        if as_json:
            print_json({
                "name": check.name, "cosine": check.cosine, "repeatable": check.repeatable,
                "passed": check.passed,
            })  # fmt: skip
        elif not check.passed:
            click.echo(f"wrong: {check.name}: cosine {check.cosine:.8f}, repeatable: {check.repeatable}")
    wrong = sum(not check.passed for check in checks)
    worst = min(check.cosine for check in checks)
    right = f"{len(checks) - wrong} of {len(checks)} examples right"
    note(f"{right}; lowest cosine to the release 1 - {1 - worst:.1e}")
    sys.exit(1 if wrong else 0)
