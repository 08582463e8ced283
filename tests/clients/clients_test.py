"""The four Python clients, run as a user runs them, against a fake node on a loopback address of its own."""

import os
import pathlib
import resource
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
COURSE = ROOT / "tests" / "fixtures" / "course_client.py"
sys.path[:0] = [str(CLIENTS), str(pathlib.Path(__file__).parent)]
sys.dont_write_bytecode = True

from chord_rpc import pack, unpack  # noqa: E402
from course_client import key_of  # noqa: E402
from fake_node import FakeNode  # noqa: E402

IP = "127.26.0.1"
NOBODY = "127.26.0.2"
ODD_NAMES = ["with space.txt", 'quo"te.txt', "back\\slash", "ünïcödé 文件.bin", "100%41.txt", "a+b&c=d?#.x", "-dash", "'"]


class ClientCase(unittest.TestCase):
    def setUp(self):
        self.node = FakeNode(IP)
        self.addCleanup(self.node.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_client(self, script, *arguments, **options):
        return self.run_script(CLIENTS / (script + ".py"), *arguments, **options)

    def run_script(self, path, *arguments, environment=None, preexec=None):
        return subprocess.run(
            [sys.executable, "-B", str(path), *arguments],
            cwd=str(self.folder),
            env=dict(os.environ, **(environment or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
            encoding="utf-8",
            preexec_fn=preexec,
        )

    def write(self, name, content):
        (self.folder / name).write_bytes(content)
        return name


class Uploads(ClientCase):
    def test_prints_the_lines_of_the_course_script(self):
        done = self.run_client("upload", self.write("a.txt", b"hello"), IP)
        self.assertEqual(done.stdout, "Hash of a.txt is 607204990\nUploading file to http://%s\n" % IP)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.node.files, {"a.txt": b"hello"})

    def test_calls_create_before_the_lookup(self):
        self.run_client("upload", self.write("a.txt", b""), IP)
        self.assertEqual(self.node.calls, [("create", []), ("find_successor", [607204990])])

    def test_names_the_file_after_the_last_slash(self):
        (self.folder / "deep" / "er").mkdir(parents=True)
        self.run_client("upload", self.write("deep/er/b.txt", b"x"), IP)
        self.assertEqual(self.node.files, {"b.txt": b"x"})

    def test_carries_any_name_there_and_back(self):
        for name in ODD_NAMES:
            with self.subTest(name):
                content = os.urandom(2000)
                done = self.run_client("upload", "./" + self.write(name, content), IP)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                os.unlink(self.folder / name)
                done = self.run_client("download", name, IP)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual((self.folder / name).read_bytes(), content)

    def test_works_where_the_terminal_knows_only_ascii(self):
        ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = self.run_client("upload", self.write("ü.txt", b"x"), IP, environment=ascii_only)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(list(self.node.files), ["ü.txt"])

    def test_needs_little_memory_for_a_large_file(self):
        with open(self.folder / "large", "wb") as large:
            large.truncate(300 * 2**20)

        def little_memory():
            resource.setrlimit(resource.RLIMIT_AS, (200 * 2**20, 200 * 2**20))

        done = self.run_client("test_upload", "large", IP, preexec=little_memory)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(self.node.files["large"]), 300 * 2**20)
        done = self.run_client("test_download", "large", IP, preexec=little_memory)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_tells_what_a_node_said_when_it_refused_the_upload(self):
        self.node.status = 507
        done = self.run_client("upload", self.write("a.txt", b"x" * 5_000_000), IP)
        self.assertEqual(done.returncode, 1)
        self.assertIn("507", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_missing_file_is_told_before_any_node_is_asked(self):
        done = self.run_client("upload", "absent.txt", IP)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("cannot read absent.txt", done.stderr)
        self.assertEqual(self.node.calls, [])

    def test_a_folder_is_not_a_file(self):
        done = self.run_client("upload", str(self.folder), IP)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a regular file", done.stderr)

    def test_without_a_lookup_the_given_node_gets_the_file(self):
        done = self.run_client("test_upload", self.write("a.txt", b"hello"), IP)
        self.assertEqual(done.returncode, 0)
        self.assertEqual((self.node.files, self.node.calls), ({"a.txt": b"hello"}, []))


class Downloads(ClientCase):
    def test_prints_the_lines_of_the_course_script(self):
        self.node.files["a.txt"] = b"hello"
        done = self.run_client("download", "a.txt", IP)
        self.assertEqual(done.stdout, "Hash of a.txt is 607204990\nDownloading file from http://%s\n" % IP)
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"hello")

    def test_an_error_page_never_becomes_the_file(self):
        self.write("a.txt", b"what was there")
        for status in (404, 503):
            self.node.status = status
            done = self.run_client("download", "a.txt", IP)
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(status), done.stderr)
            self.assertEqual((self.folder / "a.txt").read_bytes(), b"what was there")
        self.assertEqual(os.listdir(self.folder), ["a.txt"])

    def test_a_body_that_ends_too_early_never_becomes_the_file(self):
        self.node.files["a.txt"] = b"x" * 3_000_000
        self.node.cut_body_at = 2_000_000
        done = self.run_client("download", "a.txt", IP)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2000000 of 3000000 bytes", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_new_file_has_the_permissions_of_any_new_file(self):
        self.node.files["a.txt"] = b""
        done = self.run_client("test_download", "a.txt", IP, preexec=lambda: os.umask(0o027))
        self.assertEqual(done.returncode, 0)
        self.assertEqual(stat.S_IMODE((self.folder / "a.txt").stat().st_mode), 0o640)

    def test_a_folder_of_that_name_stays(self):
        self.node.files["a.txt"] = b"x"
        (self.folder / "a.txt").mkdir()
        done = self.run_client("download", "a.txt", IP)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write a.txt", done.stderr)
        self.assertEqual(os.listdir(self.folder), ["a.txt"])


class Lookups(ClientCase):
    def test_understands_answers_that_come_byte_by_byte(self):
        self.node.piecewise = True
        self.node.files["a.txt"] = b"x"
        self.assertEqual(self.run_client("download", "a.txt", IP).returncode, 0)

    def test_understands_addresses_sent_as_binaries_after_a_notification(self):
        binary_ip = b"\xc4" + bytes([len(IP)]) + IP.encode()
        notification = pack([2, "notify", []])
        self.node.answers["find_successor"] = notification + b"\x94\x01\x02\xc0\x93" + binary_ip + b"\xcd\x13\xc1\x01"
        self.node.files["a.txt"] = b"x"
        self.assertEqual(self.run_client("download", "a.txt", IP).returncode, 0)

    def test_tells_every_bad_answer_in_one_line(self):
        bad_answers = {
            "an error": pack([1, 2, "no ring", None]),
            "no address": pack([1, 2, None, ["", 0, 0]]),
            "not a node": pack([1, 2, None, 7]),
            "garbage": b"\xc1\xff\x00",
            "a length of 4 GiB": b"\xdd\xff\xff\xff\xff",
            "endless nesting": b"\x91" * 1000,
            "an endless string": b"\x94\x01\x02\xc0\xdb\xff\xff\xff\xff" + b"x" * 200_000,
        }
        for label, answer in bad_answers.items():
            with self.subTest(label):
                self.node.answers["find_successor"] = answer
                done = self.run_client("download", "a.txt", IP)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, r"\Aerror: [^\n]+\n\Z")

    def test_an_unreachable_node_is_told_with_its_address(self):
        for script in ("upload", "download", "test_upload", "test_download"):
            done = self.run_client(script, self.write("a.txt", b""), NOBODY)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"\Aerror: cannot reach [^\n]*%s[^\n]*\n\Z" % NOBODY)

    def test_a_wrong_number_of_arguments_shows_the_usage(self):
        for script, usage in (("upload", "upload.py FILE IP"), ("download", "download.py NAME IP")):
            for arguments in ((), ("a",), ("a", "b", "c"), ("", IP)):
                done = self.run_client(script, *arguments)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", "usage: %s\n" % usage))


class Codec(unittest.TestCase):
    def test_gives_back_what_was_packed(self):
        for value in (None, True, 0, 127, 128, 65535, 2**32 - 1, -1, -(2**63), "", "é" * 40, [0, 1, "create", [[]]]):
            packed = pack(value)
            self.assertEqual(unpack(packed), (value, len(packed)))
            for cut in range(len(packed)):
                self.assertIsNone(unpack(packed[:cut]))

    def test_key_of_a_name_is_the_low_half_word_of_its_md5(self):
        self.assertEqual(key_of("a.txt"), 607204990)


class TheCoursesOwnScript(ClientCase):
    def test_works_unchanged(self):
        self.write("a.txt", b"hello")
        done = self.run_script(COURSE, "upload", "a.txt", IP)
        self.assertEqual(done.stdout, "Hash of a.txt is 607204990\nUploading file to http://%s\n" % IP)
        os.unlink(self.folder / "a.txt")
        self.run_script(COURSE, "download", "a.txt", IP)
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"hello")


if __name__ == "__main__":
    unittest.main()
