"""Reports: nightly report, analytics report, model card and data dictionary, with figures as inline SVG."""
