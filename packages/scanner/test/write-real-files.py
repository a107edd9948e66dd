"""Writes small files of the formats that Python's standard library, NumPy, joblib, h5py and onnx write into the directory given."""

import bz2
import collections
import datetime
import decimal
import gzip
import lzma
import pickle
import sys
import tarfile
import uuid
import zipfile
import zlib

directory = sys.argv[1]


def path(name):
    return f"{directory}/{name}"


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content)


shared = ["shared"] * 3
value = {
    "numbers": [1, 300, -70000, 2**70, 0.5, 1j, True, None],
    "text": "word",
    "bytes": b"\x80\x04K\x01." * 4,
    "shared": [shared, shared, {1: shared}],
    "set": {1, 2},
    "frozen": frozenset([3]),
    "when": datetime.datetime(2026, 1, 2, 3, 4, 5),
    "id": uuid.UUID(int=1),
    "decimal": decimal.Decimal("1.5"),
    "ordered": collections.OrderedDict(a=1),
    "default": collections.defaultdict(list),
    "range": range(5),
}
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    write(f"protocol{protocol}.pkl", pickle.dumps(value, protocol))
plain = pickle.dumps(value, 4)
write("two-streams.pkl", plain + plain)
write("plain.gz", gzip.compress(plain))
write("plain.zlib", zlib.compress(plain))
write("plain.bz2", bz2.compress(plain))
write("plain.xz", lzma.compress(plain))
write("plain.lzma", lzma.compress(plain, lzma.FORMAT_ALONE))
for name, form in (("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("ustar", tarfile.USTAR_FORMAT)):
    with tarfile.open(path(f"{name}.tar"), "w", format=form) as archive:
        archive.add(path("protocol4.pkl"), "m" * 90 + "/data.pkl")
        archive.add(path("plain.gz"), "other")
for name, method in (("stored", 0), ("deflated", 8), ("bzip2", 12), ("lzma", 14)):
    with zipfile.ZipFile(path(f"{name}.zip"), "w", method) as archive:
        archive.write(path("protocol4.pkl"), "archive/data.pkl")
        archive.write(path("protocol0.pkl"), "archive/more.pkl")

import numpy  # noqa: E402

array = numpy.arange(24, dtype="f8").reshape(4, 6)
numpy.save(path("plain.npy"), array)
numpy.save(path("fortran.npy"), numpy.asfortranarray(array))
numpy.save(path("record.npy"), numpy.zeros(3, dtype=[("a", "f8"), ("b", "U3"), ("c", "i4", (2,))]))
numpy.save(path("objects.npy"), numpy.array([1, "two", None], dtype=object))
numpy.savez(path("plain.npz"), a=array, b=array)
numpy.savez_compressed(path("deflated.npz"), a=array)
with open(path("array.pkl"), "wb") as file:
    pickle.dump({"a": array, "r": numpy.random.RandomState(1)}, file)

import joblib  # noqa: E402

for name in ("0", "zlib", "gzip", "bz2", "xz", "lzma"):
    joblib.dump({"a": array, "o": numpy.array([None, "x"], dtype=object)}, path(f"{name}.joblib"), compress=0 if name == "0" else (name, 3))

import h5py  # noqa: E402

for name, version, block in (("earliest", "earliest", 0), ("latest", "latest", 0), ("block", "earliest", 512)):
    with h5py.File(path(f"{name}.h5"), "w", libver=version, userblock_size=block) as file:
        file.attrs["model_config"] = '{"class_name": "Sequential", "config": {"layers": []}}'
        file.create_dataset("layers/dense/kernel", data=array, chunks=True, compression="gzip")
        file["layers/alias"] = h5py.SoftLink("/layers/dense")
        for index in range(20):
            file.create_group(f"group{index}")
with h5py.File(path("virtual.h5"), "w", libver="latest") as file:
    file["part"] = array
    layout = h5py.VirtualLayout((2, 4, 6), "f8")
    layout[0] = layout[1] = h5py.VirtualSource(".", "part", (4, 6))
    file.create_virtual_dataset("whole", layout)

from onnx import TensorProto, helper, numpy_helper, save  # noqa: E402

weights = numpy_helper.from_array(array.astype("f4"), "w")
inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6])]
nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
save(helper.make_model(helper.make_graph(nodes, "graph", inputs, outputs, [weights])), path("plain.onnx"))
save(
    helper.make_model(helper.make_graph(nodes, "graph", inputs, outputs, [weights])),
    path("external.onnx"),
    save_as_external_data=True,
    location="external.data",
    size_threshold=0,
)
