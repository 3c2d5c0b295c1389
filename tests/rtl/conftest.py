import pytest

from hwsim.rtl.build import installed_simulators


@pytest.fixture(scope="session")
def icarus():
    if "icarus" not in installed_simulators():
        pytest.skip("Icarus Verilog is not installed (apt install iverilog)")
    return "icarus"


@pytest.fixture(scope="session")
def verilator():
    if "verilator" not in installed_simulators():
        pytest.skip("Verilator is not installed (apt install verilator)")
    return "verilator"


@pytest.fixture(autouse=True, scope="session")
def builds_of_this_session(tmp_path_factory):
    """Build from the sources as they are, in a cache that goes with the session."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
