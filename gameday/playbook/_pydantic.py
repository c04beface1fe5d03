"""What pydantic found wrong, in the words and at the places of the playbook."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gameday.playbook._document import Data
from gameday.playbook._problems import Path, Problems, did_you_mean, shown

M = TypeVar("M", bound=BaseModel)

_WANTED = {
    "string_type": "a text",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping ('name: value' lines)",
    "mapping_type": "a mapping ('name: value' lines)",
    "model_type": "a mapping ('name: value' lines)",
    "model_attributes_type": "a mapping ('name: value' lines)",
    "list_type": "a list (lines that begin with '- ')",
    "tuple_type": "a list (lines that begin with '- ')",
    "set_type": "a list (lines that begin with '- ')",
    "frozen_set_type": "a list (lines that begin with '- ')",
}


def validated(model: type[M], data: Data, path: Path, problems: Problems, later: Mapping[str, str] = {}) -> M | None:
    """The model made from a piece of the playbook, or None with its mistakes noted.

    ``later`` says of unknown keys why they are unknown, where more can be said than that.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(detail, model, path, problems, later)
    except OverflowError:
        # What a number's own parser lets through: a duration of 10^30 days. pydantic only catches ValueError.
        problems.add(path, "holds a number that is too large")
    return None


def keys(model: type[BaseModel]) -> list[str]:
    """The names under which a model's fields are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def unknown_key(name: str, known: Iterable[str], later: Mapping[str, str]) -> str:
    """The message for a key that nobody reads."""
    if name in later:
        return later[name]
    if name == "<<":
        return "unknown key; YAML's merge keys are not read here, so repeat the lines"
    known = list(known)
    return "unknown key" + (did_you_mean(name, known) or (f"; known here: {', '.join(known)}" if known else ""))


def _note(
    detail: ErrorDetails, model: type[BaseModel], path: Path, problems: Problems, later: Mapping[str, str]
) -> None:
    where = (*path, *detail["loc"])
    if detail["type"] == "extra_forbidden":
        inner = _inner(model, detail["loc"][:-1])
        known = keys(inner) if inner else []
        problems.add(where, unknown_key(str(detail["loc"][-1]), known, later), key=True)
    elif detail["type"] == "missing":
        problems.add(where, "is missing")
    else:
        problems.add(where, _message(detail))


def _inner(model: type[BaseModel], where: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model in which a piece of the playbook is read."""
    for name in where:
        field = next((f for own, f in model.model_fields.items() if name in (own, f.alias)), None)
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not found:
            return None
        model = found[0]
    return model


def _message(detail: ErrorDetails) -> str:
    given: Any = detail["input"]
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return " ".join(str(context["error"]).split())
    if detail["type"] in _WANTED:
        return f"must be {_WANTED[detail['type']]}, not {_what(given)}"
    if detail["type"] in ("literal_error", "enum"):
        return f"must be {context['expected']}, not {_what(given)}"
    text = " ".join(detail["msg"].split())
    text = re.sub(r"^\w+ should ", "must ", text)
    return (text[:1].lower() + text[1:]) + (f", not {_what(given)}" if isinstance(given, str) else "")


def _what(given: object) -> str:
    if isinstance(given, str):
        return shown(given)
    if given is None:
        return "nothing"
    return "a mapping" if isinstance(given, dict) else "a list" if isinstance(given, list) else shown(str(given))
