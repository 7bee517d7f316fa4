"""`report.html`: a run on one page, which can be seen without a network and other files."""

from pathlib import Path

from audit.files import part_seen
from datamodules.atomic import atomic_replace
from report import confusions, curves, distributions, headline
from report.examples import least_trusted_tests, select_examples, truth_summary
from report.report_data import ReportData


def write_report(path: str | Path, data: ReportData) -> None:
    """Write the page of a run.

    Args:
        path: of the file to write; it links to lists of labels in the same folder.
        data: what to show.
    """
    page = render(data).encode("utf-8", "backslashreplace")  # file names may be any bytes
    with atomic_replace(Path(path)) as partial:
        partial.write_bytes(page)


def render(data: ReportData) -> str:
    """Return the page, as HTML."""
    import yaml
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    examples = select_examples(data)
    names = data.class_names
    transitions = confusions.count_transitions(data.audit, len(names))
    return environment.get_template("page.html.j2").render(
        title=headline.title(data),
        subtitle=headline.subtitle(data),
        unfinished=headline.unfinished(data),
        headline=headline.headline(data),
        curves=curves.learning_curves(data.metrics),
        trust=[
            figure
            for figure in (
                distributions.trust(data.audit),
                distributions.detection_curve(data.audit),
            )
            if figure
        ],
        mean_weights=curves.mean_weights(data.metrics),
        weights_over_time=distributions.weights_over_time(data.weights),
        matrices=[
            *confusions.transition_figures(transitions, names),
            *curves.transition_error(data.metrics),
        ],
        numbered=len(names) > confusions.MAX_NAMED,
        flips=confusions.largest_flips(transitions, names),
        changes=confusions.frequent_changes(data.audit, names),
        any_known=bool((data.audit.clean >= 0).any()),
        examples=examples,
        truth_summary=truth_summary(examples.least_trusted),
        tested=data.tested.audit if data.tested else None,
        least_trusted_tests=least_trusted_tests(data),
        visited=len(data.audit.index),
        part=part_seen(data.results),
        memory=curves.memory(data.metrics),
        costs=headline.costs(data),
        command=data.command,
        next_steps=data.next_steps,
        run_dir=data.results.get("run_dir"),
        settings=yaml.safe_dump(dict(data.settings), sort_keys=False, allow_unicode=True),
    )
