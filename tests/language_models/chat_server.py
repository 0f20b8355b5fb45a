"""The loopback server of the embedding tests, answering chats instead."""

from contextlib import contextmanager

from embedding_server import _Handler, serving


class ChatHandler(_Handler):
    """Answers the last message with ``server.reply`` of it, or with its last line in capitals."""

    def serve(self, request):
        server = self.server
        if server.key is not None and self.headers.get("Authorization") != f"Bearer {server.key}":
            return self.refuse(401, "Incorrect API key provided")
        if not self.path.endswith("/v1/chat/completions"):
            return self.refuse(404, "no such path")
        prompt = request["messages"][-1]["content"]
        reply = getattr(server, "reply", lambda prompt: "About " + prompt.splitlines()[-1].upper())(prompt)
        with server.lock:
            server.texts[prompt.splitlines()[-1]] += 1
        return self.send(200, chat_answer(reply))


def chat_answer(content, **choice):
    """The body of an answer."""
    message = content if isinstance(content, dict) else {"role": "assistant", "content": content}
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3},
    }


@contextmanager
def chatting(**options):
    """A server that runs for the length of a with block."""
    with serving(**options) as server:
        server.RequestHandlerClass = ChatHandler
        yield server
