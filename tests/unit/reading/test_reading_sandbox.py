"""Reader processes: what they give back, and what a file that kills one costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from hcmodel.geometry import Spacing
from worker import errors
from worker.reading import read
from worker.reading.sandbox.pool import ReaderPool


def children_of(pool: ReaderPool) -> list[int]:
    return [reader._process.pid for reader in pool._readers]


def gone(pid: int) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}/stat").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def pool():
    with ReaderPool(2) as shared:
        yield shared


def test_gives_what_read_gives(pool, image, region, save):
    item = region(PhysicalDeltaX=-0.0123456789012345)
    path = save(image(region(RegionLocationMaxX1=30), item, PixelAspectRatio=[9, 1]))
    for manual in (None, Spacing(0.123456789012345, 0.2)):
        here, there = read(path, 0, manual), pool.read(path, 0, manual)
        assert np.array_equal(here.pixels, there.pixels)
        assert here.regions == there.regions
        for name in ("frame", "frames", "decoder", "sha256", "study_instance_uid", "flags"):
            assert getattr(here, name) == getattr(there, name)


def test_raises_what_read_raises(pool, image, save, tmp_path):
    with pytest.raises(errors.FileMissing):
        pool.read(tmp_path / "missing.dcm")
    with pytest.raises(errors.NoSuchFrame, match=r"frame 3 of 1\. Submit it again"):
        pool.read(save(image()), 3)
    (tmp_path / "empty.png").touch()
    with pytest.raises(errors.FileEmpty):
        pool.read(tmp_path / "empty.png")


def test_names_with_any_byte_arrive(pool, image, save, tmp_path):
    path = save(image()).rename(tmp_path / os.fsdecode(b"gr\xf6\xdfe\n\xff.dcm"))
    assert pool.read(path).decoder == "pydicom"


def test_serves_many_threads(pool, image, save):
    paths = [save(image(frames=4), f"{n}.dcm") for n in range(8)]
    asked = [(path, frame) for path in paths for frame in range(4)] * 3
    with ThreadPoolExecutor(8) as threads:
        scans = list(threads.map(lambda each: pool.read(*each), asked))
    assert [scan.frame for scan in scans] == [frame for _, frame in asked]
    assert all(scan.pixels[0, 0] == frame for scan, (_, frame) in zip(scans, asked, strict=True))


def test_a_child_that_dies_of_a_file_is_replaced(image, save):
    path = save(image())
    with ReaderPool(1) as pool:
        pool.read(path)
        (child,) = children_of(pool)
        os.kill(child, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (child, signal.SIGSEGV)).start()
        threading.Timer(0.4, os.kill, (child, signal.SIGCONT)).start()
        with pytest.raises(errors.CrashedWorker, match="SIGSEGV"):
            pool.read(path)
        assert pool.read(path).decoder == "pydicom"
        assert children_of(pool) != [child]


def test_a_child_that_died_between_files_costs_none(image, save):
    path = save(image())
    with ReaderPool(1) as pool:
        pool.read(path)
        (child,) = children_of(pool)
        os.kill(child, signal.SIGKILL)
        assert gone(child)
        assert pool.read(path).decoder == "pydicom"


def test_a_file_that_takes_too_long_ends_alone(image, save):
    path = save(image())
    with ReaderPool(1, deadline_s=3.0) as pool:
        pool.read(path)
        (child,) = children_of(pool)
        os.kill(child, signal.SIGSTOP)
        with pytest.raises(errors.DecodeTimeout, match="3 s"):
            pool.read(path)
        assert gone(child)
        assert pool.read(path).decoder == "pydicom"


def test_a_file_that_needs_too_much_memory_ends_alone(image, save, tmp_path):
    small = save(image())
    head = save(image(), "head.dcm", transfer_syntax=DeflatedExplicitVRLittleEndian).read_bytes()
    meta_end = head.index(b"1.2.840.10008.1.2.1.99") + 22
    deflate = zlib.compressobj(wbits=-15)
    packed = b"".join(deflate.compress(bytes(1024**2)) for _ in range(250)) + deflate.flush()
    large = tmp_path / "large.dcm"
    large.write_bytes(head[:meta_end] + packed)
    with ReaderPool(1, memory_bytes=400 * 1024**2) as pool:
        pool.read(small)
        (child,) = children_of(pool)
        with pytest.raises(errors.TooLarge, match="memory"):
            pool.read(large)
        assert pool.read(small).decoder == "pydicom"
        assert children_of(pool) == [child]


def test_children_leave_the_terminal_s_signals_to_their_owner(image, save):
    with ReaderPool(1) as pool:
        pool.read(save(image()))
        (child,) = children_of(pool)
        assert os.getsid(child) != os.getsid(0)


def test_one_file_after_the_other_is_read_by_one_child(image, save):
    path = save(image())
    with ReaderPool(2) as pool:
        for _ in range(3):
            pool.read(path)
        assert [reader._process is None for reader in pool._readers].count(False) == 1


def test_children_end_with_the_pool(image, save):
    path = save(image())
    with ReaderPool(2) as pool:
        taken = pool._idle.get()
        pool.read(path)
        pool._idle.put(taken)
        pool.read(path)
        pids = children_of(pool)
    assert all(gone(pid) for pid in pids)


def test_children_end_with_an_owner_that_was_killed(image, save):
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from pathlib import Path\n"
            "from worker.reading.sandbox.pool import ReaderPool\n"
            "with ReaderPool(1) as pool:\n"
            "    pool.read(Path(sys.argv[1]))\n"
            "    print(pool._readers[0]._process.pid, flush=True)\n"
            "    time.sleep(60)\n",
            str(save(image())),
        ],
        stdout=subprocess.PIPE,
    )
    with owner:
        child = int(owner.stdout.readline())
        owner.kill()
    assert gone(child)


def test_a_child_loads_neither_network_nor_queue(image, save):
    path = save(image())
    with ReaderPool(1) as pool:
        pool.read(path)
        (child,) = children_of(pool)
        mapped = Path(f"/proc/{child}/maps").read_text()
    assert "numpy" in mapped
    assert "tensorflow" not in mapped
    assert "cv2" not in mapped
    assert "charset_normalizer" not in mapped  # of requests, which pydicom loads where it can


def test_reads_inside_the_roots_only(image, save, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    path = save(image(), "outside/a.dcm")
    (inside / "link.dcm").symlink_to(path)
    with ReaderPool(1, roots=[inside]) as pool, pytest.raises(errors.OutsideRoots):
        pool.read(inside / "link.dcm")
