"""Publishes H.264 over RTSP with GStreamer's server: `rtsp_server.py PORT LAUNCH`, where LAUNCH is a pipeline that ends
in a payloader called pay0. Needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-{base,good,
ugly} (1.22). Prints a line once it listens."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
for element in ("x264enc", "rtph264pay"):
    if Gst.ElementFactory.find(element) is None:
        sys.exit(f"there is no {element}")
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(sys.argv[2])
factory.set_shared(True)
factory.set_latency(0)
server.get_mount_points().add_factory("/eye", factory)
if server.attach(None) == 0:
    sys.exit("the port is taken")
print("listening", flush=True)
GLib.MainLoop().run()
