"""A local page on which a person tries a trained model.

`answers` computes what the page shows, without Gradio; `page` lays it out and serves it.
"""

from pipeline.inference.demo.page import serve_page

__all__ = ["serve_page"]
