"""Newer code runs what was submitted with older: of the same major version, with a minor version no lower."""

from jobledger import Client, ExecutionContext, Job, Task


class Report(Task):
    """As the submitting program knows it: it has the fields, not the code."""

    year: int

    @staticmethod
    def identifier() -> tuple[str, str]:
        return "example.org/Report", "v1.3"


class ReportTooOld(Task):
    year: int

    @staticmethod
    def identifier() -> tuple[str, str]:
        return "example.org/Report", "v1.2"

    def execute(self, context: ExecutionContext) -> None:
        print(f"v1.2 ran {self.year}")


class ReportTooNew(Task):
    year: int

    @staticmethod
    def identifier() -> tuple[str, str]:
        return "example.org/Report", "v2.0"

    def execute(self, context: ExecutionContext) -> None:
        print(f"v2.0 ran {self.year}")


class ReportOfToday(Task):
    year: int
    draft: bool = False  # fields may be added, with a default

    @staticmethod
    def identifier() -> tuple[str, str]:
        return "example.org/Report", "v1.5"

    def execute(self, context: ExecutionContext) -> None:
        print(f"v1.5 ran {self.year}, draft: {self.draft}")


def main() -> Job:
    client = Client()
    job = client.jobs().submit("report", Report(2025))

    for task in (ReportTooOld, ReportTooNew, ReportOfToday):
        client.runner(tasks=[task]).run_all()
        print(f"-- {job.state.name}")
    return job


if __name__ == "__main__":
    main()
