"""Map, then reduce: the words of many texts are counted side by side, and added up when all are done."""

import json
from collections import Counter

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.cache import InMemoryCache


class CountWords(Task):
    texts: list[str]

    def execute(self, context: ExecutionContext) -> None:
        counts = [context.submit_subtask(CountText(f"text-{i}", text)) for i, text in enumerate(self.texts)]
        context.submit_subtask(AddUp(), depends_on=counts)


class CountText(Task):
    key: str
    text: str

    def execute(self, context: ExecutionContext) -> None:
        counted = Counter(self.text.lower().split())
        context.job_cache.group("counts")[self.key] = json.dumps(counted).encode()


class AddUp(Task):
    def execute(self, context: ExecutionContext) -> None:
        total: Counter[str] = Counter()
        counts = context.job_cache.group("counts")
        for key in counts:
            total.update(json.loads(counts[key]))
        for word, count in total.most_common(2):
            print(f"{count} x {word}")
        context.job_cache["total"] = json.dumps(total).encode()


TEXTS = ["the log is the truth", "read the log", "a task is computed once", "the end of the log"]


def main() -> Job:
    client = Client()
    job = client.jobs().submit("word-count", CountWords(TEXTS))

    cache = InMemoryCache()
    client.runner(tasks=[CountWords, CountText, AddUp], cache=cache).run_all()

    total = json.loads(cache.group(str(job.id))["total"])
    print(f"{len(total)} different words")
    return job


if __name__ == "__main__":
    main()
