"""Recomputes a log from its segments with nothing of Sallyport: chain, RFC 6962 root, and what the checkpoint states.

usage: independent.py SEGMENT.jsonl... CHECKPOINT   (segments in order, plain)
"""
import base64
import hashlib
import json
import sys


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


leaves = []
prev = "0" * 64
for path in sys.argv[1:-1]:
    with open(path, "rb") as segment:
        for line in segment:
            entry = json.loads(line)
            stated = entry.pop("hash")
            canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            leaf = hashlib.sha256(b"\x00" + canonical).digest()
            assert leaf.hex() == stated, f"entry {len(leaves)}: hash"
            assert entry["seq"] == len(leaves), f"entry {len(leaves)}: seq"
            assert entry["prev"] == prev, f"entry {len(leaves)}: prev"
            prev = stated
            leaves.append(leaf)
with open(sys.argv[-1], encoding="utf-8") as note:
    origin, size, digest = note.read().split("\n")[:3]
assert base64.b64encode(root(leaves[: int(size)])).decode() == digest, "root"
print(json.dumps({"origin": origin, "entries": len(leaves), "size": int(size)}))
