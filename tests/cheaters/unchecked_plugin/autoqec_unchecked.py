"""Plugin for tests: the stage kind `raw_custom`, which is `custom` without the check of its source.

What stops a cheater here is the lock and the judge, and nothing that reads code.
"""

from typing import Literal

from autoqec_plugins.custom.custom_stage import Custom, CustomConfig

from autoqec.hookspecs import hookimpl


class RawConfig(CustomConfig):
    kind: Literal["raw_custom"] = "raw_custom"


class RawCustom(Custom):
    Config = RawConfig

    def with_module(self, source, path):
        return RawCustom(source, path)


@hookimpl
def autoqec_register_stages(register):
    register("raw_custom", RawCustom)
