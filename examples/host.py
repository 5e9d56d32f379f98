"""A host app in little: a chat on the terminal whose model learns overnight, through `import edgesleep`.

Owns the loop, and asking the model with llama-cpp-python as any app would. Leaves remembering, recalling and learning
to edgesleep. `/sleep` has a night. First `edgesleep init`, then `python examples/host.py`.
"""

from __future__ import annotations

import sys
import threading

from llama_cpp import Llama

import edgesleep


class Host:
    """A model in memory, and the generation of it that is served."""

    def __init__(self, home: str | None) -> None:
        self.journal, self.memory = edgesleep.Journal(home), edgesleep.Memory(home)
        self.night, self.store = edgesleep.Night(home), edgesleep.Store(home)
        self.load(self.store.current())
        self.watching = edgesleep.on_new_generation(self.load, home=home)

    def load(self, served: edgesleep.Served) -> None:
        self.model = Llama(str(served.model), n_ctx=2048, verbose=False)
        print(f"(generation {served.number})", file=sys.stderr)

    def answer(self, text: str) -> str:
        asked = self.memory.prompt(text)  # with what was said before that the weights do not know yet
        self.journal.log("user", text, session="host")
        chat = [{"role": "user", "content": asked}]
        reply = self.model.create_chat_completion(chat, max_tokens=128, temperature=0)["choices"][0]["message"]
        self.journal.log("assistant", reply["content"].strip() or "...", session="host")
        return reply["content"].strip()

    def sleep(self, stop: threading.Event) -> None:
        try:
            report = self.night.run(lambda at: print(f"  {at.stage}", file=sys.stderr), stop.is_set)
            print(f"{report.status}: {report.reason}")
        except edgesleep.EdgesleepError as error:
            print(f"{error.message} {error.hint}")


def main() -> None:
    host, stop = Host(sys.argv[1] if len(sys.argv) > 1 else None), threading.Event()
    for line in map(str.strip, sys.stdin):
        if line == "/sleep":
            threading.Thread(target=host.sleep, args=(stop,)).start()
        elif line:
            print(host.answer(line), flush=True)
    stop.set()  # a night stops where the next one goes on
    host.watching.stop()


if __name__ == "__main__":
    main()
