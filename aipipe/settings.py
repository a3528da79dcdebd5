"""Settings and projects: one schema, read from arguments, `AIPIPE_*`, aipipe.toml and defaults, in this order.

A *project* is the nearest folder upwards that has `aipipe.toml`. Paths in the file are relative to that folder, never
to the current directory, because a kernel starts in its notebook's folder.
"""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from aipipe.errors import InvalidSettings, near_names

FILE_NAME = "aipipe.toml"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _check_kind(kind: str, own: tuple[str, ...], group: str) -> str:
    """Refuse a kind that is neither ours nor brought by an installed package, here where file and key are named."""
    if kind not in own:
        brought = entry_points(group=group).names
        if kind not in brought:
            known = [*own, *sorted(brought)]
            near = near_names(kind, known)
            raise ValueError(
                f"unknown kind {kind!r}, " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")
            )
    return kind


class Section(BaseModel):
    """Base of all sections: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class BackendSettings(Section):
    """`[backends.NAME]`: one language model service."""

    kind: str = Field(description="ollama, openai, embedded, echo, or a kind that an installed package brings.")
    url: str = Field("", description="Base address, for example http://127.0.0.1:11434 or https://host/v1.")
    key_env: str = Field("", description="Environment variable, or keyring entry, that holds the key.")
    model: str = Field("", description="Model when a task names none.")
    keep_alive: str = Field("", description="How long Ollama keeps the model in memory, for example 5m or 0.")
    threads: int = Field(0, ge=0, description="Threads of the embedded model; 0: as many as cores, at most 8.")
    idle_minutes: float = Field(15, gt=0, description="The embedded server ends after this time without a request.")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        return _check_kind(kind, ("ollama", "openai", "embedded", "echo"), "aipipe.backends")


class RunnerSettings(Section):
    """`[runners.NAME]`: one media generator."""

    kind: str = Field(
        description="comfyui, sketch, placeholder, openai_images, or a kind that an installed package brings."
    )
    urls: list[str] = Field(default_factory=list, description="Addresses of ComfyUI servers.")
    url: str = Field("", description="Base address of an image endpoint.")
    key_env: str = Field("", description="Environment variable, or keyring entry, that holds the key or token.")
    model: str = Field("", description="Model when the output config names none.")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        return _check_kind(kind, ("comfyui", "sketch", "placeholder", "openai_images"), "aipipe.runners")


class ModeSettings(Section):
    """`[modes.NAME]`: which parts a mode uses."""

    backend: str = Field("", description="Name under [backends].")
    models: dict[str, str] = Field(default_factory=dict, description="Task → model or backend:model.")
    outputs: dict[str, str] = Field(default_factory=dict, description="Media type → output config.")


class Limits(Section):
    """`[limits]`: what is refused before a run, and how long a call may take."""

    input_chars: int = Field(10_000, gt=0, description="Longest text input, in characters.")
    image_bytes: int = Field(50_000_000, gt=0, description="Largest input image.")
    media_bytes: int = Field(8_000_000_000, gt=0, description="Largest output file.")
    connect_seconds: float = Field(5.0, gt=0, description="Time limit for connecting.")
    silence_seconds: float = Field(300.0, gt=0, description="Longest pause within an answer.")
    total_seconds: float = Field(1800.0, gt=0, description="Time limit of one call.")


class SafetySettings(Section):
    """`[safety_checks]`: how texts and images are judged."""

    model: str = Field("", description="Model of the text check as backend:model; empty: the mode's safety model.")
    allow_remote: bool = Field(False, description="True lets a safety model run on a host that is not local.")
    image_model: str = Field(
        "auto",
        description="Image check: auto (the ONNX classifier where installed), on (it must work), off, or a vision model as backend:model.",
    )
    image_threshold: float = Field(0.8, gt=0, le=1, description="Score from which an image is blocked.")


class Settings(BaseSettings):
    """All settings of a project."""

    model_config = SettingsConfigDict(
        env_prefix="AIPIPE_", env_nested_delimiter="__", extra="forbid", validate_default=False
    )

    runs: str = Field("runs", description="Folder of the store, relative to the project.")
    mode: Literal["", "eco", "fast", "embedded", "echo"] = Field(
        "", description="eco, fast, embedded, echo; empty: what answers."
    )
    safety: Literal["kids", "youth", "adult", "off"] = Field("kids", description="kids, youth, adult, off.")
    durability: Literal["entity", "stage", "never"] = Field("entity", description="When data is forced to disk.")
    configs: list[str] = Field(
        default_factory=lambda: ["configs"], description="Folders with further configs, chunks and pipelines."
    )
    language: str = Field("en", description="Language of titles and explanations.")
    study: str = Field("", description="Study that runs belong to.")
    cloud: bool = Field(True, description="False refuses every host that is not local.")
    trusted_hosts: list[str] = Field(default_factory=list, description="Hosts that count as local, beside loopback.")
    servers: dict[str, str] = Field(
        default_factory=dict, description="Name → address of a server of your own; its host counts as local."
    )
    backends: dict[str, BackendSettings] = Field(default_factory=dict)
    runners: dict[str, RunnerSettings] = Field(default_factory=dict)
    modes: dict[str, ModeSettings] = Field(default_factory=dict)
    limits: Limits = Limits()
    safety_checks: SafetySettings = SafetySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the default tables; `load` puts the file's values between."""
        return init_settings, env_settings, _FileSource(settings_cls, _DEFAULT_TABLES)

    def is_local(self, url: str) -> bool:
        """True when `url` names loopback, a trusted host or a server of the user's own."""
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower()
        own = {(urlsplit(u if "//" in u else f"//{u}").hostname or "").lower() for u in self.servers.values()}
        return (
            host in LOOPBACK
            or host.startswith("127.")
            or host in own
            or host in {h.lower() for h in self.trusted_hosts}
        )


class _FileSource(PydanticBaseSettingsSource):
    """The values of aipipe.toml, merged over the default tables."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._values)


_DEFAULT_TABLES: dict[str, Any] = {
    "backends": {
        "ollama": {"kind": "ollama", "url": "http://127.0.0.1:11434"},
        "lmstudio": {"kind": "openai", "url": "http://127.0.0.1:1234/v1"},
        "llamacpp": {"kind": "openai", "url": "http://127.0.0.1:8080/v1"},
        "openrouter": {"kind": "openai", "url": "https://openrouter.ai/api/v1", "key_env": "OPENROUTER_API_KEY"},
        "embedded": {"kind": "embedded"},
        "echo": {"kind": "echo"},
    },
    "runners": {
        "comfyui": {"kind": "comfyui", "urls": ["http://127.0.0.1:8188"]},
        "openai_images": {
            "kind": "openai_images",
            "url": "https://openrouter.ai/api/v1",
            "key_env": "OPENROUTER_API_KEY",
        },
        "sketch": {"kind": "sketch"},
        "placeholder": {"kind": "placeholder"},
    },
    "modes": {
        "eco": {
            "backend": "ollama",
            "models": {
                "translation": "mistral-nemo",
                "safety": "llama-guard3:8b",
                "interception": "mistral-nemo",
                "vision": "llava:13b",
            },
            "outputs": {"image": "sd35_large", "audio": "stable_audio", "music": "ace_step", "video": "wan_video"},
        },
        "fast": {
            "backend": "openrouter",
            "models": {
                "translation": "mistralai/mistral-nemo",
                "safety": "ollama:llama-guard3:8b",
                "interception": "mistralai/mistral-nemo",
            },
            "outputs": {"image": "openai_image"},
        },
        "embedded": {"backend": "embedded", "outputs": {"image": "sketch"}},
        "echo": {
            "backend": "echo",
            "outputs": {
                "image": "placeholder",
                "audio": "placeholder_audio",
                "music": "placeholder_music",
                "video": "placeholder_video",
            },
        },
    },
}


def find_project(start: Path | str | None = None) -> Path | None:
    """The nearest folder at or above `start` (default: the current directory) that has aipipe.toml, or None."""
    folder = Path(start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate
    return None


def load(project: Path | str | None = None, **arguments: Any) -> Settings:
    """Read the settings.

    Args:
        project: Folder with aipipe.toml, or None for defaults and environment alone.
        arguments: Settings given in code; they win.

    Raises:
        InvalidSettings: a file that does not parse, an unknown key, a wrong value; names file, key and repair.
    """
    path = Path(project) / FILE_NAME if project else None
    values = _read(path) if path and path.is_file() else {}
    merged = _merge(_DEFAULT_TABLES, values)
    if "OLLAMA_HOST" in os.environ and "ollama" not in values.get("backends", {}):
        merged["backends"]["ollama"]["url"] = _ollama_url(os.environ["OLLAMA_HOST"])
    try:
        return _with_file(merged)(**{k: v for k, v in arguments.items() if v is not None})
    except ValidationError as error:
        raise _explain(error, path) from None


def _with_file(values: dict[str, Any]) -> type[Settings]:
    """A Settings class that reads `values` below the environment: no state is shared between two loads."""

    class ProjectSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, _FileSource(settings_cls, values)

    return ProjectSettings


def store_folder(project: Path | None, settings: Settings, runs: str | Path | None = None) -> Path:
    """The folder of the store: an explicit path counts from the caller's folder, the setting from the project's."""
    if runs is not None:
        return Path(runs).expanduser().resolve()
    return ((project or Path.cwd()) / Path(settings.runs).expanduser()).resolve()


def config_folders(project: Path | None, settings: Settings) -> list[Path]:
    """Folders with the project's own definitions, whether they exist or not."""
    return [((project or Path.cwd()) / Path(folder).expanduser()).resolve() for folder in settings.configs]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{path} is not valid TOML: {error}", hint="Correct that line, or start from `aipipe init`."
        ) from None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = {k: _merge(v, {}) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _ollama_url(host: str) -> str:
    url = host if "//" in host else f"http://{host}"
    parts = urlsplit(url)
    name = "127.0.0.1" if parts.hostname in (None, "0.0.0.0") else parts.hostname  # noqa: S104  an address to bind is none to call
    return f"{parts.scheme}://{name}:{parts.port or 11434}"


def _explain(error: ValidationError, path: Path | None) -> InvalidSettings:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        line = f"{key}: {item['msg']}"
        if item["type"] == "extra_forbidden":
            near = near_names(str(item["loc"][-1]), list(_keys_beside(item["loc"])))
            line = f"{key}: unknown key" + (f", did you mean {near[0]}?" if near else "")
        lines.append(line)
    where = f"{path} or an AIPIPE_* variable" if path else "an argument or an AIPIPE_* variable"
    return InvalidSettings(
        f"Wrong settings in {where}:\n  " + "\n  ".join(lines), hint="docs/settings.md lists every key."
    )


def _keys_beside(loc: tuple[int | str, ...]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "backends": BackendSettings,
        "runners": RunnerSettings,
        "modes": ModeSettings,
        "limits": Limits,
        "safety_checks": SafetySettings,
    }
    if len(loc) == 1:
        return list(Settings.model_fields)
    section = sections.get(str(loc[0]))
    return list(section.model_fields) if section else []
