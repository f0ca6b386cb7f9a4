"""`jaxllc`: the command line.

Exit codes
    0    it worked
    1    an unexpected failure, a fault of jaxllc (`--traceback` shows where)
    2    input that cannot be used; one sentence on stderr says which and how to mend it
    3    a simulation or a training diverged or stalled, a steady state was not reached, or no law was found
         that can be trusted; what was reached is written, and stderr says when and why
    130  interrupted; nothing is left half written, and discover and train write the best they have

Results go to stdout, everything else to stderr. With `--json`, stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import jaxllc
from jaxllc.commands import COMMANDS, Command
from jaxllc.commands.common_arguments import add_common_arguments
from jaxllc.commands.elapsed import process_age
from jaxllc.commands.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK
from jaxllc.commands.progress import say
from jaxllc.errors import InputError, nearest_match

_EPILOG = """exit codes: 0 it worked; 1 unexpected failure; 2 input that cannot be used;
3 a simulation or a training diverged, a steady state was not reached or no law was found that can be
trusted; 130 interrupted, with nothing half written"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are sentences like every other bad input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None, age: float = 0.0) -> int:
    """Run one command and return its exit code; `arguments` are by default those of the process.

    age: seconds that the command has taken already, to be counted among those that it prints.
    """
    begun = time.perf_counter() - age
    words = list(sys.argv[1:] if arguments is None else arguments)
    wants_traceback = "--traceback" in words
    with warnings.catch_warnings():
        if not sys.warnoptions:
            # Warnings of libraries are for programmers; what a user must know is printed as a sentence.
            warnings.simplefilter("ignore")
        try:
            _interrupt_on_termination()
            options = _parser(words).parse_args(words)
            options.words = words
            options.begun = begun
            code = int(options.run(options))
            if sys.stdout is not None:  # it is None where it was closed, as by >&-
                sys.stdout.flush()  # where it is full, that is said
            return code
        except SystemExit as done:  # --help and --version
            return int(done.code or 0)
        except InputError as error:
            return _say(str(error), BAD_INPUT)
        except KeyboardInterrupt:
            return _say("interrupted; no half-written file is left", INTERRUPTED)
        except BrokenPipeError:  # the reader of stdout has gone, as in `jaxllc ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except OSError as error:
            if wants_traceback or error.errno != errno.ENOSPC:
                return _fault(error, wants_traceback)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _say(
                "cannot write to stdout: no space is left there; make room, or send it elsewhere",
                BAD_INPUT,
            )
        except Exception as error:
            return _fault(error, wants_traceback)


def _fault(error: Exception, wants_traceback: bool) -> int:
    """What could not be foreseen."""
    if wants_traceback:
        raise error
    if type(error).__name__ == "StalledError":
        return _say(f"{error}; the same command goes on from what is written", FAILED)
    return _say(
        f"unexpected failure ({type(error).__name__}: {str(error)[:300]}); this is a fault of jaxllc, "
        "--traceback shows where",
        FAILED,
    )


def console() -> int:
    """The command of the console: `main`, and an exit code of 130 wherever the interrupt struck."""
    code = main(age=process_age())
    if code == INTERRUPTED or getattr(sys.modules.get("jaxllc.running.waiting"), "lost", False):
        # An interrupt that passed through exec(), as in an import, would end the process by the signal; and
        # threads of a device that wait for each other would not let it end.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)
    return code


def _say(sentence: str, code: int) -> int:
    say(sentence)
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jaxllc",
        description="Discover the law of networked dynamics, as an equation a person can read.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    _add_commands(parser, COMMANDS, list(words))
    return parser


def _add_commands(
    parser: argparse.ArgumentParser,
    commands: Sequence[Command],
    words: Sequence[str],
    group: str = "",
) -> None:
    """A sub-command for each command, of which the chosen one is loaded and gets its arguments.

    words: what is left of the command line. A command that is not there gets its sentence; a module that has
    COMMANDS itself is a group of commands.
    """
    subparsers = parser.add_subparsers(
        dest=f"{group}command", metavar="COMMAND", parser_class=_Parser, required=True
    )
    place = next((n for n, word in enumerate(words) if not word.startswith("-")), None)
    given = None if place is None else words[place]
    for command in commands:
        subparser = subparsers.add_parser(
            command.name,
            help=command.help,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if place is None or command.name != given:
            continue
        module = command.module()
        subparser.description = module.__doc__
        if hasattr(module, "COMMANDS"):
            _add_commands(subparser, module.COMMANDS, words[place + 1 :], f"{group}{command.name} ")
            continue
        module.add_arguments(subparser)
        add_common_arguments(subparser)
        subparser.set_defaults(run=module.run)
    known = [command.name for command in commands]
    if given is not None and given not in known:
        raise InputError(
            f"there is no command {f'{group}{given}'!r}{nearest_match(given, known)}; "
            f"commands: {', '.join(known)}"
        )


class _Version(argparse.Action):
    """Prints the version; it is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"jaxllc {jaxllc.__version__}")
        parser.exit(OK)


def _interrupt_on_termination() -> None:
    """Being terminated cleans up as Ctrl-C does, and neither is lost; only the main thread may say so."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        if sys.unraisablehook is not _unraisable:
            _hooks.append(sys.unraisablehook)
            sys.unraisablehook = _unraisable


# Exceptions are lost in callbacks of the garbage collector, of which JAX registers one, in the callback by
# which threadpoolctl looks through the loaded libraries, and in destructors.
_DEAF = frozenset({"_xla_gc_callback", "match_library_callback", "__del__"})


_hooks: list[Any] = []


def _unraisable(lost: Any) -> None:
    """An interrupt that Python dropped in any other callback comes once more; the rest is said as before."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _again(signal.SIGINT)
    elif _hooks:
        _hooks[-1](lost)


def _again(number: int) -> None:
    again = threading.Timer(0.01, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt; where Python would drop it, the signal comes once more."""
    while frame is not None:
        if frame.f_code.co_name in _DEAF:
            _again(number)
            return
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
