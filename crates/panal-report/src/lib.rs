//! Run records in; Markdown, CSV, JSON and LaTeX tables and plots out.
