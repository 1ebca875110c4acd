"""The site that `make docs` builds; its pages load nothing from another host."""

import ast
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

project = "Athanor"
html_title = "Athanor"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["athanor.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
highlight_language = "none"
BRAND = {"color-brand-primary": "#8a4b14", "color-brand-content": "#8a4b14"}
BRAND_DARK = {"color-brand-primary": "#e0a66c", "color-brand-content": "#e0a66c"}
html_theme_options = {"light_css_variables": BRAND, "dark_css_variables": BRAND_DARK}


def list_modules() -> None:
    """Write modules.md: all modules, each with the first line of its docstring."""
    lines = ["# All modules\n"]
    for room in sorted(path.parent.name for path in ROOT.glob("*/__init__.py")):
        lines += [f"## `{room}/`\n", "| module | what it is for |", "|---|---|"]
        for path in sorted((ROOT / room).rglob("*.py")):
            about = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
            if about:
                about = about.replace("|", "&#124;")
                lines.append(f"| `{path.relative_to(ROOT / room)}` | {about} |")
        lines.append("")
    (HERE / "modules.md").write_text("\n".join(lines))


list_modules()
