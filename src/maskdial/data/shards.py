"""The corpus folder, whole: making one (`build`, `cache`), reading one (`corpus`), checking one (`storage`)."""

from __future__ import annotations

from maskdial.data.build import merge, prepare, prepare_shard
from maskdial.data.cache import open_or_prepare
from maskdial.data.corpus import Corpus, Part
from maskdial.data.storage import verify

__all__ = ["Corpus", "Part", "merge", "open_or_prepare", "prepare", "prepare_shard", "verify"]
