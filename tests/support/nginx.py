"""A real nginx with the very file of `deploy/`, its ports, files and folders replaced by the test's own."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.children import ending
from tests.support.postgres import absent
from tests.support.window import wait_until

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "front-tls.conf"


def free_port() -> int:
    """One that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, authority: Authority, port: int, *upstreams: int) -> Iterator[str]:
    """It listens with TLS on `port` of loopback and asks `upstreams`, one or two; its base URL. Skips the test where there is none."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        absent("nginx (nginx-light)")
    issued = authority.issue("front")
    replaced = {
        "/run/tellergate-front.pid": f"{folder}/nginx.pid",
        "/etc/tellergate/front.pem": str(issued.certificate),
        "/etc/tellergate/front.key": str(issued.key),
        "/etc/tellergate/clients.pem": str(authority.file),
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server 127.0.0.1:8081;": f"server 127.0.0.1:{upstreams[0]};",
        "    server 127.0.0.1:8082;\n": "".join(f"    server 127.0.0.1:{other};\n" for other in upstreams[1:]),
    }
    text = CONFIGURATION.read_text()
    for before, after in replaced.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = re.sub(r"^http \{\n", f"http {{\n{temporary}", text, flags=re.MULTILINE)
    file = folder / "nginx.conf"
    file.write_text(f"user root;\n{text}" if folder.owner() == "root" else text)
    command = [program, "-c", str(file), "-e", str(folder / "nginx.log"), "-g", "daemon off;"]
    with subprocess.Popen(command) as process, ending(process):
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield f"https://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
