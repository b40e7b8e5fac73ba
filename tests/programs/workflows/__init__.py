"""The programs, each as a user would write it: nothing here knows that it is a test."""
