"""The ranking protocol: everything that moves Kendall's tau, named and hashed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from bench.contracts.identity import described, digest
from bench.contracts.plain import Plain
from bench.ranking.population import Population


class Protocol(Plain):
    """How sub-networks are scored and compared with ground truth.

    Two τ are comparable only where the digests of their protocols agree. Sub-networks are single
    paths with the supernet's weights; both scores, accuracy and negative loss, are always kept,
    and ``score`` says which one is the primary. τ is τ-b, which is defined under ties: a pair
    tied in either ranking counts for neither side and lowers the norm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    population: Population = Population()
    images: int | None = Field(None, ge=1, description="validation images; null: the whole half")
    batch: int = Field(
        500, ge=2, description="images per batch; with batch_norm: batch also what it averages over"
    )
    score: Literal["accuracy", "loss"] = Field(
        "accuracy", description="the primary score; on few images the loss is finer"
    )
    batch_norm: Literal["batch", "recalibrated", "running"] = Field(
        "batch",
        description="statistics of the evaluation batch, of training images under the same path, "
        "or those that the search kept (needs space.running_statistics)",
    )
    calibration: int = Field(
        512, ge=2, description="training images that recalibrated statistics are taken over"
    )
    paths: Literal["one_hot", "alpha_weighted"] = Field(
        "one_hot", description="operations at weight one, or at their mixture weight"
    )
    ties: Literal["tau_b"] = Field("tau_b", description="a tied pair counts for neither side")
    resamples: int = Field(500, ge=0, description="bootstrap resamples of the interval")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("population"), str):
            return {**value, "population": {"kind": value["population"]}}
        return value

    def digest(self, **context: Any) -> str:
        """Hash the protocol with what else fixes τ (hashes of truth and images); 12 hex digits.

        Resamples are left out: they move the interval, not τ. The cells of a file count, not where
        it lies.
        """
        protocol = {k: v for k, v in described(self).items() if k != "resamples"}
        content = {"protocol": protocol, "population": self.population.content(), **context}
        return digest(content)[:12]
