"""The head with its BiLSTM in 8-bit integers, which a CPU runs in half the time: for the CPU engine alone."""

import numpy as np

#: Greatest weight in steps. 7 bits: processors without VNNI add pairs of products in 16 bits, which 8 bits would overflow.
STEPS = 63


def write_int8_head(source, target, limit):
    """Rewrites the graph at `source`: onnxruntime's DynamicQuantizeLSTM in the place of the LSTM.

    Its inputs are scaled by the greatest of the whole batch, so they are clipped to ±limit first: no caller's outlier coarsens
    another's steps by more than that. Needs the package `onnx`.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    at, lstm = next((i, node) for i, node in enumerate(graph.node) if node.op_type == "LSTM")
    names = list(lstm.input) + [""] * (8 - len(lstm.input))
    made = [numpy_helper.from_array(np.float32(value), f"lstm_{name}") for name, value in (("least", -limit), ("most", limit))]
    scales = []
    for name in names[1:3]:
        steps, scale = quantized(values[name])
        # The operator wants [directions, inputs, gates].
        made += [numpy_helper.from_array(np.ascontiguousarray(steps.transpose(0, 2, 1)), f"{name}_int8")]
        made += [numpy_helper.from_array(scale, f"{name}_scale"), numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{name}_zero")]
        scales += [f"{name}_scale", f"{name}_zero"]
    clip = helper.make_node("Clip", [names[0], "lstm_least", "lstm_most"], ["lstm_clipped"], "/lstm/Clip")
    # Without what it begins with, which is zeros: they would be made anew, by five nodes, for each batch.
    inputs = ["lstm_clipped", f"{names[1]}_int8", f"{names[2]}_int8", *names[3:5], "", "", names[7], *scales]
    node = helper.make_node("DynamicQuantizeLSTM", inputs, list(lstm.output), f"{lstm.name}_int8", domain="com.microsoft")
    node.attribute.extend(lstm.attribute)
    graph.node.remove(lstm)
    graph.node.insert(at, node)
    graph.node.insert(at, clip)
    for one in [one for one in graph.initializer if one.name in names[1:3]]:
        graph.initializer.remove(one)
    graph.initializer.extend(made)
    drop_unused(graph)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(target))


def drop_unused(graph):
    """Takes nodes out of whose outputs nothing is made."""
    while True:
        used = {name for node in graph.node for name in node.input} | {one.name for one in graph.output}
        idle = [node for node in graph.node if not used.intersection(node.output)]
        if not idle:
            return
        for node in idle:
            graph.node.remove(node)


def quantized(weights):
    """`[directions, gates, inputs]` to int8 steps and the scale of each direction."""
    scale = np.abs(weights).max((1, 2)) / STEPS
    return np.round(weights / scale[:, None, None]).astype(np.int8), scale.astype(np.float32)
