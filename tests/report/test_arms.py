"""What the page says an arm is: the interventions, and the settings that differ from the baseline."""

from bench.report.arms import describe, space_of

MANIFEST = {
    "contrast": {"metric": "skip_count", "of": "new", "against": "old"},
    "arms": [
        {
            "label": "old",
            "variants": [],
            "settings": {"space": {"name": "nb201"}, "search": {"epochs": 20, "batch": 64}},
        },
        {
            "label": "new",
            "variants": [{"name": "skip_dropout", "rate": 0.3}],
            "settings": {"space": {"name": "nb201"}, "search": {"epochs": 30, "batch": 64}},
        },
        {
            "label": "order",
            "variants": [],
            "settings": {
                "space": {"name": "nb201"},
                "search": {"epochs": 20, "batch": 64},
                "hypergradient": {"name": "reverse", "T": 5},
            },
        },
    ],
}


def test_an_arm_is_told_by_what_acts_and_what_differs():
    assert describe(MANIFEST, "old") == "plain DARTS"
    assert describe(MANIFEST, "new").startswith("skip_dropout: rate 0.3")
    assert describe(MANIFEST, "new").endswith("search.epochs 30 (not 20)")
    assert describe(MANIFEST, "order") == "hypergradient reverse; hypergradient.T 5"


def test_what_is_unknown_here_is_still_told():
    arms = [*MANIFEST["arms"], {"label": "theirs", "variants": [{"name": "my_own", "x": 1}]}]
    told = describe({**MANIFEST, "arms": arms}, "theirs")
    assert told.startswith("my_own: x 1; ") and "space unset (not nb201)" in told
    assert space_of({**MANIFEST, "arms": arms}, "theirs") is None
    assert space_of(MANIFEST, "old").name == "nb201"
