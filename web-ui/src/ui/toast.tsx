import * as Radix from "@radix-ui/react-toast";
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";
import { asProblem } from "../api/client";
import { useSpeech } from "../i18n";
import { Icon } from "./icons";

interface Note {
  id: number;
  tone: "good" | "bad";
  text: string;
  more: string | null;
}

interface Toaster {
  good(text: string): void;
  bad(error: unknown): void;
}

const Context = createContext<Toaster | null>(null);
let last = 0;

export function Toasts({ children }: { children: ReactNode }) {
  const speech = useSpeech();
  const [notes, setNotes] = useState<readonly Note[]>([]);
  const add = useCallback((note: Omit<Note, "id">) => {
    last += 1;
    const id = last;
    setNotes((now) => [...now.slice(-2), { ...note, id }]);
  }, []);
  const toaster = useMemo<Toaster>(
    () => ({
      good: (text) => add({ tone: "good", text, more: null }),
      bad: (error) => {
        const problem = asProblem(error);
        add({ tone: "bad", text: speech.problem(problem), more: speech.advice(problem) });
      },
    }),
    [add, speech],
  );
  return (
    <Context value={toaster}>
      <Radix.Provider label={speech.t("toast.label")} swipeDirection="right">
        {children}
        {notes.map((note) => (
          <Radix.Root
            key={note.id}
            className={`toast toast-${note.tone}`}
            duration={note.tone === "bad" ? 12_000 : 4_000}
            type={note.tone === "bad" ? "foreground" : "background"}
            onOpenChange={(open) =>
              !open && setNotes((now) => now.filter((other) => other.id !== note.id))
            }
          >
            <Icon name={note.tone === "bad" ? "warn" : "check"} />
            <div>
              <Radix.Title className="toast-title">{note.text}</Radix.Title>
              {note.more && <Radix.Description className="hint">{note.more}</Radix.Description>}
            </div>
            <Radix.Close className="button square quiet" aria-label={speech.t("action.close")}>
              <Icon name="close" size={16} />
            </Radix.Close>
          </Radix.Root>
        ))}
        <Radix.Viewport
          className="toasts"
          label={speech.t("toast.region", { hotkey: "{hotkey}" })}
        />
      </Radix.Provider>
    </Context>
  );
}

export function useToast(): Toaster {
  const toaster = useContext(Context);
  if (!toaster) throw new Error("useToast needs <Toasts> above it");
  return toaster;
}
