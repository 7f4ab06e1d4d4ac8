"""The network as an OpenVINO graph, built operation by operation from keras layers.

OpenVINO's own converter is not used, because importing or running it reports usage to Intel unless a file in the user's
home folder forbids it. A network of plain layers needs no converter, and `import_openvino` disables all reporting.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

# For annotations: openvino has no types and is imported only inside functions.
OpenVino = Any
OpenVinoModel = Any


def import_openvino() -> OpenVino:
    """Import OpenVINO with its usage reporting disabled. All code of this project imports it through this function.

    A plain `import openvino` sends an event to Google Analytics if the package `openvino_telemetry` can be imported and
    the user has not opted out. If that package is hidden, OpenVINO uses its own silent stub. No file is written and no
    environment variable is needed.

    Returns:
        The module `openvino`.

    Raises:
        RuntimeError: Other code imported `openvino` before, with its reporting.
    """
    if sys.modules.get("openvino_telemetry") is not None:
        raise RuntimeError("openvino was imported with its usage reporting. Import it with import_openvino() only.")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def build_graph(network: Any, batch_size: int) -> OpenVinoModel:
    """Build the OpenVINO graph of a trained keras network.

    Kernels are stored in half precision, so the weights must already be rounded
    (`scoring.networks.weights.round_to_half`). Everything else is stored in float32, and all computation is in float32
    unless the engine selects another precision. Batch normalisation becomes one multiplication and one addition per
    channel, which OpenVINO folds into the convolution when it loads the graph.

    Args:
        network: A functional or sequential keras model of the layers in `_BUILDERS`, each used once.
        batch_size: Number of images per call, fixed in the graph.

    Returns:
        An `openvino.Model` with input `(batch_size, side, side, 1)` and output `(batch_size, 101)`, both float32.

    Raises:
        ValueError: The network contains a layer that this builder does not support.
    """
    import_openvino()
    import openvino as ov
    import openvino.opset13 as op

    side, channels = network.input_shape[1], network.input_shape[3]
    image = op.parameter([batch_size, side, side, channels], np.float32, name="image")
    # Keras has the channels last; the convolutions of OpenVINO need them before height and width.
    node = op.transpose(image, np.array([0, 3, 1, 2]))
    # Keras lists each layer after those that provide its inputs.
    nodes = {id(network.inputs[0]): node}
    for layer in network.layers:
        kind = type(layer).__name__
        if kind not in _BUILDERS:
            supported = ", ".join(sorted(_BUILDERS))
            raise ValueError(f"Layer {layer.name} is a {kind}; the OpenVINO graph supports {supported}.")
        if kind != "InputLayer":
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            nodes[id(layer.output)] = _BUILDERS[kind](op, layer, *(nodes[id(tensor)] for tensor in inputs))
    result = op.result(nodes[id(network.outputs[0])], name="cdf")
    model = ov.Model([result], [image], network.name)
    model.inputs[0].set_names({"image"})
    model.outputs[0].set_names({"cdf"})
    return model


def _kernel(op: Any, values: Any) -> Any:
    return op.convert(op.constant(np.ascontiguousarray(values, dtype=np.float16)), "f32")


def _conv(op: Any, layer: Any, node: Any) -> Any:
    kernel = np.transpose(np.asarray(layer.kernel), (3, 2, 0, 1))
    if layer.padding != "same" or tuple(layer.kernel_size) != (3, 3) or tuple(layer.strides) != (1, 1):
        raise ValueError(f"Layer {layer.name}: only 3x3 convolutions with stride 1 and 'same' padding are supported.")
    node = op.convolution(node, _kernel(op, kernel), [1, 1], [1, 1], [1, 1], [1, 1])
    return op.add(node, op.constant(_per_channel(layer.bias, 4)))


def _norm(op: Any, layer: Any, node: Any) -> Any:
    rank = len(node.get_output_shape(0))
    scale = np.asarray(layer.gamma) / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    shift = np.asarray(layer.beta) - np.asarray(layer.moving_mean) * scale
    node = op.multiply(node, op.constant(_per_channel(scale, rank)))
    return op.add(node, op.constant(_per_channel(shift, rank)))


def _dense(op: Any, layer: Any, node: Any) -> Any:
    node = op.matmul(node, _kernel(op, layer.kernel), False, False)
    node = op.add(node, op.constant(_per_channel(layer.bias, 2)))
    activation = layer.activation.__name__
    if activation not in _ACTIVATIONS:
        raise ValueError(f"Layer {layer.name}: the OpenVINO graph does not support the activation {activation}.")
    return _ACTIVATIONS[activation](op, node)


def _pool(op: Any, layer: Any, node: Any) -> Any:
    if tuple(layer.pool_size) != (2, 2) or tuple(layer.strides) != (2, 2) or layer.padding != "valid":
        raise ValueError(f"Layer {layer.name}: the OpenVINO graph supports only 2x2 pooling with stride 2.")
    return op.max_pool(node, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)


def _average(op: Any, layer: Any, node: Any) -> Any:
    if tuple(layer.pool_size) != tuple(layer.strides) or layer.padding != "valid":
        raise ValueError(f"Layer {layer.name}: the OpenVINO graph supports only averages over adjacent squares.")
    size = list(layer.pool_size)
    return op.avg_pool(node, size, [0, 0], [0, 0], size, True)


def _mixture(op: Any, layer: Any, node: Any) -> Any:
    mixed = op.matmul(node, op.constant(layer.matrix), False, False)
    return op.minimum(mixed, op.constant(np.float32(1)))


def _continuation(op: Any, _layer: Any, node: Any) -> Any:
    from scoring.networks.heads import SMALLEST_PROBABILITY

    floored = op.maximum(node, op.constant(np.float32(SMALLEST_PROBABILITY)))
    exceeded = op.exp(op.cum_sum(op.log(floored), op.constant(np.int64(1))))
    n = node.get_output_shape(0)[0]
    first, last = (op.constant(np.full((n, 1), value, np.float32)) for value in (1, 0))
    return op.subtract(op.concat([first, exceeded], 1), op.concat([exceeded, last], 1))


def _flatten(op: Any, _layer: Any, node: Any) -> Any:
    channels_last = op.transpose(node, np.array([0, 2, 3, 1]))
    return op.reshape(channels_last, np.array([0, -1]), True)


def _per_channel(values: Any, rank: int) -> Any:
    """Reshape one value per channel so that it broadcasts over `(batch, channel, ...)`."""
    return np.asarray(values, dtype=np.float32).reshape((1, -1) + (1,) * (rank - 2))


_ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "linear": lambda _op, node: node,
    "sigmoid": lambda op, node: op.sigmoid(node),
    "softmax": lambda op, node: op.softmax(node, -1),
}

_BUILDERS: dict[str, Callable[..., Any]] = {
    "InputLayer": lambda _op, _layer, node: node,
    "Add": lambda op, _layer, first, second: op.add(first, second),
    "AveragePooling2D": _average,
    "GlobalAveragePooling2D": lambda op, _layer, node: op.reduce_mean(node, np.array([2, 3]), False),
    "Continuation": _continuation,
    "Mixture": _mixture,
    "Conv2D": _conv,
    "BatchNormalization": _norm,
    "ReLU": lambda op, _layer, node: op.relu(node),
    "MaxPooling2D": _pool,
    "Flatten": _flatten,
    "Dense": _dense,
    "Identity": lambda _op, _layer, node: node,
    # Dropout acts only in training.
    "Dropout": lambda _op, _layer, node: node,
}
