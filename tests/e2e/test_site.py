"""What the rig promises to the tests that install the adapter."""

from __future__ import annotations

import textwrap

from rig.processes import wait_until

from e2e.rig.site import MONITORING, Site

_NAME = "looker"
_OBJECTS = f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {_NAME}, namespace: {MONITORING}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {_NAME}, namespace: {MONITORING}}}
data: {{config.yaml: "{{}}"}}
---
apiVersion: v1
kind: Service
metadata: {{name: {_NAME}, namespace: {MONITORING}}}
spec: {{selector: {{app: {_NAME}}}, ports: [{{port: 443, targetPort: https}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {_NAME}, namespace: {MONITORING}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {_NAME}}}}}
  template:
    metadata: {{labels: {{app: {_NAME}}}}}
    spec:
      serviceAccountName: {_NAME}
      securityContext: {{fsGroup: 10001}}
      containers:
      - name: main
        image: example.invalid/tidegauge:1
        command: [/usr/bin/python3, -c, "$(SCRIPT)"]
        env:
        - name: SCRIPT
          value: |
SCRIPT
        ports: [{{containerPort: 8000, name: https}}]
        readinessProbe: {{httpGet: {{path: /, port: https}}}}
        securityContext: {{runAsUser: 10001, readOnlyRootFilesystem: true}}
        volumeMounts: [{{name: config, mountPath: /etc/adapter}}, {{name: tmp, mountPath: /tmp}}]
      volumes: [{{name: config, configMap: {{name: {_NAME}}}}}, {{name: tmp, emptyDir: {{}}}}]
"""
# Tells what a container sees, over HTTP.
_SCRIPT = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        def refused(path):
            try:
                pathlib.Path(path).write_text("x")
            except OSError as error:
                return type(error).__name__ + " " + os.strerror(error.errno)
            return "written"
        account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
        lines = [str(os.getuid()), str(os.getgroups()), pathlib.Path("/etc/adapter/config.yaml").read_text(),
                 refused("/x"), refused("/etc/adapter/x"), refused("/tmp/x"), (account / "namespace").read_text(),
                 str(len((account / "token").read_text()) > 100), str("CERTIFICATE" in (account / "ca.crt").read_text())]
        body = "|".join(lines).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""


def test_a_pod_is_a_container_with_its_volumes(site: Site) -> None:
    """A pod's process is an ordinary user, can write its emptyDir only, sees its ConfigMap's newest form, and has a token."""
    text = _OBJECTS.replace("\nSCRIPT\n", "\n" + textwrap.indent(_SCRIPT.strip(), " " * 12) + "\n")
    proxy = f"/api/v1/namespaces/{MONITORING}/services/http:{_NAME}:443/proxy/"
    site.apply(text)
    try:
        site.wait_rolled_out(_NAME, MONITORING)
        seen = site.api.get(proxy).text.split("|")
        site.cluster.patch("ConfigMap", _NAME, MONITORING, {"data": {"config.yaml": "rules: []"}})
        followed = wait_until(
            "the new ConfigMap", lambda: "|rules: []|" in site.api.get(proxy).text, timeout_seconds=20
        )
    finally:
        site.delete(text)

    assert seen[:3] == ["10001", "[10001]", "{}"]
    assert seen[3:6] == ["OSError Read-only file system", "OSError Read-only file system", "written"]
    assert seen[6:] == [MONITORING, "True", "True"]
    assert followed
