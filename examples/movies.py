"""A job meets a film that nobody knows, fails, is mended, and goes on from where it stopped.

    .venv/bin/python examples/movies.py

The job is written to your own log: the embedded server of your data folder, or of JOBLEDGER_HOME. The film database
is a real HTTP server, if a small one. This program serves it on loopback, so no network and no key are needed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

from jobledger import Client, ExecutionContext, Job, JobFailed, Task

TITLES = ["The Matrix", "Shrek 2", "The Ledger of Jobs", "The Avengers"]  # the third was never made


# -- the workflow -------------------------------------------------------------------------------------------------


class MoviesStats(Task):
    """One subtask for each film."""

    titles: list[str]

    def execute(self, context: ExecutionContext) -> None:
        for title in self.titles:
            context.submit_subtask(PrintMovieStats(title))


class PrintMovieStats(Task):
    """Looks a film up. As first written it takes for granted that the film is known."""

    title: str

    def execute(self, context: ExecutionContext) -> None:
        with context.tracer.span("fetch-movie-stats") as span:
            span.set_attribute("movie.title", self.title)
            film = look_up(self.title)
        context.current_task.display = film["Title"]
        context.logger.info("In the cinemas", title=film["Title"], released=film["Released"])


class MendedPrintMovieStats(PrintMovieStats):
    """What takes its place once the bug is found.

    Elsewhere you would edit the class and restart the runner. Here both stand in one file, so the mended one says
    whose tasks it runs: a newer minor version may run those that were submitted with an older one.
    """

    @staticmethod
    def identifier() -> tuple[str, str]:
        return "PrintMovieStats", "v0.1"

    def execute(self, context: ExecutionContext) -> None:
        with context.tracer.span("fetch-movie-stats") as span:
            span.set_attribute("movie.title", self.title)
            film = look_up(self.title)
        if "Title" in film and "Released" in film:
            context.current_task.display = film["Title"]
            context.logger.info("In the cinemas", title=film["Title"], released=film["Released"])
        else:
            context.current_task.display = f"NotFound: {self.title}"
            context.logger.info("No such film", title=self.title)


# -- the story ----------------------------------------------------------------------------------------------------


def main() -> None:
    with serving_films() as url, Client() as client:
        os.environ["FILM_DATABASE"] = url
        job_client = client.jobs()

        job = job_client.submit("movies-stats", MoviesStats(TITLES))
        print(f"Submitted job {job.id}. A runner takes it:\n")
        client.runner(tasks=[MoviesStats, PrintMovieStats]).run_all()
        try:
            job.wait(timeout=30)
        except JobFailed as error:
            print(f"\nIt failed, as a reply without a title was not thought of:\n  {error}\n")
        show(job)
        seen = len(job.history)

        rescheduled = job_client.retry(job)
        print(
            f"\nThe task is mended, and the job retried: {rescheduled} tasks may run. A new runner takes them:\n"
        )
        client.runner(tasks=[MoviesStats, MendedPrintMovieStats]).run_all()
        job.wait(timeout=30)
        print()
        show(job)

        print("\nWhat the log says of the retry. What was computed before did not run again:\n")
        for entry in job.history[seen:]:
            print(f"  {entry}")


def show(job: Job) -> None:
    print(f"Job {job.state.name}:")
    for task in job.tasks:
        runs = sum(attempt.started_at is not None for attempt in task.attempts)
        print(f"  {'  ' if task.parent else ''}{task}, run {runs} time{'' if runs == 1 else 's'}")


# -- the film database --------------------------------------------------------------------------------------------

FILMS = {
    "The Matrix": "31 Mar 1999",
    "Shrek 2": "19 May 2004",
    "The Avengers": "04 May 2012",
}

_direct = build_opener(ProxyHandler({}))  # loopback is not reached through a proxy


def look_up(title: str) -> dict[str, Any]:
    """Return what the film database says about this title."""
    url = f"{os.environ['FILM_DATABASE']}/?{urlencode({'t': title})}"
    with _direct.open(url, timeout=10) as response:
        film: dict[str, Any] = json.load(response)
        return film


class FilmDatabase(BaseHTTPRequestHandler):
    """Answers `/?t=<title>` with JSON, as such services do: a film that is not known is an answer, too."""

    def do_GET(self) -> None:
        title = parse_qs(urlsplit(self.path).query).get("t", [""])[0]
        if title in FILMS:
            film = {"Title": title, "Released": FILMS[title], "Response": "True"}
        else:
            film = {"Response": "False", "Error": "Movie not found!"}
        body = json.dumps(film).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the terminal for the tasks."""


@contextmanager
def serving_films() -> Iterator[str]:
    """Serve the film database on a free port of loopback; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), FilmDatabase) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main()
