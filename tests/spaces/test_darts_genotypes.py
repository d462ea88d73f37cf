"""Genotypes: the original notation, published ones, sizes, isomorphism, discretisation."""

import ast
import itertools
import re

import pytest
import torch

from bench.contracts import registry
from bench.spaces.darts import genotypes
from bench.spaces.darts.tables import PUBLISHED, S1


def darts(**fields):
    return registry.parse("spaces", {"name": "darts", **fields})


V2 = PUBLISHED["DARTS_V2"]


def test_a_published_genotype_is_read_and_written():
    space = darts()
    cell = space.decode(V2)
    assert cell == space.decode("DARTS_V2") and len(cell) == 28
    by_hand = {  # (row, operation): node 2 from 0 and 1, 3 from 0 and 1, 4 from 0 and 1, 5 from 0 and 2
        0: 4,
        1: 4,
        2: 4,
        3: 4,
        5: 3,
        6: 4,
        9: 3,
        11: 6,
        14: 1,
        15: 1,
        17: 1,
        18: 3,
        19: 1,
        21: 3,
        24: 1,
        25: 3,
    }
    assert {row: o for row, o in enumerate(cell) if o != -1} == by_hand
    text = space.encode(cell)
    assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ")
    assert text.endswith("reduce_concat=range(2, 6))") and space.decode(text) == cell
    counts = space.describe(cell)
    assert (counts["skip_count"], counts["skip_count_normal"], counts["skip_count_reduce"]) == (
        5,
        2,
        3,
    )
    assert counts["weight_free_share_normal"] == 2 / 8 and counts["weight_free_share_reduce"] == 1


@pytest.mark.parametrize(
    ("name", "millions", "exactly"),
    [
        ("DARTS_V2", 3.3, 3_349_342),  # the original README: 3.349 M
        ("DARTS_V1", 3.2, 3_169_414),  # its paper's table: 3.3; see the count by hand below
        ("PDARTS", 3.4, None),
        ("PC_DARTS", 3.6, None),
    ],
)
def test_networks_have_the_published_number_of_weights(name, millions, exactly):
    space = darts(channels=36, layers=20)
    cell = space.decode(name)
    network = space.standalone(cell, 3, 10, seed=0)
    own = sum(p.numel() for p in network.parameters())
    assert round(own / 1e6, 1) == millions and own == (exactly or own)
    with_head = space.standalone(cell, 3, 10, seed=0, auxiliary=True)
    assert with_head.count() == own < sum(p.numel() for p in with_head.parameters())
    # The score that counts operations leaves out all that every genotype has, and batch norms.
    norms = sum(m.weight.numel() + m.bias.numel() for m in network.modules() if hasattr(m, "eps"))
    outside = sum(p.numel() for n, p in network.named_parameters() if ".operations." not in n)
    inside = [m for n, m in network.named_modules() if ".operations." in n and hasattr(m, "eps")]
    assert norms > 0
    assert space.parameters(cell) == own - outside - sum(2 * m.num_features for m in inside)


def counted_by_hand(text, c, layers):
    """Add up the original construction's weights from the genotype's text; none of our code."""
    genotype = dict(re.findall(r"(normal|reduce)=(\[[^\]]*\])", text))
    total, before, last = 27 * 3 * c + 2 * 3 * c, 3 * c, 3 * c  # the stem
    for layer in range(layers):
        reduction = layer in (layers // 3, 2 * layers // 3)
        c *= 2 if reduction else 1
        total += before * c + 2 * c + last * c + 2 * c  # two 1x1 convolutions with batch norms
        for operation, source in ast.literal_eval(genotype["reduce" if reduction else "normal"]):
            strided = reduction and source < 2
            kernel = {"3x3": 9, "5x5": 25}.get(operation[-3:], 0)
            total += {
                "sep": 2 * (kernel * c + c * c + 2 * c),
                "dil": kernel * c + c * c + 2 * c,
                "ski": c * c + 2 * c if strided else 0,  # two 1x1 convolutions to half the channels
            }.get(operation[:3], 0)
        before, last = last, 4 * c
    return total + last * 10 + 10


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_weights_are_those_of_a_count_by_hand(name):
    space = darts(channels=36, layers=20)
    network = space.standalone(space.decode(name), 3, 10, seed=0)
    assert network.count() == counted_by_hand(PUBLISHED[name], 36, 20)


def test_the_first_order_cell_lacks_a_dilated_convolution_of_the_second_order_one():
    """V1 is V2 with a skip for its dil_conv_3x3: 18 normal cells, six of each width."""
    one, two = (
        sorted(re.findall(r"'(\w+)'", PUBLISHED[name].partition("normal_concat")[0]))
        for name in ("DARTS_V1", "DARTS_V2")
    )
    one.remove("skip_connect")
    assert sorted([*one, "dil_conv_3x3"]) == two
    assert 3_349_342 - 6 * sum(9 * c + c * c + 2 * c for c in (36, 72, 144)) == 3_169_414


@pytest.mark.parametrize("preset", [None, "s1", "s2", "s3", "s4"])
def test_what_is_drawn_survives_encoding(preset):
    space = darts(**({"preset": preset} if preset else {}))
    drawn = space.sample(40, torch.Generator().manual_seed(0))
    assert drawn == space.sample(40, torch.Generator().manual_seed(0))
    for cell in drawn:
        assert space.decode(space.encode(cell)) == cell
        assert all(o == -1 or o in own for o, own in zip(cell, space.present, strict=True))
    assert {space.operations[o] for c in drawn for o in c if o != -1} == {
        o for o in space.operations if o != "none"
    }
    edges = {row for cell in drawn for row, o in enumerate(cell) if o != -1}
    assert edges == set(range(28))


def test_the_named_subsets():
    assert darts(preset="s2").operations == ("skip_connect", "sep_conv_3x3")
    assert set(darts(preset="s3").operations) == {"none", "skip_connect", "sep_conv_3x3"}
    assert set(darts(preset="s4").operations) == {"noise", "sep_conv_3x3"}
    s1 = darts(preset="s1")
    assert len(S1) == 28 and all(len(set(own)) == 2 for own in S1)
    assert [len(own) for own in s1.candidates()] == [2] * 28
    names = [tuple(s1.operations[o] for o in own) for own in s1.candidates()]
    assert [set(own) for own in names] == [set(own) for own in S1]
    assert darts().candidates() is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a genotype"),
        ("DARTS_V9", "known: DARTS_V1, DARTS_V2"),
        ("|none~0|+|none~0|none~1|", "not a genotype"),
        ("print(1)", "not of the form"),
        ("__import__('os').system('x')", "not of the form"),
        ("Genotype(normal=[])", "a Genotype has normal"),
        ("Genotype(" + "(" * 3000, "not a genotype"),
        ("x" * 5000, "no published"),
        ("(" * 5000, "5000 characters"),
        (V2.replace("[2, 3, 4, 5]", "[2, 3, 4]", 1), "normal_concat: every node"),
        (V2.replace("[2, 3, 4, 5]", "range(2, 10**9)", 1), "not a list"),
        (V2.replace("[2, 3, 4, 5]", "open('x')", 1), "not a list"),
        (V2.replace("('sep_conv_3x3', 0), ", "", 1), "needs 8 operations, has 7"),
        (V2.replace("sep_conv_3x3", "none", 1), "unknown operation 'none'"),
        (V2.replace("sep_conv_3x3", "sep_conv_7x7", 1), "known: max_pool_3x3"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2)", 1), "node 2 cannot read node 2"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 1)", 1), "reads node 1 twice"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', '0')", 1), r"list of \(operation"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', True)", 1), r"list of \(operation"),
        (V2.replace("('sep_conv_3x3', 0)", "open('x')", 1), "not a list"),
    ],
)
def test_malformed_genotypes_say_what_is_wrong(text, says):
    with pytest.raises(ValueError, match=says):
        darts().decode(text)


def test_an_operation_outside_the_subset_is_refused():
    with pytest.raises(ValueError, match="unknown operation 'dil_conv_3x3'; known: skip_connect"):
        darts(preset="s2").decode("DARTS_V2")
    with pytest.raises(ValueError, match="node 2 keeps 2 edges, not 1"):
        darts().encode((-1, 4, *darts().decode("DARTS_V2")[2:]))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"operations": ["none", "skip_conect"]}, "did you mean 'skip_connect'"),
        ({"operations": ["skip_connect", "skip_connect"]}, "there twice"),
        ({"per_edge": [["skip_connect"]]}, "28 edges with 4 nodes, not 1"),
        ({"per_edge": [["none"]] * 28}, "edge 0 has no operation to choose"),
        ({"operations": ["none", "skip_connect"], "per_edge": [["max_pool_3x3"]] * 28}, "not in"),
        ({"layers": 2}, "greater than or equal to 3"),
    ],
)
def test_what_is_no_space_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        darts(**fields)


def test_permuted_nodes_are_one_class_and_nothing_else_is():
    space = darts(nodes=3, operations=["skip_connect", "sep_conv_3x3"])
    edges = genotypes.edges(3)

    def cell(*nodes):  # for every node its two (input, operation)
        rows = [-1] * 9
        for target, inputs in enumerate(nodes, start=2):
            for source, operation in inputs:
                rows[edges.index((source, target))] = operation
        return tuple(rows)

    rest = cell([(0, 0), (1, 0)], [(0, 0), (1, 0)], [(0, 0), (1, 0)])
    a = cell([(0, 0), (1, 1)], [(0, 1), (1, 1)], [(2, 0), (1, 0)])
    b = cell([(0, 1), (1, 1)], [(0, 0), (1, 1)], [(3, 0), (1, 0)])  # nodes 2 and 3 exchanged
    other = cell([(0, 1), (1, 1)], [(0, 0), (1, 1)], [(2, 0), (1, 0)])
    assert space.canonical(a + rest) == space.canonical(b + rest)
    assert space.canonical(a + rest) != space.canonical(other + rest)
    assert space.canonical(rest + a) == space.canonical(rest + b) != space.canonical(a + rest)


def test_canonical_forms_count_the_classes_of_a_small_space():
    # Two nodes, one operation: node 2 reads 0, 1; node 3 reads two of 0, 1, 2: three cells, none
    # the same as another, as a permutation would let node 2 read node 3.
    rest = (0, 0, 0, 0, -1)
    found = [(0, 0, *rows) for rows in ((0, 0, -1), (0, -1, 0), (-1, 0, 0))]
    assert len({genotypes.canonical(rest + cell, 2) for cell in found}) == 3
    # With two operations on nodes that both read the inputs, the order of the nodes is forgotten.
    cells = [(a, b, c, d, -1) for a, b, c, d in itertools.product(range(2), repeat=4)]
    assert len({genotypes.canonical(rest + cell, 2) for cell in cells}) == 10  # of 16: 4·5/2


def test_discretising_takes_two_edges_by_their_best_operation_but_none():
    space = darts(nodes=2, operations=["none", "skip_connect", "sep_conv_3x3"])
    strength = torch.tensor(
        [
            [0.9, 0.05, 0.05],
            [0.1, 0.2, 0.7],  # node 2: the first of equals, then the best
            [0.9, 0.06, 0.04],
            [0.2, 0.5, 0.3],
            [0.98, 0.01, 0.01],  # node 3: `none` weighs nothing
            [0.3, 0.3, 0.4],
            [0.3, 0.4, 0.3],
            [0.2, 0.4, 0.4],
            [0.2, 0.4, 0.4],
            [0.2, 0.4, 0.4],  # equals: the first two
        ]
    )
    assert space.discretise(strength) == (1, 2, 1, 1, -1, 2, 1, 1, 1, -1)


def test_edges_of_s1_never_get_what_they_do_not_have():
    s1 = darts(preset="s1")
    cell = s1.discretise(torch.zeros(28, 6))
    assert all(o == -1 or o in own for o, own in zip(cell, s1.present, strict=True))


def test_the_space_cannot_be_enumerated_and_its_populations_are_drawn():
    from bench.ranking.population import Population

    space = darts(preset="s2")
    for ask in (space.unique, space.architectures):
        with pytest.raises(ValueError, match="too large"):
            ask()
    cells = Population(size=50).draw(space).cells
    assert len({space.canonical(cell) for cell in cells}) == 50
    assert cells == Population(size=50).draw(space).cells
    for refused in ({"size": None}, {"kind": "top"}, {"kind": "stratified"}):
        with pytest.raises(ValueError, match="too many"):
            Population(**refused).draw(space)
    with pytest.raises(ValueError, match="only 1 cells"):
        Population(size=2).draw(darts(operations=["none", "skip_connect"], nodes=1))


def test_names_of_edges_and_kinds_of_cells():
    space = darts(nodes=2)
    assert space.edge_names[:3] == ["normal 0 → 2", "normal 1 → 2", "normal 0 → 3"]
    assert space.edge_names[5] == "reduce 0 → 2" and len(space.edge_names) == len(space.edges) == 10
    assert space.edges[0] == (0, 2) and space.edges[5] == (4, 6)
    assert space.parts == {"normal": range(5), "reduce": range(5, 10)}
