"""The site is built strictly, with no network, and its pages ask nothing of other servers."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from document_blocks import DOCUMENTS, ROOT


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="the extra `docs` is not installed")
def test_the_site_is_built_without_a_network_and_shown_without_one(tmp_path):
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=environment | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) >= len(DOCUMENTS)  # the README is no page of the site, and the site has one for what is not found
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]* src="(https?:[^"]*)|<link[^>]* href="(https?:[^"]*)', page.read_text()
        )
        assert loaded == [], page.name
