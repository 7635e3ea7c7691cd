"""Pages that fetch nothing: a template with its parts in place, and the policy that allows them alone."""

import base64
import hashlib
import re
from collections.abc import Mapping

__all__ = ["filled", "policy"]


def filled(template: str, parts: Mapping[str, str]) -> bytes:
    """Return a page with its parts in the places of their names; what stands in a part is left as it is.

    >>> filled("<p>{one}</p>", {"one": "{two}"})
    b'<p>{two}</p>'
    """
    return re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], template).encode()


def policy(style: str, script: str) -> str:
    """Return a policy that allows this style, this script and an icon within the page, and no request.

    >>> policy("", "")[:73]
    "default-src 'none'; style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJW"
    """
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}';"
        " img-src data:; base-uri 'none'; form-action 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )
