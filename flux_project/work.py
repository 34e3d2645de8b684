"""The process that does the jobs, beside the web servers.

Invariant: it ends with its parent, and within the supervisor's patience of a SIGTERM.
"""

import argparse
import os

from flux_project import database, job_worker, lean, processes


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ready", type=int, required=True)
    arguments.add_argument("--parent", type=int, required=True)
    given = arguments.parse_args()
    processes.die_with_parent(given.parent)
    lean.choose_settings()
    lean.set_up()
    database.bound_django()
    job_worker.JobWorker(ready=lambda: _say(given.ready)).run()


def _say(ready: int) -> None:
    os.write(ready, b"\n")
    os.close(ready)


if __name__ == "__main__":
    main()
