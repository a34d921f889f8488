"""A generator or a decoder as an ONNX file, for programs without PyTorch: (z, condition) -> images."""

import copy
import json
from pathlib import Path

import torch

from prodgen import __version__
from prodgen.errors import ModelError
from prodgen.files import write_whole
from prodgen.models.gan import Generator
from prodgen.models.sampling import sample
from prodgen.models.vae import VAE

TOLERANCE = 1e-4  # of a pixel in [-1, 1]: an eightieth of a byte's step
NOTICE = "Images drawn by this model are generated: they are no photos and show no real product."


def save_onnx(path: str | Path, model: Generator | VAE, **metadata: str) -> float:
    """Write (z, condition) -> images to an ONNX file, whole or not at all.

    In the file: z float32 (N, latent_dim), to be drawn from N(0, I); for a model with a condition, condition
    float32 (N, width); images float32 (N, C, H, W) in [-1, 1], of a VAE the decoder's means. N is free.
    Beside `metadata` it carries `notice`, `prodgen` (the version) and, for a model with a condition,
    `condition`: the factors as JSON, in the order of their places in the vector, which `Factor` explains.

    Returns the largest difference of a pixel between the file, run by onnxruntime, and the model.
    Raises ModelError where it exceeds TOLERANCE, and without the extra `export`; then nothing is written.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch.onnx translates with it
    except ImportError as error:
        raise ModelError(
            f"To write ONNX files {error.name} is needed and not installed: pip install 'prodgen[export]'."
        ) from None
    model = copy.deepcopy(model).cpu().eval()
    inputs = {"z": torch.zeros(2, model.latent_dim)}  # of a single one, N = 1 would be taken for fixed
    about = metadata | {"notice": NOTICE, "prodgen": __version__}
    if model.condition:
        inputs["condition"] = model.condition.in_turn(2)
        about["condition"] = json.dumps(model.condition.to_json(), ensure_ascii=False)
    free = {name: {0: torch.export.Dim("N")} for name in inputs}
    with torch.no_grad():
        graph = torch.export.export(model, (), inputs, dynamic_shapes=free, strict=True)
        program = torch.onnx.export(
            graph, input_names=list(inputs), output_names=["images"], dynamo=True, verbose=False
        )
    file = program.model_proto
    ends = *file.graph.input, *file.graph.output
    for part in (file.graph, *file.graph.node, *file.graph.initializer, *ends):
        part.ClearField("metadata_props")  # among them stack traces, with paths of this machine
    for value in ends:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del file.graph.value_info[:]  # the shapes in between, which call N otherwise
    file.producer_name, file.producer_version, file.doc_string = "prodgen", __version__, NOTICE
    onnx.helper.set_model_props(file, about)
    content = file.SerializeToString()

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    asked = {"z": torch.randn(5, model.latent_dim, generator=torch.Generator().manual_seed(0)).numpy()}
    if model.condition:
        asked["condition"] = model.condition.in_turn(5).numpy()
    [drawn] = session.run(None, asked)
    difference = (torch.from_numpy(drawn) - sample(model, 5, seed=0)).abs().max().item()
    if not difference <= TOLERANCE:  # not a number, either
        raise ModelError(f"The ONNX file would draw pixels that differ by {difference:g}; it is not written.")
    with write_whole(path) as opened:
        opened.write(content)
    return difference
