"""Both updates on the same images."""

SOURCE = (
    "Liu et al. 2019, DARTS, section 3.3 (alternative optimisation: w and α on train ∪ validation)"
)


def table(make):
    yield (
        "paper: both halves for both",
        make("paper").halves(),
        {"train": "union", "valid": "union"},
    )
    yield "by default the training half", make().halves(), {"train": "train", "valid": "train"}
