"""Muster for Python: one small report for each training step of each rank.

    import muster, muster.torch

    monitor = muster.start()                # MUSTER_ADDRESS, MUSTER_RUN_ID, RANK, WORLD_SIZE
    muster.torch.watch(monitor, ddp_model)  # sees local gradients before the all-reduce
    for step, batch in enumerate(loader):
        ...
        loss.backward()
        monitor.end_step(step, loss=loss, weight=tokens)
        optimizer.step()
    monitor.close()

No call waits for the network or for the daemon, and after ``start`` none raises
into the training loop: what goes wrong is logged once, by the logger "muster".
"""

from muster.monitor import Alert, Monitor, Stats, start

__all__ = ["Alert", "Monitor", "Stats", "start"]
__version__ = "0.1.0"
