import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { ask } from "../api/client";
import type { DeskEvent } from "../api/shapes";
import { useSpeech } from "../i18n";
import { Link } from "../shell/link";
import { Card, Head } from "../ui/bits";
import { Icon } from "../ui/icons";
import { Failed, Skeleton } from "../ui/states";
import { useToast } from "../ui/toast";
import { curl } from "../util/files";
import { brief, dateTime, span, whole } from "../util/format";
import { eventTone, eventWords, subjectOf } from "../util/words";

/** One event whole, with what caused it and what it caused. */
export default function EventPage({ params }: { params: Record<string, string> }) {
  const speech = useSpeech();
  const { t, code } = speech;
  const toast = useToast();
  const position = params.position ?? "";
  const event = useQuery({
    queryKey: ["event", position],
    queryFn: async () =>
      (await ask("GET /api/events/{position}", { path: { position } })) as unknown as DeskEvent,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const correlation = event.data?.correlation;
  const chain = useQuery({
    queryKey: ["chain", correlation],
    queryFn: async () =>
      (
        await ask("GET /api/events", {
          query: {
            correlation: Number(correlation),
            from: Math.max(0, Number(correlation) - 1),
            limit: 500,
          },
        })
      ).events as DeskEvent[],
    enabled: typeof correlation === "number",
  });
  if (event.error) return <Failed error={event.error} retry={() => void event.refetch()} />;
  if (!event.data) return <Skeleton rows={8} />;
  const one = event.data;
  const subject = subjectOf(one);
  const copy = async (text: string) => {
    try {
      await navigator.clipboard.writeText(text);
      toast.good(t("table.copied"));
    } catch (error) {
      toast.bad(error);
    }
  };
  const facts: [string, string][] = [
    [t("log.kind"), one.kind],
    [t("log.stream"), `${one.stream} · ${one.version}`],
    [t("log.by"), brief(one.by)],
    [t("event_page.occurred"), one.occurred_at === null ? "–" : dateTime(one.occurred_at)],
    [t("event_page.received"), one.received_at === null ? "–" : dateTime(one.received_at)],
    [t("event_page.recorded"), dateTime(one.recorded_at)],
    [t("event_page.id"), one.event_id],
    [t("event_page.command"), one.command_id ?? "–"],
    [t("event_page.cause"), brief(one.causation) || "–"],
  ];
  return (
    <div className="page">
      <Head
        title={eventWords(one, speech)}
        lead={`${code("event", one.kind)} · ${t("trade.event", { position: whole(one.position) })}`}
      >
        {subject && (
          <Link className="button" to={`/accounts/${subject.role}/${subject.account}`}>
            {subject.account}
          </Link>
        )}
        {one.kind === "signal_taken" && (
          <Link className="button" to={`/trades/${one.position}`}>
            {t("trade.why")}
          </Link>
        )}
        <Link className="button" to="/" query={{ at: String(one.position) }}>
          <Icon name="history" size={16} /> {t("trade.then")}
        </Link>
        <Link
          className="button square"
          to={`/log/${one.position - 1}`}
          aria-label={t("travel.older")}
        >
          <Icon name="left" />
        </Link>
        <Link
          className="button square"
          to={`/log/${one.position + 1}`}
          aria-label={t("travel.newer")}
        >
          <Icon name="right" />
        </Link>
      </Head>
      <div className="columns">
        <Card title={t("event_page.facts")}>
          <dl className="facts">
            {facts.map(([label, value]) => (
              <div key={label}>
                <dt>{label}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </Card>
        <Card title={t("event_page.chain")}>
          {chain.error ? (
            <Failed error={chain.error} retry={() => void chain.refetch()} />
          ) : (
            <Tree events={chain.data ?? [one]} at={one.position} />
          )}
        </Card>
      </div>
      <Card
        title="JSON"
        tools={
          <span className="row">
            <button
              type="button"
              className="button small"
              onClick={() => void copy(JSON.stringify(one, null, 2))}
            >
              <Icon name="copy" size={15} /> {t("action.copy")}
            </button>
            <button
              type="button"
              className="button small"
              onClick={() => void copy(curl(`/api/events/${one.position}`))}
            >
              <Icon name="terminal" size={15} /> {t("table.curl")}
            </button>
          </span>
        }
      >
        <pre tabIndex={0}>
          <code>{JSON.stringify(one, null, 2)}</code>
        </pre>
      </Card>
    </div>
  );
}

interface Twig {
  event: DeskEvent;
  twigs: Twig[];
}

/** Cause above, effects below it. What has no cause in the chain stands at its root. */
export function treeOf(events: readonly DeskEvent[]): Twig[] {
  const all = new Map(events.map((event) => [event.position, { event, twigs: [] as Twig[] }]));
  const byId = new Map([...all.values()].map((twig) => [twig.event.event_id, twig]));
  const roots: Twig[] = [];
  for (const twig of all.values()) {
    const { causation, position } = twig.event;
    const cause = typeof causation === "number" ? all.get(causation) : byId.get(String(causation));
    if (cause && cause.event.position < position) cause.twigs.push(twig);
    else roots.push(twig);
  }
  return roots;
}

function Tree({ events, at }: { events: readonly DeskEvent[]; at: number }) {
  const roots = useMemo(() => treeOf(events), [events]);
  return (
    <div className="scroll tall">
      <Twigs twigs={roots} at={at} from={roots[0]?.event.recorded_at ?? 0} />
    </div>
  );
}

function Twigs({ twigs, at, from }: { twigs: readonly Twig[]; at: number; from: number }) {
  const speech = useSpeech();
  return (
    <ul className="tree">
      {twigs.map(({ event, twigs: below }) => (
        <li key={event.position}>
          <p className={`told-${eventTone(event)}${event.position === at ? " is-here" : ""}`}>
            <Link
              to={`/log/${event.position}`}
              {...(event.position === at ? { "aria-current": "true" as const } : {})}
            >
              {eventWords(event, speech)}
            </Link>{" "}
            <span className="hint">
              {event.position} · +{span(event.recorded_at - from)}
            </span>
          </p>
          {below.length > 0 && <Twigs twigs={below} at={at} from={from} />}
        </li>
      ))}
    </ul>
  );
}
