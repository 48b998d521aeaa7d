"""Writes trained models in formats of other programs: ONNX and safetensors."""

from pipeline.inference.exporting.graph import Graph, graph_of
from pipeline.inference.exporting.onnx_file import write_onnx
from pipeline.inference.exporting.safetensors_file import write_safetensors

__all__ = ["Graph", "graph_of", "write_onnx", "write_safetensors"]
