#!/usr/bin/python3
"""The gradient sketch in NumPy, written from docs/sketch.md.

It exists to check the client's kernels, so it shares no code with them and
prefers the obvious to the fast: every element is hashed on its own and all sums
are taken in double.

    sketch_reference.py vectors    writes the contents of sketch_vectors.txt
    sketch_reference.py table      writes the table of test vectors of docs/sketch.md
    sketch_reference.py accuracy   writes the predicted errors of docs/sketch.md
    sketch_reference.py fingerprints   writes the table of fingerprints of docs/sketch.md
"""

import sys
from dataclasses import dataclass

import numpy as np

A = np.uint64(0x9E3779B97F4A7C15)
B = np.uint64(0xD1B54A32D192ED03)
DEFAULT_SEED = 0x6D75737465720001
DEFAULT_WIDTH = 1024


def u64(value):
    """`value` (a Python integer, or an array) modulo 2^64."""
    if isinstance(value, int):
        return np.uint64(value % 2**64)
    return np.asarray(value).astype(np.uint64)


def mix64(z):
    with np.errstate(over="ignore"):
        z = u64(z)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class Spec:
    width: int = DEFAULT_WIDTH
    seed: int = DEFAULT_SEED

    def permutation(self, block):
        """r_b of each block number."""
        with np.errstate(over="ignore"):
            key = mix64(u64(self.seed) + A)
            word = mix64(key + (u64(block) + np.uint64(1)) * A)
        return word % np.uint64(self.width)

    def sign_word(self, group):
        """Signs of elements 64·group … 64·group + 63, as bits."""
        with np.errstate(over="ignore"):
            key = mix64(u64(self.seed) + B)
            return mix64(key + (u64(group) + np.uint64(1)) * A)

    def bucket(self, index):
        index, width = u64(index), np.uint64(self.width)
        return (index % width) ^ self.permutation(index // width)

    def sign(self, index):
        """+1 or -1 for each element."""
        index = u64(index)
        bit = self.sign_word(index // np.uint64(64)) >> (index % np.uint64(64))
        return 1.0 - 2.0 * (bit & np.uint64(1)).astype(np.float64)


@dataclass(frozen=True)
class Result:
    values: np.ndarray
    squared_norm: float
    nonfinite: int

    def wire(self):
        """IEEE half precision of values / norm, little endian; or nothing."""
        if self.nonfinite or self.squared_norm == 0:
            return b""
        ratio = self.values / np.sqrt(self.squared_norm)
        return ratio.astype("<f4").astype("<f2").tobytes()


def sketch(spec, offset, elements):
    """The sketch of `elements` (any float dtype) from flat index `offset` on."""
    with np.errstate(invalid="ignore"):
        elements = np.asarray(elements).astype(np.float64)
    finite = np.isfinite(elements)
    kept = np.where(finite, elements, 0.0)
    index = u64(offset) + np.arange(len(elements), dtype=np.uint64)
    values = np.bincount(
        spec.bucket(index).astype(np.int64),
        weights=kept * spec.sign(index),
        minlength=spec.width,
    )
    return Result(values, float(np.sum(kept * kept)), int(np.sum(~finite)))


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def pair_error(rho, width):
    """Standard error of the cosine of one pair."""
    return (1 - rho**2) / np.sqrt(width)


def pair_error_of_blocks(u, v, width):
    """As pair_error, less the pairs within a block, which never collide."""
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    starts = np.arange(0, len(u), width)
    alpha, beta, gamma = (np.add.reduceat(x, starts) for x in (u * u, v * v, u * v))
    rho = u @ v
    within = (
        alpha * beta
        + gamma**2
        + rho**2 * (alpha**2 + beta**2 + 2 * gamma**2) / 2
        - 2 * rho * gamma * (alpha + beta)
    )
    return np.sqrt(((1 - rho**2) ** 2 - within.sum()) / width)


def mean_of_pairs_error(rho, ranks, width):
    """Standard error of the mean cosine of all pairs of equicorrelated ranks."""
    n = ranks
    inner = 2 * rho**2 * (1 + 1 / n) + 4 * rho * (1 - rho) / n + 2 / (n * (n - 1))
    return (1 - rho) * np.sqrt(inner / width)


# --- vectors -----------------------------------------------------------------


def integer_elements(offset, count):
    """Element i is mix64(i) mod 31 - 15: small enough that every sum is exact."""
    index = u64(offset) + np.arange(count, dtype=np.uint64)
    return (mix64(index) % np.uint64(31)).astype(np.float64) - 15.0


def fnv1a(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def from_bits(dtype, bits):
    bits = np.asarray(bits)
    if dtype == "float32":
        return bits.astype(np.uint32).view(np.float32)
    if dtype == "float16":
        return bits.astype(np.uint16).view(np.float16)
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float_cases(rng):
    """(name, dtype, offset, bits of the elements)"""

    def f32(values):
        return np.asarray(values, dtype=np.float32).view(np.uint32)

    normal = rng.standard_normal
    yield "normal", "float32", 0, f32(normal(300))
    yield "normal_odd_offset", "float32", 37, f32(normal(211))
    yield "one_element", "float32", 2**41 + 5, f32([-1.5])
    yield "huge", "float32", 0, f32(normal(260) * 1e35)
    yield "tiny", "float32", 0, f32(normal(260) * 1e-30)
    yield "subnormal", "float32", 0, f32(normal(200) * 1e-40)
    yield "largest", "float32", 1, f32(np.full(130, np.finfo(np.float32).max))
    yield "mixed", "float32", 0, f32(
        normal(256) * 10.0 ** np.repeat([-30, 0, 35, 3], 64)
    )
    special = f32(normal(256))
    special[[3, 70, 200]] = f32([np.nan, np.inf, -np.inf])
    special[128:192] = f32(normal(64) * 1e30)
    yield "nonfinite", "float32", 0, special
    half = rng.integers(0, 2**16, 300)
    yield "all_halves", "float16", 3, half
    yield "finite_halves", "float16", 64, half & 0xBBFF
    yield "half_subnormals", "float16", 0, half & 0x83FF
    yield "all_bfloat16", "bfloat16", 9, half
    yield "finite_bfloat16", "bfloat16", 0, half & 0xBFFF


INTEGER_CASES = (  # dtype, width, seed, offset, count
    ("float32", 1024, DEFAULT_SEED, 0, 65536),
    ("float32", 1024, DEFAULT_SEED, 0, 70001),
    ("float16", 1024, DEFAULT_SEED, 1, 70001),
    ("bfloat16", 1024, DEFAULT_SEED, 63, 70001),
    ("float32", 1024, DEFAULT_SEED, 2**32 - 777, 9999),
    ("float16", 1024, DEFAULT_SEED, 2**33 + 65, 9999),
    ("bfloat16", 1024, DEFAULT_SEED, 2**45 + 4097, 9999),
    ("float32", 64, 0, 0, 12345),
    ("float16", 64, 1, 130, 12345),
    ("bfloat16", 256, 2**64 - 1, 255, 12345),
    ("float32", 4096, 7, 4095, 33333),
    ("float32", 65536, 7, 65000, 150001),
    ("float16", 65536, 8, 1, 1001),
)


def vectors():
    """Lines of the committed file."""
    rng = np.random.default_rng(20260213)
    spec = Spec()
    yield "# Written by sketch_reference.py vectors; docs/sketch.md says what they mean."
    yield "# mix64 INPUT OUTPUT"
    for z in (0, 1, 2, int(A), 2**64 - 1, DEFAULT_SEED):
        yield f"mix64 {z:016x} {int(mix64(z)):016x}"
    yield "# element WIDTH SEED INDEX PERMUTATION SIGN_WORD BUCKET SIGN"
    for width, seed in ((1024, DEFAULT_SEED), (64, 0), (65536, 2**64 - 1)):
        for index in (0, 1, 63, 64, 1023, 1024, 70000, 2**32 + 12345, 2**62 + 1):
            s = Spec(width, seed)
            yield (
                f"element {width} {seed:016x} {index} {s.permutation(index // width)}"
                f" {s.sign_word(index // 64):016x} {s.bucket(index)}"
                f" {int(s.sign(index)):+d}"
            )
    yield "# half FLOAT32_BITS FLOAT16_BITS"
    bits = np.concatenate(
        [rng.integers(0x33000000, 0x47900000, 60), rng.integers(0, 2**32, 40)]
    )
    floats = from_bits("float32", bits)
    for source, value in zip(bits, floats):
        with np.errstate(over="ignore"):
            half = np.float32(value).astype(np.float16)
        if not np.isnan(half):
            yield f"half {source:08x} {half.view(np.uint16):04x}"
    yield "# integers DTYPE WIDTH SEED OFFSET COUNT SQUARED_NORM FNV1A_OF_VALUES FNV1A_OF_WIRE"
    for dtype, width, seed, offset, count in INTEGER_CASES:
        r = sketch(Spec(width, seed), offset, integer_elements(offset, count))
        yield (
            f"integers {dtype} {width} {seed:016x} {offset} {count} {int(r.squared_norm)}"
            f" {fnv1a(r.values.astype('<i8').tobytes()):016x} {fnv1a(r.wire()):016x}"
        )
    yield "# floats NAME DTYPE WIDTH SEED OFFSET COUNT SQUARED_NORM NONFINITE, then"
    yield "# COUNT element bits, then WIDTH values"
    for name, dtype, offset, element_bits in float_cases(rng):
        s = Spec(64, 42)
        r = sketch(s, offset, from_bits(dtype, element_bits))
        yield (
            f"floats {name} {dtype} {s.width} {s.seed:016x} {offset} {len(element_bits)}"
            f" {r.squared_norm.hex()} {r.nonfinite}"
        )
        yield " ".join(f"{b:x}" for b in element_bits)
        yield " ".join(float(v).hex() for v in r.values)


def table():
    """The Markdown tables of docs/sketch.md."""
    spec = Spec()
    yield "| i | block | r_b | sign word | bucket | sign |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for index in (0, 1, 63, 64, 1023, 1024, 2**32 + 12345):
        block = index // spec.width
        yield (
            f"| {index} | {block} | {spec.permutation(block)}"
            f" | `{spec.sign_word(index // 64):016x}` | {spec.bucket(index)}"
            f" | {'−' if spec.sign(index) < 0 else '+'} |"
        )
    yield ""
    yield "| k | seed | elements | ‖g‖² | FNV-1a of values | FNV-1a of wire form |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for _, width, seed, offset, count in INTEGER_CASES[:7]:
        r = sketch(Spec(width, seed), offset, integer_elements(offset, count))
        yield (
            f"| {width} | `{seed:016x}` | {offset} … {offset + count - 1}"
            f" | {int(r.squared_norm)} | `{fnv1a(r.values.astype('<i8').tobytes()):016x}`"
            f" | `{fnv1a(r.wire()):016x}` |"
        )


def accuracy():
    """The Markdown table of predicted errors of docs/sketch.md."""
    yield "| ρ | one pair | mean of the pairs of 8 ranks | of 64 ranks |"
    yield "| --- | --- | --- | --- |"
    for rho in (0, 0.2, 0.5, 0.84):
        yield (
            f"| {rho} | {pair_error(rho, DEFAULT_WIDTH):.4f}"
            f" | {mean_of_pairs_error(rho, 8, DEFAULT_WIDTH):.4f}"
            f" | {mean_of_pairs_error(rho, 64, DEFAULT_WIDTH):.4f} |"
        )


def fingerprint(position, data):
    """Of `data` (bytes) at `position`, by the definition in docs/sketch.md."""
    words = np.frombuffer(data + bytes(-len(data) % 1024), "<u4").reshape(-1, 2, 128)
    with np.errstate(over="ignore"):
        j = np.arange(256, dtype=np.uint64)
        keys = mix64((j + np.uint64(1)) * A).astype(np.uint32).reshape(2, 128)
        sums = (words + keys).astype(np.uint64)
        inner = (sums[:, 0] * sums[:, 1]).sum(axis=1, dtype=np.uint64)
        key = mix64(u64(position) + B)
        b = np.arange(len(inner), dtype=np.uint64)
        total = mix64(inner ^ mix64(key + (b + np.uint64(1)) * A)).sum(dtype=np.uint64)
        return total + mix64(key ^ mix64(len(data)))


def fingerprint_bytes(count):
    return bytes((int(mix64(i)) & 0xFF) for i in range(count))


def fingerprints():
    """The Markdown table of fingerprints of docs/sketch.md."""
    yield "| p | bytes | F |"
    yield "| --- | --- | --- |"
    for position, count in ((0, 0), (0, 4), (7, 4), (0, 1024), (0, 1027), (2**40, 5000)):
        value = fingerprint(position, fingerprint_bytes(count))
        yield f"| {position} | {count} | `{value:016x}` |"


def main(arguments):
    writers = {
        "vectors": vectors,
        "table": table,
        "accuracy": accuracy,
        "fingerprints": fingerprints,
    }
    if len(arguments) != 1 or arguments[0] not in writers:
        print(__doc__, file=sys.stderr)
        return 2
    for line in writers[arguments[0]]():
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
