"""The site that `make docs` builds; its pages load nothing from another host."""

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
# Console blocks show a command and what it prints: only prompts and commands get a colour.
highlight_language = "none"
