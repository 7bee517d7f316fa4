"""`report.html`: a run on one page, which can be seen without a network and other files."""

from pathlib import Path

from audit.files import part_seen
from datamodules.atomic import atomic_replace
from report import confusions, curves, headline, spreads
from report.examples import judged, shown
from report.story import Story


def write_report(path: str | Path, story: Story) -> None:
    """Write the page of a run.

    Args:
        path: of the file to write; it links to `labels.csv` in the same folder.
        story: what to tell.
    """
    page = render(story).encode("utf-8", "backslashreplace")  # file names may be any bytes
    with atomic_replace(Path(path)) as partial:
        partial.write_bytes(page)


def render(story: Story) -> str:
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
    examples = shown(story)
    names = story.class_names
    counts = confusions.transitions(story.audit, len(names))
    return environment.get_template("page.html.j2").render(
        title=headline.title(story),
        subtitle=headline.subtitle(story),
        unfinished=headline.unfinished(story),
        headline=headline.headline(story),
        curves=curves.learning_curves(story.metrics),
        trust=[one for one in (spreads.trust(story.audit), spreads.found(story.audit)) if one],
        mean_weights=curves.mean_weights(story.metrics),
        weights_over_time=spreads.weights_over_time(story.weights),
        matrices=[
            *confusions.matrices(counts, names),
            *curves.transition_error(story.metrics),
        ],
        numbered=len(names) > confusions.NAMED,
        flips=confusions.flips(counts, names),
        changes=confusions.changes(story.audit, names),
        any_known=bool((story.audit.clean >= 0).any()),
        shown=examples,
        judged=judged(examples.least_trusted),
        visited=len(story.audit.index),
        part=part_seen(story.results),
        memory=curves.memory(story.metrics),
        costs=headline.costs(story),
        command=story.command,
        next_steps=story.next_steps,
        run_dir=story.results.get("run_dir"),
        settings=yaml.safe_dump(dict(story.settings), sort_keys=False, allow_unicode=True),
    )
