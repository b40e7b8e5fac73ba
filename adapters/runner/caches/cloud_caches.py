"""Caches in the object stores of Amazon, Google and Microsoft: which store, with which credentials."""

from __future__ import annotations

import os
from importlib import import_module
from os import PathLike
from typing import Any

from jobledger.core.errors import ArgumentError

from .cache import CacheNotConfigured
from .object_cache import ObstoreCache, said_by


class AmazonS3Cache(ObstoreCache):
    """Keeps values in a bucket of Amazon S3, or of a store that speaks its protocol.

    Shape:  credentials and region are those of boto3 where it is installed (profiles, single sign-on), or else of the
            environment (AWS_ACCESS_KEY_ID and so on) or the machine. `region` is that of the bucket. `options` are
            those of `obstore.store.S3Store`, such as `endpoint="https://minio.example.org"`.
    Errors: ArgumentError for what cannot be used; CacheNotConfigured without the obstore library.

    >>> cache = AmazonS3Cache("my-bucket", region="eu-central-1")
    >>> runner = client.runner(tasks=[Greet], cache=cache)
    """

    def __init__(
        self,
        bucket: str,
        prefix: str | PathLike[str] = "jobs",
        *,
        region: str | None = None,
        **options: Any,
    ) -> None:
        self.bucket = _checked_name("bucket", bucket)
        if region is not None:
            options["region"] = _checked_name("region", region)
        if not options.keys() & {"access_key_id", "aws_access_key_id", "skip_signature"}:
            options = _credentials("boto3", "Boto3CredentialProvider") | options
        super().__init__(_store(self, "S3Store", self.bucket, options), prefix)


class GoogleStorageCache(ObstoreCache):
    """Keeps values in a bucket of Google Cloud Storage.

    Shape:  `bucket` is its name, or a `google.cloud.storage.Bucket`. Credentials are those of google-auth where it is
            installed, or else of GOOGLE_APPLICATION_CREDENTIALS or the machine. `options` are those of
            `obstore.store.GCSStore`.
    Errors: ArgumentError for what cannot be used; CacheNotConfigured without the obstore library.

    >>> cache = GoogleStorageCache("my-bucket", skip_signature=True)  # a public one: without credentials
    >>> runner = client.runner(tasks=[Greet], cache=cache)
    """

    def __init__(self, bucket: Any, prefix: str | PathLike[str] = "jobs", **options: Any) -> None:
        self.bucket = _checked_name("bucket", getattr(bucket, "name", bucket))
        if not options.keys() & {"service_account", "service_account_key", "skip_signature"}:
            options = _credentials("google", "GoogleCredentialProvider") | options
        super().__init__(_store(self, "GCSStore", self.bucket, options), prefix)


class AzureBlobCache(ObstoreCache):
    """Keeps values in a container of Azure Blob Storage.

    Shape:  credentials are those of azure-identity where it is installed, or else of the environment
            (AZURE_STORAGE_ACCOUNT_KEY and so on) or the machine. `options` are those of `obstore.store.AzureStore`,
            such as `account_key=…`.
    Errors: ArgumentError for what cannot be used; CacheNotConfigured without the obstore library.

    >>> cache = AzureBlobCache("myaccount", "my-container")
    >>> runner = client.runner(tasks=[Greet], cache=cache)
    """

    def __init__(
        self, account_name: str, container: str, prefix: str | PathLike[str] = "jobs", **options: Any
    ) -> None:
        self.container = _checked_name("container", container)
        options["account_name"] = _checked_name("account_name", account_name)
        in_environment = any(name.startswith("AZURE_STORAGE_") for name in os.environ)
        if not in_environment and not options.keys() & {"account_key", "sas_key", "skip_signature"}:
            options = _credentials("azure", "AzureCredentialProvider") | options
        super().__init__(_store(self, "AzureStore", self.container, options), prefix)


def _store(cache: ObstoreCache, kind: str, bucket: str, options: dict[str, Any]) -> Any:
    """Return the store. Errors: CacheNotConfigured; ArgumentError."""
    try:
        from obstore import store
    except ImportError:
        raise CacheNotConfigured(
            f"{type(cache).__name__} needs the obstore library, which is not installed: pip install 'jobledger[cloud]'"
        ) from None
    if str(options.get("endpoint", "")).startswith("http://"):
        options = {"client_options": {"allow_http": True}} | options
    try:
        return getattr(store, kind)(bucket, **options)
    except Exception as error:
        raise ArgumentError(
            f"{type(cache).__name__} of {bucket!r} cannot be made: {said_by(error)}"
        ) from error


def _credentials(sdk: str, provider: str) -> dict[str, Any]:
    """Return the credentials that the provider's own library finds; {} where it is not installed or finds none."""
    try:
        return {"credential_provider": getattr(import_module(f"obstore.auth.{sdk}"), provider)()}
    except Exception:  # noqa: BLE001  the store looks on: in the environment, and on the machine
        return {}


def _checked_name(argument: str, given: object) -> str:
    if not isinstance(given, str) or not given.strip() or "/" in given:
        raise ArgumentError(
            f"{argument}={given!r:.100} is no name: pass text, such as {argument}='my-{argument}'"
        )
    return given
