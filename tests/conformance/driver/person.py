"""Who lets the gateway in where a backend wants OAuth: somebody who opens every page and says yes."""

import subprocess
import sys
import time
import urllib.error
import urllib.request

from matrix.processes import backends

METADATA_DOCUMENT = "https://conformance-test.local/client-metadata.json"
COMMAND = "switchyard connect"
TIMES = 3
# For the backend to be tried at all, and for it to come up after a connection.
FIRST_SECONDS = 20.0
NEXT_SECONDS = 6.0
OPEN_SECONDS = 5


def settings(scenario: str, context: dict) -> dict:
    """What an operator would write for the backend of a scenario."""
    auth = {"client_metadata_url": METADATA_DOCUMENT}
    for theirs, ours in (("client_id", "client_id"), ("client_secret", "client_secret"),
                         ("private_key_pem", "private_key"), ("signing_algorithm", "algorithm")):
        if theirs in context:
            auth[ours] = context[theirs]
    if scenario.startswith("auth/client-credentials"):
        del auth["client_metadata_url"]
        auth["grant"] = "client_credentials"
    return auth


class Person:
    def __init__(self, gateway: list, admin: int):
        self.command = [str(word) for word in gateway]
        self.admin = admin
        self.times = 0

    def reach(self) -> bool:
        """Whether the backend is ready, after connecting as often as it takes."""
        while not self.ready():
            if not self.is_wanted() or not self.connect():
                return False
        return True

    def is_wanted(self) -> bool:
        return COMMAND in (self.mock().get("last_error") or "")

    def ready(self) -> bool:
        deadline = time.monotonic() + (NEXT_SECONDS if self.times else FIRST_SECONDS)
        while time.monotonic() < deadline:
            # The catalog follows a moment after the state; every mock that wants OAuth has a tool.
            mock = self.mock()
            if mock.get("state") == "ready" and mock["tools"]:
                return True
            # After a connection this is still said until the gateway notices.
            if self.is_wanted() and not self.times:
                return False
            time.sleep(0.05)
        return False

    def mock(self) -> dict:
        return backends(self.admin).get("mock", {})

    def connect(self) -> bool:
        """Runs the command, opens the page it names, and says whether it was content."""
        self.times += 1
        if self.times > TIMES:
            return False
        command = [self.command[0], "connect", "mock", "--no-browser", *self.command[2:]]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as child:
            if page := child.stdout.readline().strip():
                try:
                    # The mock says yes at once and sends the browser back to the command.
                    urllib.request.urlopen(page, timeout=OPEN_SECONDS).close()
                except (urllib.error.URLError, OSError) as error:
                    print(f"the page: {error}", file=sys.stderr)
                    child.terminate()
            return child.wait() == 0
