"""Whom alerts are told: a real Alertmanager, and HTTP servers that keep what is posted to them."""

import http.server
import json
import threading
import urllib.request

from real_server import RealServer


class Receiver:
    """Keeps (headers, body) of each post and answers `status`, which may be changed."""

    def __init__(self, address="127.0.0.1:0"):
        self.posts, self.status = [], 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.status
                receiver.posts.append((dict(self.headers), body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        host, port = address.rsplit(":", 1)
        self._server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def taken(self):
        """The bodies that were answered with 200, in order."""
        return [json.loads(body) for _, body, status in list(self.posts) if status == 200]

    def told(self, kind):
        """(status, ranks) of each alert of that kind in Alertmanager's notifications, in order."""
        return [
            (alert["status"], alert["labels"].get("ranks", ""))
            for notification in self.taken()
            for alert in notification["alerts"]
            if alert["labels"]["alertname"] == kind
        ]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Alertmanager(RealServer):
    """Routes everything at once to one receiver."""

    program = "prometheus-alertmanager"
    ready = "/-/ready"

    def __init__(self, folder, receiver):
        super().__init__(folder)
        # Notifications are kept over a restart, so that what comes twice is told once.
        self._configuration = folder / "alertmanager.yml"
        self._configuration.write_text(
            json.dumps(
                {
                    "route": {
                        "receiver": "people",
                        "group_by": ["..."],
                        "group_wait": "0s",
                        "group_interval": "1s",
                        "repeat_interval": "1h",
                    },
                    "receivers": [
                        {"name": "people", "webhook_configs": [{"url": receiver.url, "send_resolved": True}]}
                    ],
                }
            )
        )
        self.url = f"http://{self.address}"
        self.start()

    def arguments(self):
        return [
            f"--config.file={self._configuration}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",  # no gossip
        ]

    def alerts(self, kind):
        """Its active alerts of that kind."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            return [alert for alert in json.load(answer) if alert["labels"]["alertname"] == kind]
