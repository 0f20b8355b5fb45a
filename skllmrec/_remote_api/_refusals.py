"""What a server means by a refusal: too much at once, a text that it cannot take, the account, or something else.

Services have a status for a refusal, but the reason is in a sentence, and each words it in its own way. The wordings
here are those of OpenAI, Azure, Cohere, Voyage, Mistral, Jina, Gemini, Vertex AI, DashScope, SiliconFlow, Groq,
LiteLLM, text-embeddings-inference, vLLM, llama.cpp and Ollama, as users have reported them.
"""

import re
from typing import NamedTuple

_READ = 4096  # characters of a message that are searched
_NUMBER = r"(\d[\d,]*)"
_TEXTS = r"(?:texts|inputs|items|documents|requests|elements|sentences|instances|strings)"
# how many texts a request may have; a "physical batch size" is a number of tokens
_LIMITS = re.compile(
    rf"max(?:imum)? allowed batch size:? {_NUMBER}"  # text-embeddings-inference, SiliconFlow
    r"|(?<!physical )batch size\b[^.\d]{0,60}?"  # DashScope
    rf"(?:not be larger than|at most|limit(?: is| of)?:?|maximum(?: is| of)?:?) {_NUMBER}"
    rf"|number of {_TEXTS}[^.\d]{{0,30}}? {_NUMBER}"  # Azure: inputs is 16; Cohere: texts must be at most 96
    rf"|(?:at most|no more than|up to|maximum of|max) {_NUMBER} {_TEXTS}"  # Gemini, Jina, pydantic
    rf"|{_NUMBER} instance\(s\) is allowed"  # Vertex AI
    rf"|(?:array|list) with maximum length {_NUMBER}"  # OpenAI
    rf"|largest allowed size {_NUMBER}",  # Jina
    re.I,
)
_TOO_LARGE_REQUEST = re.compile(r"request (?:is )?too large|request payload size exceeds", re.I)  # Groq, OpenAI; Gemini
_ACCOUNT = re.compile(
    r"budget|quota|billing|payment|insufficient[ _](?:credit|fund|balance)|(?:credit|account) balance"
    r"|(?:out of|no|not enough|more) credits?\b|credits? (?:limit|exhausted|remaining)|spend(?:ing)? limit"
    r"|rate[ _-]?limit|too many requests|\b[tr]p[md]\b"
    r"|\b(?:tokens|requests) per (?:second|minute|min|hour|day|month)\b",
    re.I,
)
_OTHER_PARAMETER = re.compile(
    r"\bdimensions?\b|matryoshka|encoding_format"
    r"|\bmodel\b.{0,80}?\b(?:not found|not exist|unknown|not available|no access|not supported|invalid)\b",
    re.I | re.S,
)
_SIZE = re.compile(
    r"\btoo many (?:inputs|tokens|texts|items|documents|characters|instances|strings)"
    r"|\b(?:inputs?|texts?|prompts?|payload|body|entity|content|sequences?|batch|array|list|strings?|documents?)\b"
    r".{0,60}?\btoo (?:large|long|big)\b"
    r"|\bbatch size\b"
    r"|\b(?:context|input|sequence|token|prompt)s? (?:length|size|window|limit)\b"
    r"|\btokens per (?:request|(?:submitted )?batch)\b"
    r"|\b(?:exceeds?|exceeded|longer than|larger than|above)\b.{0,40}?\b(?:tokens|characters|context|bytes)\b"
    rf"|\bmust have (?:less|fewer) than {_NUMBER} (?:tokens|characters)\b"
    rf"|\bat most {_NUMBER} (?:tokens|characters)\b"
    r"|\b(?:maximum|max)\b.{0,40}?\b(?:tokens|characters|context|texts|inputs|length)\b"
    r"|\breduce (?:the length|the number|your (?:prompt|input))"
    r"|\bsplit into more batches\b"
    r"|'\$\.input' is invalid"  # OpenAI, for an array of more than 2,048 texts as for one without any
    r"|string_above_max_length|array_above_max_length|max_tokens_per_request|context_length_exceeded",
    re.I | re.S,
)
_TEXT = re.compile(
    r"\bnan\b|out of range float|not json compliant"  # Ollama: json: unsupported value: NaN; FastAPI
    r"|(?:invalid|malformed|unsupported|(?:cannot|could not|failed to|unable to) (?:process|encode|embed|tokeni[sz]e))"
    r" (?:the )?(?:inputs?|texts?|prompts?|sequences?)\b",
    re.I,
)
_REFUSALS = {200, 400, 413, 422, 500, 501, 502}  # 503 and 504 are about the load of a server


class Refusal(NamedTuple):
    """What a server means by an answer that is none.

    Parameters
    ----------
    kind : {"size", "text", "account", "other"}
        Whether the request, or a text in it, is too large; the server cannot compute what it is asked for with a text
        in the request; the account may not spend or ask more; or anything else.
    limit : int or None, default=None
        Texts that a request may have, where the server says so.
    """

    kind: str
    limit: int | None = None


OTHER = Refusal("other")


def read_refusal(status: int | None, message: str) -> Refusal:
    """Read what a server means.

    Parameters
    ----------
    status : int or None
        Status code; None if there was no answer.
    message : str
        What the server says.

    Returns
    -------
    Refusal

    Examples
    --------
    >>> from skllmrec._remote_api._refusals import read_refusal
    >>> read_refusal(413, "batch size 100 > maximum allowed batch size 32")
    Refusal(kind='size', limit=32)
    >>> read_refusal(400, "Budget has been exceeded! Current cost: 26.1, Max budget: 25").kind
    'account'
    """
    message = message[:_READ]
    if status in {402, 403, 429}:
        if status == 429 and _TOO_LARGE_REQUEST.search(message):
            return Refusal("size")
        return Refusal("account") if status == 402 or _ACCOUNT.search(message) else OTHER
    if status not in _REFUSALS:
        return OTHER
    found = _LIMITS.search(message)
    if found is not None:
        limit = next(number for number in found.groups() if number is not None)
        return Refusal("size", int(limit.replace(",", "")) or None)
    return Refusal(_kind_of_words(status, message))


def _kind_of_words(status, message):
    if _TOO_LARGE_REQUEST.search(message):
        return "size"
    if _ACCOUNT.search(message):
        return "account"
    if _OTHER_PARAMETER.search(message):
        return "other"
    if status == 413 or _SIZE.search(message):
        return "size"
    return "text" if status >= 500 and _TEXT.search(message) else "other"
