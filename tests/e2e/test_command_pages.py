"""Manual pages and shell completion: all verbs and flags are in them, and the shells take them."""

import re
import shutil
import subprocess

import pytest
from conftest import BUILD

PAGES = BUILD / "pages"
PROGRAMS = {"muster": BUILD / "cli" / "muster", "musterd": BUILD / "daemon" / "musterd"}
MANUALS = {"muster": PAGES / "muster.1", "musterd": PAGES / "musterd.8"}


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"no {program}")


def told_by_help(program, *verbs):
    """({flags}, {verbs}) that --help of a program or of a verb lists."""
    text = run(PROGRAMS[program], *verbs, "--help").stdout
    flags = re.findall(r"^  (?:-\w,)?(--[\w-]+)", text, re.MULTILINE)
    sub = re.search(r"^Subcommands:\n((?:  .*\n)*)", text, re.MULTILINE)
    return set(flags), set(re.findall(r"^  (\w+)", sub[1], re.MULTILINE)) if sub else set()


def all_of(program):
    """{(verbs…): {flags}}, from --help alone."""
    flags, verbs = told_by_help(program)
    found = {(): flags}
    for verb in verbs:
        found[(verb,)], _ = told_by_help(program, verb)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_verbs_and_flags_are_in_the_manual(program):
    text = MANUALS[program].read_text().replace("\\-", "-")
    parts = dict(re.findall(r"^\.S[SH] (.*)\n((?:(?!\.S[SH]).*\n)*)", text, re.MULTILINE))
    commands = all_of(program)
    assert len(commands) > (8 if program == "muster" else 0)
    for verbs, flags in commands.items():
        # `reference` has verbs only: those have the parts.
        parts_of = [
            part
            for title, part in parts.items()
            if (title == "OPTIONS" if not verbs else title.startswith(f"{program} {verbs[0]}"))
        ]
        assert parts_of, verbs
        for flag in flags:
            assert any(f"\\fB{flag}\\fR" in part for part in parts_of), (verbs, flag)
    assert "--pages" not in text


@needs("man")
@pytest.mark.parametrize("program", PROGRAMS)
def test_man_has_nothing_to_say_against_the_manual(program):
    manual = MANUALS[program]
    checked = run("man", "--warnings", "--local-file", "-Tutf8", "-Z", manual)
    assert checked.returncode == 0 and checked.stderr == ""
    # One line, for apropos.
    name = run("lexgrog", manual).stdout
    assert f'"{program} - ' in name


def bash_offers(program, *words):
    """What a tab behind `words` gives, the last of them unfinished."""
    script = (
        f"source {PAGES / program}.bash; COMP_WORDS=({program} \"$@\"); "
        f"COMP_CWORD=$#; compopt() {{ echo files; }}; _{program}; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = run("bash", "--norc", "-c", script, "bash", *words)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_bash_offers_all_verbs_and_flags(program):
    _, top_verbs = told_by_help(program)
    assert top_verbs <= bash_offers(program, "")
    for verbs, flags in all_of(program).items():
        assert flags <= bash_offers(program, *verbs, "--"), verbs


def test_bash_knows_where_it_is():
    assert bash_offers("muster", "sta") == {"status"}
    assert bash_offers("muster", "--address", "alerts", "status", "--ex") == {"--exit-code"}
    assert bash_offers("muster", "status", "--json", "--add") == {"--address"}
    assert bash_offers("muster", "reference", "") >= {"save"}
    assert "--output" in bash_offers("muster", "reference", "save", "--")
    assert bash_offers("muster", "simulate", "--tails", "stu") == {"student-t3"}
    assert bash_offers("muster", "simulate", "--tails", "=", "") == {"gaussian", "student-t3"}
    assert bash_offers("muster", "simulate", "--tails", "gaussian", "--weig") == {"--weights"}
    assert bash_offers("muster", "simulate", "--steps", "") == set()
    assert bash_offers("muster", "replay", "--history", "") == {"files"}


@needs("fish")
@pytest.mark.parametrize("program", PROGRAMS)
def test_fish_offers_all_verbs_and_flags(program, tmp_path):
    def offers(line):
        script = f"source {PAGES / program}.fish; complete -C '{program} {line}'"
        done = run("fish", "--no-config", "-c", script, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0, done.stderr
        return {line.split("\t")[0] for line in done.stdout.splitlines()}

    _, top_verbs = told_by_help(program)
    assert top_verbs <= offers("")
    for verbs, flags in all_of(program).items():
        assert flags <= offers(" ".join([*verbs, "--"])), verbs
    if program == "muster":
        assert offers("reference s") == {"save"}
        assert offers("simulate --tails stu") == {"student-t3"}


@needs("zsh")
@pytest.mark.parametrize("program", PROGRAMS)
def test_zsh_reads_all_verbs_and_flags(program):
    page = PAGES / f"{program}.zsh"
    assert run("zsh", "-n", page).stderr == ""
    # What the completion hands to zsh's own functions.
    for verbs, flags in all_of(program).items():
        function = "_".join(["", program, *verbs])
        script = (
            '_arguments() { print -rl -- "$@"; }; _describe() { :; }; '
            f"_{program}() {{ :; }}; source {page} 2>/dev/null; {function}"
        )
        given = run("zsh", "-f", "-c", script).stdout
        for flag in flags:
            assert re.search(rf"^\*{flag}=?\[", given, re.MULTILINE), (verbs, flag)


def test_an_unknown_form_is_wrong_usage_and_help_is_silent_of_it():
    for program, status in (("muster", 2), ("musterd", 1)):
        done = run(PROGRAMS[program], "--pages", "tcsh")
        assert done.returncode == status
        assert "allowed: bash, zsh, fish, man1 or man8" in done.stderr
        assert "--pages" not in run(PROGRAMS[program], "--help").stdout


def test_they_are_installed_where_man_and_the_shells_look(tmp_path):
    for folder in ("cli", "daemon"):
        done = run("cmake", "--install", BUILD / folder, "--prefix", tmp_path)
        assert done.returncode == 0, done.stderr
    share = tmp_path / "share"
    assert (share / "man/man1/muster.1.gz").exists() and (share / "man/man8/musterd.8.gz").exists()
    for program in PROGRAMS:
        assert (share / "bash-completion/completions" / program).exists()
        assert (share / "zsh/site-functions" / f"_{program}").exists()
        assert (share / "fish/vendor_completions.d" / f"{program}.fish").exists()
