"""Every place that reads a file is listed with the test that forges what it reads."""

import ast
from pathlib import Path

import bench

PACKAGE = Path(bench.__file__).parent
TESTS = Path(__file__).parent
READERS = {
    "open_regular",
    "read_bytes",
    "read_json",
    "read_own",
    "open_own",
    "read_regular",
    "read_scores",
    "read_sealed",
    "read_table",
    "read_text",
    "read_training",
}
"""Functions of the package that return what stands in a file."""
ALSO = {("files", "read"), ("checkpoint", "load"), ("_cache", "load")}
"""The same, by the module that they are called on."""

WRAPPED = "returns what it read to a reader of this list"
SHIPPED = "a file of the package itself, or of one that it needs"
SYSTEM = "what the system says of itself"
BYTES = "bytes alone, to be hashed or copied"
FORGED = {
    "ablation/yamlfile.py": "ablation/test_malformed.py::test_hundreds_of_malformed_files",
    "commands/pack.py": BYTES,
    "contracts/identity.py": BYTES,
    "data/_cache.py": "data/test_image_cache.py::test_a_forged_head_of_what_is_kept_is_made_again",
    "data/_decode.py": "data/test_image_folder.py::test_what_is_no_sound_image_is_named_in_one_line",
    "data/_digits.py": SHIPPED,
    "data/image_folder.py": "data/test_image_cache.py::"
    "test_pixels_of_another_form_are_decoded_again_though_their_checksum_is_right",
    "executors/slurm.py": "executors/test_forged_names.py::test_a_forged_job_is_none_of_ours_to_cancel",
    "files.py": WRAPPED,
    "gate/baseline.py": "gate/test_forged.py::"
    "test_every_field_of_a_forged_baseline_is_refused_or_works",
    "gate/speed.py": "gate/test_check.py::test_a_speed_file_that_is_none_is_said",
    "kernels/__init__.py": "kernels/test_load.py::"
    "test_a_library_that_lacks_a_function_is_no_kernel_and_says_why",
    "ownership.py": WRAPPED,
    "papers/__init__.py": SHIPPED,
    "papers/logs.py": "papers/test_logs.py::test_damaged_logs_are_named",
    "ranking/listed.py": "outside/test_scores.py::"
    "test_a_bad_file_is_a_line_with_file_line_and_column",
    "ranking/population.py": "ranking/test_population.py::test_a_users_list",
    "ranking/scores.py": "runs/test_forged_packed.py::test_forged_scores_say_file_and_column",
    "report/page.py": SHIPPED,
    "report/recount.py": "runs/test_forged_packed.py::"
    "test_scores_that_cannot_be_ranked_are_a_line_of_verify",
    "report/summary.py": "runs/test_forged_packed.py::test_a_forged_value_is_one_line_or_works",
    "runs/checkpoint.py": "runs/test_restore.py::test_no_checkpoint_that_does_not_fit_is_used",
    "runs/index.py": "runs/test_forged.py::test_a_forged_value_is_one_line_or_works",
    "runs/lock.py": "runs/test_forged.py::test_a_forged_lock_is_nobodys",
    "runs/manifest.py": "runs/test_forged.py::"
    "test_a_manifest_of_other_types_is_refused_and_says_where",
    "runs/packed.py": "runs/test_forged_packed.py::"
    "test_a_packed_result_of_other_types_is_damaged_and_says_where",
    "runs/provenance.py": SYSTEM,
    "runs/reopen.py": "runs/test_restore.py::test_no_checkpoint_that_does_not_fit_is_used",
    "runs/run.py": "runs/test_restore.py::test_a_run_sets_aside_what_does_not_fit_and_starts_again",
    "runs/sources.py": SHIPPED,
    "runs/store.py": "runs/test_forged.py::test_a_result_of_other_types_is_damaged_and_says_where",
    "scaffold/__init__.py": SHIPPED,
    "tables/unpickle.py": "truth/test_hostile.py::test_hostile_files_run_nothing",
    "training/tabulate.py": "training/test_forged.py::"
    "test_every_field_of_a_forged_journal_is_refused_or_works",
    "training/taken.py": "training/test_forged.py::"
    "test_every_field_of_a_forged_training_is_refused_or_works",
    "training/train.py": "training/test_forged.py::"
    "test_a_forged_checkpoint_of_a_training_is_set_aside",
    "truth/_import_worker.py": SYSTEM,
    "truth/_official_files.py": "truth/test_official_attack.py::test_every_field_of_every_type",
    "truth/_summary.py": "truth/test_hostile.py::test_corrupted",
    "truth/analog.py": "truth/test_hostile.py::"
    "test_installed_table_is_checked_against_its_packages_record",
    "truth/cluttered_digits.py": SHIPPED,
    "truth/nasbench301.py": BYTES,
    "truth/standalone.py": "training/test_forged.py::"
    "test_a_forged_training_in_the_cache_is_trained_again",
    "truth/table.py": "truth/test_hostile.py::test_corrupted",
}
"""File of the package → the test that forges what it reads, or why there is nothing to forge."""


def reads(call):
    """Say whether a call returns what stands in a file."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in READERS or function.id == "read"
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    return function.attr in READERS or (owner, function.attr) in ALSO


def readers():
    """Return the files of the package that read files, by name."""
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        taken = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "bench.files"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and reads(node):
                if (
                    isinstance(node.func, ast.Name)
                    and node.func.id == "read"
                    and "read" not in taken
                ):
                    continue
                found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_whatever_is_read_has_a_forged_case():
    found = readers()
    assert not found - set(FORGED), "reads files: add the test that forges what it reads"
    assert not set(FORGED) - found, "listed, and reads no file"


def test_the_forged_cases_are_there():
    for reader, test in FORGED.items():
        if "::" not in test:
            assert test in (WRAPPED, SHIPPED, SYSTEM, BYTES)
            continue
        name, _, function = test.partition("::")
        tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
        there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in there, f"{reader}: no {test}"


def test_the_walk_sees_what_it_should():
    source = (
        "read_json(p)\nfiles.read(p, 9)\n_cache.load(k)\nstore.read_sealed(p)\nx.read(9)\nread()"
    )
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert [reads(call) for call in calls].count(True) == 5  # `read` counts where it is imported
