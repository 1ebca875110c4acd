"""The model card: Markdown with the YAML head that model hubs read."""

from typing import Any

from evaluation import console_tables

# Names of hubs for a modality and a task.
PIPELINES = {
    ("row", "regression"): "tabular-regression",
    ("row", "classification"): "tabular-classification",
    ("image", "classification"): "image-classification",
    ("text", "classification"): "text-classification",
    ("text", "multilabel"): "text-classification",
}
LICENSE = "# license: choose one, such as apache-2.0"
ESCAPED = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>#|"})


def card(content: dict[str, Any]) -> str:
    """Return the text of card.md."""
    return "\n".join([_head(content), *_body(content), ""])


def _head(content: dict[str, Any]) -> str:
    import yaml

    kind = PIPELINES.get((content["modality"], content["task"]), "")
    results = [
        {"type": name, "name": name, "value": value} for name, value in content["test"].items()
    ]
    dataset = content["data"]["address"]
    fields: dict[str, Any] = {
        "library_name": "keras",
        "tags": [*dict.fromkeys(("athanor", content["app"], content["task"]))],
        "datasets": [dataset],
        "metrics": list(content["test"]),
        "model-index": [
            {
                "name": content["title"],
                "results": [
                    {
                        "task": {"type": kind or content["task"]},
                        "dataset": {"type": dataset, "name": dataset, "split": "test"},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    if kind:
        fields["pipeline_tag"] = kind
    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{LICENSE}\n{text}---\n"


def _body(content: dict[str, Any]) -> list[str]:
    verdict = content["verdict"]
    return [
        f"# {_escaped(content['title'])}",
        "",
        f"**{_escaped(verdict['text'])}**",
        "",
        *_section("What to know before use", [one["text"] for one in content["findings"]]),
        "## Intended use",
        "",
        f"{_escaped(content['about'])} For whom and for what is it meant? Write it here.",
        "",
        "## Data",
        "",
        *_data(content["data"]),
        "## Scores",
        "",
        *_table(*console_tables.score_table(content)),
        *_table(*console_tables.comparison_table(content)),
        *_section("Limits", content["limits"]),
        *_section("Not tested", content["not_tested"]),
        "## Repeat it",
        "",
        *(f"    {command}" for command in content["commands"].values()),
        "",
        ", ".join(f"{name} {version}" for name, version in content["versions"].items()),
    ]


def _data(data: dict[str, Any]) -> list[str]:
    sizes = ", ".join(f"{size:,} {name}" for name, size in data["sizes"].items())
    lines = [f"{data['address']}: {sizes} examples", *data["notes"]]
    if data["target"]:
        lines.insert(1, f"predicted column {data['target']}")
    return [*(f"- {_escaped(line)}" for line in lines), ""]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {_escaped(line)}" for line in lines), ""] if lines else []


def _table(columns: list[str], rows: list[list[str]], title: str) -> list[str]:
    if not rows:
        return []
    lines = [columns, ["---"] * len(columns), *rows]
    cells = ("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)
    return [_escaped(title) + ".", "", *cells, ""]


def _escaped(text: str) -> str:
    """Return a text whose characters mean nothing in Markdown or HTML."""
    return " ".join(text.split()).translate(ESCAPED)
