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
html_show_copyright = False
highlight_language = "none"
BRAND = {"color-brand-primary": "#8a4b14", "color-brand-content": "#8a4b14"}
BRAND_DARK = {"color-brand-primary": "#e0a66c", "color-brand-content": "#e0a66c"}
html_theme_options = {"light_css_variables": BRAND, "dark_css_variables": BRAND_DARK}
