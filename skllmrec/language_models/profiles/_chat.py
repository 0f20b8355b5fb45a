"""Answers of a server with OpenAI's protocol of chat completions."""

from collections.abc import Iterator, Sequence
from typing import Any

from skllmrec._remote_api import RemoteAPI, refusal_of
from skllmrec.exceptions import RemoteAPIError
from skllmrec.language_models.profiles._generator import Answer

_PATH = "chat/completions"
_ROUNDS = 4  # requests of each thread between two writes to the cache
_REFUSED = {400, 413, 422}  # statuses of a refused request, which may depend on its text alone
_OF_TEXT = {"size", "text"}  # kinds of refusals that depend on the text, whatever their status


class ChatWriter:
    """Sends prompts to a server, a few at a time.

    Parameters
    ----------
    api : RemoteAPI
    request : dict
        Fields of each request besides the messages.
    n_concurrent : int
        Number of simultaneous requests.
    """

    def __init__(self, api: RemoteAPI, request: dict[str, Any], *, n_concurrent: int) -> None:
        self._api = api
        self._request = request
        self._n_concurrent = n_concurrent

    def __call__(self, prompts: Sequence[str]) -> Iterator[dict[int, Answer | RemoteAPIError]]:
        """Answer prompts.

        Parameters
        ----------
        prompts : list of str

        Yields
        ------
        dict of int to {Answer, RemoteAPIError}
            Position of a prompt -> its answer, or the error with which the server refused this request (status 400, 413
            or 422, or a server error that is about the text).

        Raises
        ------
        RemoteAPIError
            If the server cannot be reached, fails, or returns an invalid answer, and after the answers of a group in
            which it refused requests because of the budget or quota of the account.
        """
        size = _ROUNDS * self._n_concurrent
        for start in range(0, len(prompts), size):
            group = list(range(start, min(start + size, len(prompts))))
            answers = self._api.map(lambda position: self._ask(prompts[position]), group)
            ends = [answer for answer in answers if _is_about_account(answer)]
            yield {i: answer for i, answer in zip(group, answers, strict=True) if answer not in ends}
            if ends:
                raise ends[0]

    def _ask(self, prompt):
        body = {**self._request, "messages": [{"role": "user", "content": prompt}]}
        try:
            found = self._api.post_json(_PATH, body, is_final=lambda status, refusal: refusal.kind in _OF_TEXT)
        except RemoteAPIError as error:
            if error.status in _REFUSED or refusal_of(error).kind in _OF_TEXT:
                return error
            raise
        try:
            return read_answer(found)
        except (ValueError, TypeError, AttributeError) as error:
            raise RemoteAPIError(
                f"{self._api.url}/{_PATH} gave what is no answer of a chat ({error}): check base_url and model", 200
            ) from None


def _is_about_account(answer):
    """Whether a refusal is about the account, so that the next text would be refused as well."""
    return isinstance(answer, RemoteAPIError) and refusal_of(answer).kind == "account"


def read_answer(found: dict[str, Any]) -> Answer:
    """Read the answer from the response of a server.

    Parameters
    ----------
    found : dict
        The response.

    Returns
    -------
    Answer

    Raises
    ------
    ValueError
        If the response is invalid.

    Examples
    --------
    >>> from skllmrec.language_models.profiles._chat import read_answer
    >>> read_answer({"choices": [{"message": {"content": "A thriller."}, "finish_reason": "length"}]}).is_cut
    True
    """
    message, reason = _first_choice(found)
    usage = found.get("usage") if isinstance(found.get("usage"), dict) else {}
    return Answer(
        text=_content(message),
        n_prompt_tokens=_count(usage, "prompt_tokens"),
        n_generated_tokens=_count(usage, "completion_tokens"),
        is_cut=reason == "length",
        is_refused=bool(message.get("refusal")) or reason == "content_filter",
    )


def _first_choice(found):
    """Return the message of a response, and the reason why it ended."""
    choices = found.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError(f"no list 'choices' (but {', '.join(sorted(map(repr, found))[:5]) or 'nothing'})")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise ValueError("the first of 'choices' has no message")
    return message, choices[0].get("finish_reason")


def _content(message):
    """Return the text of a message, or the joined text parts of a message in parts."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    if content is not None and not isinstance(content, str):
        raise ValueError(f"the content of the message is {type(content).__name__}")
    return content or ""


def _count(usage, name):
    return usage[name] if type(usage.get(name)) is int else 0
