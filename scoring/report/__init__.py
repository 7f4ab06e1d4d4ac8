"""The page of a night: figures as inline SVG and one self-contained HTML file."""
