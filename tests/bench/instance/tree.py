"""The files of a share: the same names and contents each time, paths of 60 bytes on average,
contents of 16."""
import multiprocessing
import os

FOLDER_FILES = 1000
SHORTEST_NAME = 19   # bytes, after 21 of "area-000/folder-0000/"
NAME_LENGTHS = 41    # 19 to 59 bytes: paths have 60 on average
FILLER = "-of-some-content-that-people-keep-in-a-folder-for-long"


def folder_of(number):
    folder = number // FOLDER_FILES
    return f"area-{folder // 100:03}/folder-{folder:04}"


def name_of(number, generation):
    """`generation` 0 is the first name of a file; a file that took its place has another."""
    size = SHORTEST_NAME + number * 7919 % NAME_LENGTHS
    return f"file-{number:08}-{generation:02}{FILLER}"[:size]


def content_of(number, version):
    return f"{number:010}{version:05}\n".encode()


def _each_folder(root, files, work):
    """Runs work(folder's descriptor, numbers) for each folder, on all cores."""
    starts = range(0, files, FOLDER_FILES)
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        jobs = [(root, start, min(files, start + FOLDER_FILES), work) for start in starts]
        for _ in pool.imap_unordered(_work_in_folder, jobs, chunksize=4):
            pass
        # Not ended by a signal, as leaving the block would: that may strike one that holds a lock.
        pool.close()
        pool.join()


def _work_in_folder(job):
    root, start, end, work = job
    folder = os.path.join(root, folder_of(start))
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        work[0](descriptor, range(start, end), *work[1:])
    finally:
        os.close(descriptor)


def _write(folder, name, content, flags):
    file = os.open(name, os.O_WRONLY | flags, 0o644, dir_fd=folder)
    os.write(file, content)
    os.close(file)


def _make(folder, numbers):
    for number in numbers:
        _write(folder, name_of(number, 0), content_of(number, 0), os.O_CREAT | os.O_EXCL)


def _generation(number, turn):
    """Round r replaces the names of the files whose number ends in r-1."""
    return number % 10 + 1 if number % 10 < turn else 0


def _replace(folder, numbers, turn):
    for number in numbers:
        if number % 10 == turn - 1:
            os.unlink(name_of(number, 0), dir_fd=folder)
            _write(folder, name_of(number, turn), content_of(number, turn), os.O_CREAT | os.O_EXCL)
        elif number % 10 == (turn + 4) % 10:
            _write(folder, name_of(number, _generation(number, turn)), content_of(number, turn), 0)


def make(root, files):
    _each_folder(root, files, (_make,))


def replace(root, files, turn):
    """Round `turn` (1 to 10): a tenth of the files is deleted and made anew under other names, and
    another tenth is overwritten in place."""
    _each_folder(root, files, (_replace, turn))


def average_path_bytes(files):
    sample = range(min(files, 10 * NAME_LENGTHS))
    sizes = [len(folder_of(number)) + 1 + len(name_of(number, 0)) for number in sample]
    return sum(sizes) / len(sizes)
