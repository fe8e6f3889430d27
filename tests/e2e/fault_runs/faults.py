"""The real runs that detection is held to: which fault, when, on which rank."""

import dataclasses
from typing import Optional

RANKS = 8
ONSET = 105  # first step of a fault that does not stand from the start


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong in a run, and what musterd should say of it."""

    kind: str = ""  # of the alert; empty: none is due
    subjects: tuple[str, ...] = ()  # any of these will do
    all_ranks: bool = False  # concerns all, not one rank
    seeds: int = 1  # how many runs, each with data, dropout and a faulty rank of its own
    steps: int = ONSET + 35
    onset: int = ONSET
    margin: Optional[float] = None  # of RankOutlier, where not the default
    # What the faulty rank, or each, does from the onset on.
    random_targets: float = 0.0  # share of targets that are random
    gradient_factor: float = 1.0
    repeats_batch: bool = False
    flips_bits: tuple[int, ...] = ()  # of one gradient element, one a step from the onset on
    zero_layer: bool = False
    slow: bool = False  # takes twice as long for what all ranks sleep for
    nan: bool = False  # in one gradient element, at the onset
    skips_reduction: bool = False  # keeps its own gradient, at the onset
    dies: bool = False  # of ranks that train apart between averages
    # What it does from the start.
    eval_mode: bool = False
    own_seeds: bool = False  # for sampler and dropout
    # How all ranks train.
    shards: bool = True  # each rank draws its own part of the data
    windows: Optional[int] = None  # of the data set; all by default
    reshuffles: bool = True
    fixed_shards: bool = False
    from_scratch: bool = False  # with warm-up and decay of the learning rate
    watches_samples: bool = False
    checks_replicas: bool = False


OUTLIER = {"kind": "RankOutlier", "subjects": ("loss", "gradient_norm", "direction")}

FAULTS = {
    "healthy": Fault(seeds=2, steps=250),
    "healthy_from_scratch": Fault(steps=150, from_scratch=True),
    "healthy_watched": Fault(steps=150, windows=8192, watches_samples=True, checks_replicas=True),
    "healthy_fixed_shards": Fault(steps=400, windows=2560, fixed_shards=True, margin=0.5),
    "labels_20pct": Fault(**OUTLIER, seeds=10, random_targets=0.2),
    "labels_5pct": Fault(**OUTLIER, seeds=5, steps=ONSET + 65, random_targets=0.05),
    "labels_2pct": Fault(**OUTLIER, steps=ONSET + 85, random_targets=0.02),
    "gradient_1p3x": Fault(**OUTLIER, seeds=5, steps=ONSET + 65, gradient_factor=1.3),
    "gradient_1p2x": Fault(**OUTLIER, steps=ONSET + 45, gradient_factor=1.2),
    "repeated_batch": Fault(**OUTLIER, steps=ONSET + 80, repeats_batch=True),
    "exponent_bit_30": Fault(**OUTLIER, seeds=3, steps=ONSET + 10, flips_bits=(30,)),
    "exponent_bits_23_to_29": Fault(**OUTLIER, steps=ONSET + 17, flips_bits=tuple(range(23, 30))),
    "slow_2x": Fault(kind="RankOutlier", subjects=("step_time",), onset=40, steps=90, slow=True),
    "zero_layer": Fault(kind="FactMismatch", subjects=("zero_gradient_tensors",), steps=ONSET + 20, zero_layer=True),
    "eval_mode": Fault(kind="FactMismatch", subjects=("module_mode",), onset=0, steps=40, eval_mode=True),
    "mild": Fault(kind="FactMismatch", subjects=("sampler_seed",), onset=0, steps=40, own_seeds=True),
    "significant": Fault(
        kind="FactMismatch", subjects=("sampler_seed",), all_ranks=True, onset=0, steps=40, own_seeds=True
    ),
    "no_shards": Fault(
        kind="DuplicateShard", subjects=("data",), all_ranks=True, onset=0, steps=40, shards=False, watches_samples=True
    ),
    # Sixteen steps an epoch; the second one tells.
    "never_reshuffles": Fault(
        kind="ShardOverlap", subjects=("order",), all_ranks=True, onset=16, steps=40, windows=2048,
        reshuffles=False, watches_samples=True,
    ),
    "missed_reduction": Fault(
        kind="ReplicaDrift", subjects=("parameters",), onset=42, steps=60, checks_replicas=True, skips_reduction=True
    ),
    "nan": Fault(kind="NonFinite", subjects=("gradient",), onset=40, steps=50, nan=True),
    "rank_dies": Fault(kind="RankMissing", subjects=("reports",), onset=40, steps=140, dies=True),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training of a fault, by its seed from 0 on."""

    name: str
    seed: int

    @property
    def id(self) -> str:
        return f"{self.name}-{self.seed}"

    @property
    def fault(self) -> Fault:
        return FAULTS[self.name]

    @property
    def rank(self) -> int:
        """The faulty one, if there is one."""
        return 0 if self.name == "mild" else (3 * self.seed + 3) % RANKS

    @property
    def ranks(self) -> list[int]:
        """That should be named; none where no alert is due."""
        if not self.fault.kind:
            return []
        return list(range(RANKS)) if self.fault.all_ranks else [self.rank]


def runs_of(name: str) -> list[Run]:
    return [Run(name, seed) for seed in range(FAULTS[name].seeds)]
