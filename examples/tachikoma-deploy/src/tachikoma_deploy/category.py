"""The category, and the type of its own that its messages use."""

from typing import Final

from tachikoma_proto import Category

from tachikoma_deploy.version import Version

deploy: Final = Category("deploy", topic="deploys", key="deploy_id")

deploy.scalar(
    Version,
    wire=str,
    read=Version.parse,
    write=str,
    expected="a version such as 1.2.3",
    schema={"pattern": f"^{Version.PATTERN}$", "examples": ["1.2.3"]},
)
