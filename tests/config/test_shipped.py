"""What comes with hwsim: architectures, sweeps, workloads, templates, and the schemas that describe them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from config_problems import problems_of

from hwsim.config import (
    ARCHITECTURE,
    SWEEP,
    WORKLOAD,
    ArchSpec,
    SpecKind,
    expand,
    json_schema,
    load_arch,
    load_sweep,
    load_workload_spec,
    template,
)
from hwsim.config.places import leaf_paths
from hwsim.config.shipped import WORKLOAD_FILE
from hwsim.config.yaml_source import parse_document, read_document
from hwsim.errors import ConfigError

KINDS: tuple[SpecKind, ...] = get_args(SpecKind)


@pytest.mark.parametrize("name", ARCHITECTURE.shipped())
def test_shipped_architectures_load_by_name_and_by_path(name: str) -> None:
    path = ARCHITECTURE.shipped()[name]
    assert load_arch(name) == load_arch(path)
    assert load_arch(name).name == name
    jsonschema.validate(read_document(path).data, json_schema("arch"))


@pytest.mark.parametrize("name", SWEEP.shipped())
def test_shipped_sweeps_load(name: str) -> None:
    loaded = load_sweep(name)
    assert expand(loaded.spec)
    jsonschema.validate(read_document(loaded.path).data, json_schema("sweep"))


@pytest.mark.parametrize("name", WORKLOAD.shipped())
def test_shipped_workloads_load(name: str) -> None:
    assert load_workload_spec(name).name == name
    data = read_document(WORKLOAD.shipped()[name] / WORKLOAD_FILE).data
    jsonschema.validate(data, json_schema("workload"))


@pytest.mark.parametrize("name", SWEEP.shipped())
def test_a_shipped_sweep_has_as_many_points_as_its_comment_says(name: str) -> None:
    said = re.search(r"= (\d+) points\.", SWEEP.shipped()[name].read_text(encoding="utf-8"))
    assert said is not None
    assert len(expand(load_sweep(name).spec)) == int(said[1])


@pytest.mark.parametrize("text", [ARCHITECTURE.shipped()["edge16"].read_text(encoding="utf-8"), template("arch")])
def test_edge16_and_the_template_explain_and_set_every_key(text: str) -> None:
    assert set(_leaves(parse_document(text, "edge16").data)) == set(leaf_paths(ArchSpec))


def test_the_templates_load(here: Path) -> None:
    for kind, load in (("arch", load_arch), ("sweep", load_sweep), ("workload", load_workload_spec)):
        (here / f"{kind}.yaml").write_text(template(kind), encoding="utf-8")
        assert load(f"{kind}.yaml").__class__.__name__ in ("ArchSpec", "LoadedSweep", "WorkloadSpec")
        jsonschema.validate(parse_document(template(kind), kind).data, json_schema(kind))


def _leaves(data: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_schema_is_described(kind: SpecKind) -> None:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    for model in (schema, *schema["$defs"].values()) if "$defs" in schema else (schema,):
        for name, key in model["properties"].items():
            assert key.get("description"), f"{model['title']}.{name}"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("arch", {"schema_version": 1, "array": {"row": 3}}),
        ("arch", {"schema_version": 2}),
        ("sweep", {"schema_version": 1, "architecture": "a", "workloads": ["b"], "axes": [{"array.row": [1]}]}),
        ("sweep", {"schema_version": 1, "architecture": "a", "workloads": ["b"], "axes": [{"zip": [1]}]}),
        ("sweep", {"schema_version": 1, "architecture": "a", "workloads": [{"workload": "b", "input": "x.npy"}]}),
        ("workload", {"schema_version": 1, "arrays": "a", "input_shape": [1], "layers": []}),
    ],
)
def test_the_schemas_refuse_what_loading_refuses(kind: SpecKind, data: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema(kind))


def test_the_schema_of_sweeps_takes_names_and_workloads_with_samples() -> None:
    workloads = ["digits_mlp", {"workload": "net.tflite", "inputs": "x.npy", "labels": "y.npy"}]
    data = {"schema_version": 1, "architecture": "edge16", "workloads": workloads}
    jsonschema.validate(data, json_schema("sweep"))


def test_the_schema_has_the_defaults() -> None:
    rows = json_schema("arch")["$defs"]["ArraySpec"]["properties"]["rows"]
    assert (rows["default"], rows["minimum"], rows["maximum"]) == (16, 1, 1024)


def test_an_unknown_architecture_is_answered_with_the_shipped_ones() -> None:
    assert problems_of(load_arch, "edge61") == [
        "no architecture 'edge61': neither a path nor a shipped name; shipped: datacenter64, edge16, edge8_ws; "
        "did you mean 'edge16'?"
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("chips/edge16.yaml", "chips/edge16.yaml: no such file or folder"),
        ("edge16.yaml", "edge16.yaml: no such file or folder"),
        ("x" * 300, f"no architecture '{'x' * 40}'…: neither a path nor a shipped name"),
        ("a\0b", "no architecture 'a\\x00b': neither a path nor a shipped name"),
        (".", ".: a folder, not a file"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_line(here: Path, name: str, problem: str) -> None:
    (line,) = problems_of(load_arch, name)
    assert line.startswith(f"{problem}; shipped: datacenter64, edge16, edge8_ws")


def test_a_folder_without_a_workload_is_refused(here: Path) -> None:
    (line,) = problems_of(load_workload_spec, str(here))
    assert line.startswith(f"{here}: a folder without workload.yaml; shipped: ")


def test_a_file_comes_before_a_shipped_name_and_an_unrelated_folder_does_not(here: Path) -> None:
    (here / "edge8_ws").mkdir()
    (here / "digits_mlp").mkdir()
    (here / "edge16").write_text("schema_version: 1\nname: mine\n")
    assert load_arch("edge16").name == "mine"
    assert load_arch("edge8_ws").name == "edge8_ws"
    assert load_workload_spec("digits_mlp").name == "digits_mlp"


def test_an_error_of_a_configuration_file_has_exit_code_2() -> None:
    assert ConfigError("x").exit_code == 2
