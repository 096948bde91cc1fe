"""FastMCP's proxy: a stdio server that hands everything on to the URL and token of its environment."""

import os

from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.server import create_proxy

headers = {"Authorization": f"Bearer {os.environ['MATRIX_TOKEN']}"}
create_proxy(StreamableHttpTransport(os.environ["MATRIX_URL"], headers=headers), name="gateway").run(show_banner=False)
