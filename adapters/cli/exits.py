"""Exit codes: part of what scripts rely on, so none ever changes its meaning. 0 is success.

`docs/cli.md` lists them for users.
"""

FAILED = 1  #: what was asked for could not be done, or not all of it
USAGE = 2  #: the command line makes no sense
NOT_RUNNING = 3  #: no server runs, as service managers have it
NOT_FOUND = 4  #: no such job, task or cluster
JOB_FAILED = 5  #: the job that was waited for has failed
JOB_CANCELED = 6  #: the job that was waited for was canceled
TIMED_OUT = 7  #: the time to wait was over before what was waited for came
UNSOUND = 8  #: the audit found something wrong
UNRELIABLE = 9  #: the doctor found that what is promised does not hold, or cannot be shown to
UNUSABLE = 65  #: what is to be verified cannot be used at all; EX_DATAERR of sysexits.h
SERVER_UNAVAILABLE = 69  #: no server, no engine or no projector answers; EX_UNAVAILABLE of sysexits.h
LOG_FULL = 75  #: the log has no room for anything new; EX_TEMPFAIL of sysexits.h
INTERRUPTED = 130  #: Ctrl-C; shells have it as 128 and the number of the signal
BROKEN_PIPE = 141  #: whoever read the output has gone; in the same way
