import * as Radix from "@radix-ui/react-dialog";
import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { useBoard } from "../live/hooks";
import { Icon, type IconName } from "../ui/icons";
import { PAGES } from "./pages";
import { go, hrefOf } from "./router";

interface Command {
  key: string;
  icon: IconName;
  title: string;
  hint?: string;
  run: () => void;
}

interface Props {
  onClose: () => void;
  acts: readonly Command[];
}

/** Everything by its name: pages, accounts, endpoints, positions of the log, and what can be done. */
export function Palette({ onClose, acts }: Props) {
  const { t } = useSpeech();
  const accounts = useBoard((board) => board.accounts);
  const endpoints = useBoard((board) => board.endpoints);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);

  const commands = useMemo<Command[]>(() => {
    const pages = PAGES.map((page) => ({
      key: page.path,
      icon: page.icon,
      title: t(page.title),
      hint: `g ${page.letter}`,
      run: () => go(hrefOf(page.path)),
    }));
    const people = [...accounts.values()].map((one) => ({
      key: `${one.role}/${one.account}`,
      icon: "accounts" as const,
      title: one.account,
      hint: [t(`role.${one.role}`), one.name, one.broker].filter(Boolean).join(" · "),
      run: () => go(hrefOf(`/accounts/${one.role}/${one.account}`)),
    }));
    const servers = [...endpoints.values()].map((one) => ({
      key: one.id,
      icon: "endpoints" as const,
      title: one.name,
      hint: one.base_url,
      run: () => go(hrefOf(`/endpoints/${one.id}`)),
    }));
    return [...pages, ...acts, ...people, ...servers];
  }, [t, accounts, endpoints, acts]);

  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const some = commands.filter((command) => {
      const line = `${command.title} ${command.hint ?? ""}`.toLowerCase();
      return words.every((word) => line.includes(word));
    });
    if (/^\d+$/.test(text.trim())) {
      const number = text.trim();
      some.unshift(
        {
          key: "position",
          icon: "log",
          title: t("palette.event", { position: number }),
          run: () => go(hrefOf(`/log/${number}`)),
        },
        {
          key: "ticket",
          icon: "copying",
          title: t("palette.ticket", { ticket: number }),
          run: () => go(hrefOf("/trades", { ticket: number })),
        },
      );
    }
    return some.slice(0, 40);
  }, [commands, text, t]);

  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      const next = (at + step + found.length) % found.length;
      setAt(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    }
    if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault();
      run(found[at]);
    }
  };

  return (
    <Radix.Root open onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <div className="shade" aria-hidden="true" />
        <Radix.Content className="palette" aria-describedby={undefined} onKeyDown={onKeyDown}>
          <Radix.Title className="hidden">{t("palette.title")}</Radix.Title>
          <div className="palette-input">
            <Icon name="search" />
            <input
              role="combobox"
              aria-label={t("palette.title")}
              aria-expanded="true"
              aria-controls="palette-list"
              {...(found[at] ? { "aria-activedescendant": `palette-${at}` } : {})}
              placeholder={t("palette.placeholder")}
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                setAt(0);
              }}
            />
          </div>
          <div
            className="palette-list"
            id="palette-list"
            ref={list}
            role="listbox"
            aria-label={t("palette.title")}
          >
            {found.map((command, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the input
              <div
                key={command.key}
                id={`palette-${index}`}
                role="option"
                aria-selected={index === at}
                tabIndex={-1}
                onMouseMove={() => setAt(index)}
                onClick={() => run(command)}
              >
                <Icon name={command.icon} size={16} />
                <span>{command.title}</span>
                {command.hint && <span className="palette-hint">{command.hint}</span>}
              </div>
            ))}
          </div>
          {found.length === 0 && <p className="nothing">{t("palette.nothing")}</p>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export type { Command };
