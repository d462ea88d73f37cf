"""Searches that see only a table: the contract of a black-box search and the loop that runs it.

They are the references that a differentiable search must beat: each sees nothing of a cell but
its validation accuracy after 12 epochs, under an equal budget of evaluations, and returns its
favourite.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.contracts.member import Member

Architecture = tuple[int, ...]
"""The index of the chosen operation for every edge."""
Query = Callable[[Architecture], float]
"""Architecture → validation accuracy after 12 epochs, in percent."""
Proposals = Generator[Architecture, float, None]
"""Yields the next architecture to evaluate and is sent its accuracy."""

PAPER_BUDGET = 110
"""Evaluations that stand for the 12,000 s of 12-epoch training of Dong and Yang 2020.

Tables of accuracies hold no training times, and one 12-epoch training with its validation takes
about 109 s on the paper's GTX 1080 Ti. Small and large cells cost the same here.
"""


class MissingLibraryError(ImportError):
    """A search whose library is not installed; one line, with the fix."""


@dataclass(frozen=True)
class Found:
    """What a search saw, in order, and its favourite.

    Attributes
    ----------
    favourite
        The evaluated architecture of the highest validation accuracy, the first of equals.
    evaluated, accuracies
        Every evaluation that was paid for; architectures may repeat.
    """

    favourite: Architecture
    evaluated: tuple[Architecture, ...]
    accuracies: tuple[float, ...]

    @property
    def distinct(self) -> int:
        """How many different architectures were evaluated."""
        return len(set(self.evaluated))


class BlackBox(Member):
    """A search that sees only the accuracy of what it proposes.

    A member writes `proposals`: what to evaluate next, given what was seen. The budget and the
    choice of the favourite are not its business, so neither can differ between searches.
    """

    repeats: ClassVar[str] = "cost budget"
    """What becomes of an architecture that is proposed again: every proposal is paid for, so a
    search that does not want to pay twice must remember (``remembered``)."""

    @abstractmethod
    def proposals(self, choices: Sequence[int], rng: np.random.Generator) -> Proposals:
        """Propose architectures for as long as it is asked to.

        Parameters
        ----------
        choices
            Number of operations for every edge: ``(5,) * 6`` in NAS-Bench-201.
        rng
            The only source of randomness.

        Yields
        ------
        Proposals
            The next architecture to evaluate; the validation accuracy (percent) of each is sent back.
        """

    def search(self, query: Query, choices: Sequence[int], budget: int, seed: int) -> Found:
        """Search with ``budget`` evaluations, or fewer when there is nothing left to propose.

        Parameters
        ----------
        query
            Architecture → validation accuracy after 12 epochs, in percent.
        choices
            Number of operations for every edge.
        budget
            Evaluations that may be paid for, at least 1.
        seed
            Draws all that is random.

        Returns
        -------
        Found
            What was evaluated, in order, and the favourite.

        Raises
        ------
        ValueError
            When the budget is below one.
        """
        if budget < 1:
            raise ValueError(f"a search needs a budget of at least 1 evaluation, not {budget}")
        evaluated: list[Architecture] = []
        accuracies: list[float] = []
        proposals = self.proposals(tuple(choices), np.random.default_rng(seed))
        try:
            proposal = next(proposals)
            while True:
                evaluated.append(proposal)
                accuracies.append(query(proposal))
                if len(evaluated) == budget:
                    break
                proposal = proposals.send(accuracies[-1])
        except StopIteration:
            pass
        finally:
            proposals.close()
        favourite = evaluated[int(np.argmax(accuracies))]
        return Found(favourite, tuple(evaluated), tuple(accuracies))


def random_architecture(choices: Sequence[int], rng: np.random.Generator) -> Architecture:
    """Draw every operation uniformly.

    Parameters
    ----------
    choices
        Number of operations for every edge.
    rng
        Where it is drawn from.

    Returns
    -------
    Architecture
        The index of an operation for every edge.
    """
    return tuple(rng.integers(choices).tolist())
