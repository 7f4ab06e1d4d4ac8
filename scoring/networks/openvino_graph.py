"""The network as an OpenVINO graph, built operation by operation from keras layers.

OpenVINO's converter is not used: importing or running it reports to Intel unless a file in the user's home says
otherwise. Here `import_openvino` makes sure that nothing is sent, and a network of plain layers needs no converter.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

# A stand-in for the module, for annotations: openvino has no types and is imported only where it is used.
OpenVino = Any
OpenVinoModel = Any


def import_openvino() -> OpenVino:
    """Import OpenVINO with its usage reporting made impossible. All code of this project imports it through here.

    A plain `import openvino` sends an event to Google Analytics if the package `openvino_telemetry` can be imported and
    the user has not opted out. With that package hidden, OpenVINO uses the silent stub that it brings along itself; no
    file is written and no environment variable has to be remembered.

    Returns:
        The module `openvino`.

    Raises:
        RuntimeError: Something else imported `openvino` with its reporting before.
    """
    if sys.modules.get("openvino_telemetry") is not None:
        raise RuntimeError("openvino_telemetry was imported before; import openvino by import_openvino() only")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def build_graph(network: Any, batch_size: int) -> OpenVinoModel:
    """Build the OpenVINO graph of a trained keras network.

    Kernels are stored in half precision, so the network's weights should have been rounded to it before
    (`scoring.networks.weights.round_to_half`); all else is stored, and everything is computed, in float32 unless the
    engine is told otherwise. Batch normalisation becomes one multiplication and one addition a channel; OpenVINO folds
    them into the convolution when it loads the graph.

    Args:
        network: A functional or sequential keras model of the layers of `_BUILDERS`, each used once.
        batch_size: Number of images that one call takes, fixed in the graph.

    Returns:
        An `openvino.Model` with input `(batch_size, side, side, 1)` and output `(batch_size, 101)`, both float32.

    Raises:
        ValueError: The network holds a layer that this builder does not know.
    """
    import_openvino()
    import openvino as ov
    import openvino.opset13 as op

    side, channels = network.input_shape[1], network.input_shape[3]
    image = op.parameter([batch_size, side, side, channels], np.float32, name="image")
    # Keras keeps channels last, OpenVINO's convolutions want them before height and width.
    node = op.transpose(image, np.array([0, 3, 1, 2]))
    # Keras lists the layers of a network so that each comes after those whose output it takes.
    nodes = {id(network.inputs[0]): node}
    for layer in network.layers:
        kind = type(layer).__name__
        if kind not in _BUILDERS:
            raise ValueError(f"layer {layer.name} is a {kind}; the OpenVINO graph knows {', '.join(sorted(_BUILDERS))}")
        if kind != "InputLayer":
            taken = layer.input if isinstance(layer.input, list) else [layer.input]
            nodes[id(layer.output)] = _BUILDERS[kind](op, layer, *(nodes[id(tensor)] for tensor in taken))
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
        raise ValueError(f"layer {layer.name}: only 3x3 convolutions with stride 1 and 'same' padding are known")
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
        raise ValueError(f"layer {layer.name}: activation {activation} is not known to the OpenVINO graph")
    return _ACTIVATIONS[activation](op, node)


def _pool(op: Any, layer: Any, node: Any) -> Any:
    if tuple(layer.pool_size) != (2, 2) or tuple(layer.strides) != (2, 2) or layer.padding != "valid":
        raise ValueError(f"layer {layer.name}: only 2x2 pooling with stride 2 is known to the OpenVINO graph")
    return op.max_pool(node, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)


def _average(op: Any, layer: Any, node: Any) -> Any:
    if tuple(layer.pool_size) != tuple(layer.strides) or layer.padding != "valid":
        raise ValueError(f"layer {layer.name}: only averages over squares side by side are known to the OpenVINO graph")
    size = list(layer.pool_size)
    return op.avg_pool(node, size, [0, 0], [0, 0], size, True)


def _mixture(op: Any, layer: Any, node: Any) -> Any:
    mixed = op.matmul(node, op.constant(layer.matrix), False, False)
    return op.minimum(mixed, op.constant(np.float32(1)))


def _continuation(op: Any, layer: Any, node: Any) -> Any:
    from scoring.networks.heads import SMALLEST_PROBABILITY

    del layer
    floored = op.maximum(node, op.constant(np.float32(SMALLEST_PROBABILITY)))
    reached = op.exp(op.cum_sum(op.log(floored), op.constant(np.int64(1))))
    n = node.get_output_shape(0)[0]
    first, last = (op.constant(np.full((n, 1), value, np.float32)) for value in (1, 0))
    return op.subtract(op.concat([first, reached], 1), op.concat([reached, last], 1))


def _flatten(op: Any, layer: Any, node: Any) -> Any:
    del layer
    channels_last = op.transpose(node, np.array([0, 2, 3, 1]))
    return op.reshape(channels_last, np.array([0, -1]), True)


def _per_channel(values: Any, rank: int) -> Any:
    """Reshape one value a channel so that it broadcasts over `(batch, channel, ...)`."""
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
    # Dropout only acts while training.
    "Dropout": lambda _op, _layer, node: node,
}
