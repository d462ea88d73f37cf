"""DARTS-ADA: when the curvature rises too fast, go back and regularise the weights more."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bench.contracts.variant import Stop
from bench.variants._eigenvalue import EigenvalueRule, Rule

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class DartsAda(EigenvalueRule):
    """Adaptive weight decay: the criterion of `hessian_early_stop`, but the search goes on.

    Where that variant stops and returns epoch s, this one goes back to the state after epoch s
    (weights, α, both optimisers, what other variants remember), multiplies the weight decay by
    ``factor`` and searches on to the last epoch. It does so at most ``times`` times and only while
    the weight decay stays within ``most``; then the search runs to its end whatever the eigenvalue
    does. The paper's ladder starts at 3e-4: set ``search.weights.weight_decay`` to it. A weight
    decay of 0 stays 0, so that nothing is ever repeated.

    The history is that of the path that was kept, with ``weight_decay`` and ``rollbacks``; epochs
    that were given up are run again, on the same images, and cost their time again. The states of
    the last 7 measurements (code: 6) are kept in memory and in checkpoints: so many times weights
    and momentum, 68 MB at full NAS-Bench-201.

    Both presets take the authors' script (``scripts/DARTS-ADA_search.sh``): tenfold from 3e-4 to at
    most 0.03, that is two returns. The argument parser's defaults are others (threefold, 243e-4).

    Paper and code: both can increase drop-path instead; the code adapts weight decay alone, as
    here. In the code a criterion that fires again soon after a return may go back beyond the first
    return, and its recursion goes on with the averages of the search that was given up (a default
    argument that is bound once); the paper's recursion begins anew at the point of return, and
    here, too, no later return goes beyond an earlier one.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"rule": "paper", "factor": 10.0, "most": 0.03},
        "code": {"rule": "code", "factor": 10.0, "most": 0.03},
    }

    factor: float = Field(10.0, gt=1, description="what the weight decay is multiplied by")
    times: int = Field(4, ge=1, description="returns at most")
    most: float = Field(0.03, gt=0, description="weight decay that is never exceeded")

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Measure, and hold the weight decay where it was set, whoever restarts optimisers."""
        super().after_epoch(setup, state)
        if self.rule is None:
            return
        group, memory = state.weight_optimizer.param_groups[0], state.memory.get(self.name, {})
        group["weight_decay"] = memory.get("weight_decay", group["weight_decay"])
        state.history[-1]["weight_decay"] = group["weight_decay"]
        state.history[-1]["rollbacks"] = memory.get("rollbacks", 0)

    def weight_settings(self, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weight decay since the last return."""
        return {"weight_decay": memory["weight_decay"]} if "weight_decay" in memory else {}

    def decide(self, setup: SearchView, state: StateView, rule: Rule) -> Stop | None:
        """Never stop; go back where early stopping would stop."""
        memory = state.memory[self.name]
        decay = self.factor * state.weight_optimizer.param_groups[0]["weight_decay"]
        within = 0 < decay <= self.most * (1 + 1e-9)
        if memory.get("rollbacks", 0) >= self.times or not within:
            memory.pop("states", None)
            return None
        states = memory.setdefault("states", {})
        epoch = rule.verdict(memory["values"])
        if epoch is not None:
            self._return_to(setup, state, epoch, rule, decay)
        elif state.epoch >= rule.first:
            states[state.epoch] = snapshot(state, self.name)
            states.pop(state.epoch - rule.back * rule.every, None)
        return None

    def _return_to(
        self, setup: SearchView, state: StateView, epoch: int, rule: Rule, decay: float
    ) -> None:
        """Take up the state after an epoch again, with another weight decay."""
        from bench.search.setup import Setup, initial_state  # only when it acts
        from bench.search.state import SearchState

        memory, history = state.memory[self.name], state.history
        saved = copy.deepcopy(memory["states"][epoch])  # optimisers keep the tensors they load
        saved["memory"][self.name] = {
            "values": memory["values"][: rule.count(epoch)],
            "states": {epoch: memory["states"][epoch]},
            "first": epoch,
            "rollbacks": memory.get("rollbacks", 0) + 1,
            "weight_decay": decay,
        }
        # The supernet of then may have been another.
        SearchState.of(state).adopt(initial_state(Setup.of(setup), epoch))
        state.load_dict({**saved, "history": history[:epoch], "stopped": None})
        state.weight_optimizer.param_groups[0]["weight_decay"] = decay


def snapshot(state: StateView, name: str) -> dict[str, Any]:
    """Return a copy of all that a search goes on from, without its history and ``name``'s memory."""
    saved = state.to_dict()
    saved["memory"] = {key: value for key, value in state.memory.items() if key != name}
    return copy.deepcopy({k: v for k, v in saved.items() if k not in ("history", "stopped")})
