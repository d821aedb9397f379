from pathlib import Path

import pytest
import yaml

from loadtests.bench.proxies import Address, Nginx, Router

UPSTREAM = [Address("127.0.0.1", 9000), Address("127.0.0.2", 9000)]


def test_the_load_asks_for_the_last_of_many_routes(tmp_path: Path) -> None:
    launch = Router("asgi", routes=3).prepare(tmp_path, UPSTREAM)
    config = yaml.safe_load((tmp_path / "router.yaml").read_text())
    assert config["server"]["door"] == "asgi"
    assert [route["match"][0]["model"] for route in config["routes"]] == [
        "bench-0",
        "bench-1",
        "bench-2",
    ]
    assert launch.model == "bench-2"


def test_many_endpoints_are_addresses_of_one_upstream(tmp_path: Path) -> None:
    Router("native", endpoints=2).prepare(tmp_path, UPSTREAM)
    route = yaml.safe_load((tmp_path / "router.yaml").read_text())["routes"][0]
    assert route["versions"]["v1"]["endpoints"] == [
        "http://127.0.0.1:9000",
        "http://127.0.0.2:9000",
    ]
    assert route["initialWeights"] == {"v1": 95, "v2": 5}


@pytest.mark.parametrize("value", ["native", "asgi"])
def test_a_name_tells_the_door(value: str) -> None:
    assert Router(value).name == value
    assert Router(value, routes=10).name == f"{value} 10 routes"


def test_nginx_shares_out_95_to_5_and_writes_only_into_its_folder(tmp_path: Path) -> None:
    launch = Nginx().prepare(tmp_path, UPSTREAM)
    config = (tmp_path / "nginx.conf").read_text()
    assert "{ 95% v1; * v2; }" in config
    assert config.count("server 127.0.0.1:9000;") == 2
    assert f"listen 127.0.0.1:{launch.address.port} " in config
    written = [line.split()[1] for line in config.splitlines() if "_path" in line or "pid" in line]
    assert len(written) == 6
    assert all(path.startswith(str(tmp_path)) for path in written)
