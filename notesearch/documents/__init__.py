"""PDF, DOCX, HTML and EPUB: converted to Markdown in a separate process, which `converter` talks to."""
