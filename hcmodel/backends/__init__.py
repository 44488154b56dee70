"""What runs the networks."""

import os

# Official builds of ONNX Runtime tell their maker of each start and model, unless this is set
# before they are loaded; nothing may leave a hospital unasked.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
