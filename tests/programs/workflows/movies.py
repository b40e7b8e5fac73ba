"""The film story: a job that fails on a film which is not known, and resumes once its code can deal with that."""

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from jobledger import Client, ExecutionContext, Job, Task


class MoviesStats(Task):
    titles: list[str]
    api: str

    def execute(self, context: ExecutionContext) -> None:
        for title in self.titles:
            context.submit_subtask(PrintMovieStats(title, self.api))


class PrintMovieStats(Task):
    title: str
    api: str

    def execute(self, context: ExecutionContext) -> None:
        params = {"t": self.title, "apikey": "not-needed"}
        with context.tracer.span("fetch-movie-stats") as span:
            span.set_attribute("movie.title", self.title)
            response = get_json(f"{self.api}/?{urlencode(params)}")
        context.current_task.display = response["Title"]
        context.logger.info("Movie found", title=response["Title"], released=response["Released"])


def get_json(url: str) -> Any:
    with build_opener(ProxyHandler({})).open(url, timeout=10) as response:
        return json.load(response)


def fixed() -> type[Task]:
    """The next deployment, in which the class of the same name can deal with a missing film."""

    class PrintMovieStats(Task):
        title: str
        api: str

        def execute(self, context: ExecutionContext) -> None:
            params = {"t": self.title, "apikey": "not-needed"}
            with context.tracer.span("fetch-movie-stats") as span:
                span.set_attribute("movie.title", self.title)
                response = get_json(f"{self.api}/?{urlencode(params)}")
            if "Title" in response and "Released" in response:
                context.current_task.display = response["Title"]
                context.logger.info("Movie found", title=response["Title"], released=response["Released"])
            else:
                context.current_task.display = f"NotFound: {self.title}"
                context.logger.info("Movie not found", title=self.title)

    return PrintMovieStats


def main(api: str, titles: list[str]) -> Job:
    client = Client()
    job = client.jobs().submit("movies-stats", MoviesStats(titles, api))

    client.runner(tasks=[MoviesStats, PrintMovieStats]).run_all()
    return job


def deploy_and_retry(job: Job) -> int:
    client = Client()
    rescheduled = client.jobs().retry(job)
    client.runner(tasks=[MoviesStats, fixed()]).run_all()
    return rescheduled
