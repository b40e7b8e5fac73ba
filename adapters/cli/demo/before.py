"""The first version of the demo's code. It has a bug: some modules of the library are not ASCII."""

from __future__ import annotations

from jobledger import ExecutionContext

from . import survey


class SurveyModule(survey.SurveyModule):
    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = self.file
        source = (survey.LIBRARY / self.file).read_text(encoding="ascii")
        self.store(context, survey.count(source))


TASKS = [survey.SurveyLibrary, survey.SurveyPackage, SurveyModule, survey.SumUp]
