"""Notebooks of one cell, for tests."""

import base64
import struct

import nbformat.v4 as v4

__all__ = ["notebook", "picture", "printed", "shown"]


def notebook(*outputs, tags=(), source="print()"):
    cell = v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})
    cell.id = "cell"
    return v4.new_notebook(cells=[cell])


def printed(text):
    return v4.new_output("stream", name="stdout", text=text)


def shown(**data):
    return v4.new_output(
        "display_data", data={kind.replace("_", "/"): content for kind, content in data.items()}
    )


def picture(width, height):
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR"
    return base64.b64encode(header + struct.pack(">II", width, height) + bytes(40)).decode()
