import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ask } from "../api/client";
import type * as schema from "../api/schema";
import { useSpeech } from "../i18n";
import { Link } from "../shell/link";
import { go, hrefOf, useRoute } from "../shell/router";
import { Badge, Card, Head, type Tone } from "../ui/bits";
import { Field } from "../ui/field";
import { Icon } from "../ui/icons";
import { Empty, Failed, Skeleton } from "../ui/states";
import { brief, clock, dateTime, span } from "../util/format";
import { eventWords } from "../util/words";

const STAMPS = [
  "broker",
  "seen",
  "received",
  "decided",
  "durable",
  "sent",
  "slave_received",
  "filled",
] as const;

const TONES: Record<string, Tone> = {
  copied: "good",
  resized: "wait",
  observed: "wait",
  skipped: "warn",
  blocked: "bad",
};

/** Why: one trade from signal to fill, with every step of every decision. */
export default function TradePage({ params }: { params: Record<string, string> }) {
  const { t } = useSpeech();
  const { query } = useRoute();
  const ticket = query.get("ticket");
  const account = query.get("account");
  const order = query.get("order");
  const { signal } = params;
  const asked = signal !== undefined || ticket !== null || order !== null;
  const why = useQuery({
    queryKey: ["why", signal ?? null, ticket, account, order],
    queryFn: () =>
      signal !== undefined
        ? ask("GET /api/why/{signal}", { path: { signal } })
        : ask("GET /api/why", {
            query: {
              ...(ticket ? { ticket: Number(ticket) } : {}),
              ...(account ? { account } : {}),
              ...(order ? { order } : {}),
            },
          }),
    enabled: asked,
  });
  return (
    <div className="page">
      <Head title={t("trade.title")} lead={t("trade.lead")} />
      <Search key={`${ticket}/${account}`} ticket={ticket ?? ""} account={account ?? ""} />
      {!asked ? (
        <Empty icon="copying" title={t("trade.ask")}>
          {t("trade.ask_hint")}
        </Empty>
      ) : why.error ? (
        <Failed error={why.error} retry={() => void why.refetch()} />
      ) : !why.data ? (
        <Skeleton rows={6} height={60} />
      ) : why.data.stories.length === 0 ? (
        <Empty icon="search" title={t("trade.none")} />
      ) : (
        why.data.stories.map((story, index) => (
          <StoryCard key={story.signal?.position ?? index} story={story} />
        ))
      )}
    </div>
  );
}

function Search(props: { ticket: string; account: string }) {
  const { t } = useSpeech();
  const [ticket, setTicket] = useState(props.ticket);
  const [account, setAccount] = useState(props.account);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = ticket.trim();
    const query = /^\d+$/.test(text)
      ? { ticket: text, account: account.trim() || null }
      : { order: text };
    go(hrefOf("/trades", query));
  };
  return (
    <form className="search-row" onSubmit={submit}>
      <Field
        label={t("trade.ticket_or_order")}
        data-filter
        value={ticket}
        onChange={(event) => setTicket(event.target.value)}
      />
      <Field
        label={t("trade.account")}
        hint={t("trade.account_hint")}
        value={account}
        onChange={(event) => setAccount(event.target.value)}
      />
      <button type="submit" className="button primary" disabled={!ticket.trim()}>
        <Icon name="search" /> {t("trade.why")}
      </button>
    </form>
  );
}

function StoryCard({ story }: { story: schema.Story }) {
  const speech = useSpeech();
  const { t } = speech;
  const { signal } = story;
  const words = signal
    ? eventWords(
        {
          kind: signal.kind,
          stream: signal.master ? `master/${signal.master}` : "desk",
          payload: signal.payload,
          position: signal.position,
          version: 0,
          event_id: "",
          schema: 1,
          occurred_at: null,
          received_at: null,
          recorded_at: signal.at,
          command_id: null,
          causation: null,
          correlation: null,
          by: null,
        },
        speech,
      )
    : t("trade.no_signal");
  return (
    <section className="story">
      <header className="story-head">
        <div>
          <h2>{words}</h2>
          {signal && (
            <p className="hint">
              {dateTime(signal.at)} ·{" "}
              <Link to={`/log/${signal.position}`}>
                {t("trade.event", { position: signal.position })}
              </Link>
            </p>
          )}
        </div>
        {signal && (
          <Link to="/" query={{ at: String(signal.position) }} className="button small">
            <Icon name="history" size={15} /> {t("trade.then")}
          </Link>
        )}
      </header>
      <div className="story-links">
        {story.links.length === 0 && <p className="nothing">{t("trade.no_links")}</p>}
        {story.links.map((link) => (
          <LinkStory
            key={`${link.slave}/${link.decision?.position ?? link.ticket ?? ""}`}
            link={link}
          />
        ))}
      </div>
    </section>
  );
}

function LinkStory({ link }: { link: schema.LinkStory }) {
  const { t, code, known, language } = useSpeech();
  const { decision } = link;
  const sentence = decision
    ? language === "en"
      ? decision.sentence
      : (known("rule", decision.rule) ?? decision.sentence)
    : null;
  const remedy = decision?.remedy
    ? language === "en"
      ? decision.remedy
      : (known("rule_remedy", decision.rule) ?? decision.remedy)
    : null;
  return (
    <Card
      title={
        <span className="link-ends">
          {link.master && (
            <>
              <Link to={`/accounts/master/${link.master}`}>{link.master}</Link>
              <Icon name="right" size={14} />
            </>
          )}
          <Link to={`/accounts/slave/${link.slave}`}>{link.slave}</Link>
        </span>
      }
      tools={
        decision && (
          <Badge tone={TONES[decision.verdict] ?? "off"}>{code("verdict", decision.verdict)}</Badge>
        )
      }
    >
      {decision && (
        <>
          <p className="story-said">
            {sentence} <code>{decision.rule}</code>
          </p>
          {remedy && <p className="matter-remedy">{t("trade.remedy", { remedy })}</p>}
          <details open={decision.verdict !== "copied"}>
            <summary>{t("trade.steps", { count: decision.steps.length })}</summary>
            <ol className="story-steps" lang="en">
              {decision.steps.map((step, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a step is its place
                <li key={index}>{step}</li>
              ))}
            </ol>
          </details>
        </>
      )}
      {link.orders.map((order) => (
        <OrderStory key={order.id} order={order} />
      ))}
    </Card>
  );
}

function OrderStory({ order }: { order: schema.OrderStory }) {
  const { t, code } = useSpeech();
  const instruction = Object.entries(order.instruction)[0];
  const result = order.results.at(-1)?.result as
    | { outcome?: string; lots?: string; price?: string; error?: unknown; ticket?: number }
    | undefined;
  return (
    <div className="order">
      <p>
        <strong>{code("instruction", instruction?.[0] ?? "")}</strong>{" "}
        <span className="muted">{brief(instruction?.[1])}</span>
      </p>
      <p>
        {result ? (
          <>
            <Badge
              tone={
                result.outcome === "filled"
                  ? "good"
                  : result.outcome === "rejected"
                    ? "bad"
                    : "wait"
              }
            >
              {code("result", result.outcome ?? "")}
            </Badge>{" "}
            {result.lots && `${result.lots} @ ${result.price ?? "–"}`}{" "}
            {result.error != null && brief(result.error)}
          </>
        ) : (
          <Badge tone="wait">{t("trade.waits")}</Badge>
        )}
      </p>
      <Stamps order={order} />
    </div>
  );
}

/** When the order passed each station, drawn to scale and said in figures. */
function Stamps({ order }: { order: schema.OrderStory }) {
  const { t, code } = useSpeech();
  const known = STAMPS.map((name) => ({ name, at: order.stamps[name] ?? null })).filter(
    (stamp): stamp is { name: (typeof STAMPS)[number]; at: number } => stamp.at !== null,
  );
  const first = known[0]?.at;
  const last = known.at(-1)?.at;
  if (first === undefined || last === undefined) return null;
  const whole = Math.max(1, last - first);
  return (
    <div className="stamps">
      <div className="stamps-line" aria-hidden="true">
        {known.map((stamp) => (
          <span
            key={stamp.name}
            className={`stamp stamp-${stamp.name}`}
            style={{ left: `${(100 * (stamp.at - first)) / whole}%` }}
          />
        ))}
      </div>
      <ol>
        {known.map((stamp, index) => (
          <li key={stamp.name}>
            <span className="muted">{code("stamp", stamp.name)}</span>
            <span>
              {index === 0
                ? clock(stamp.at)
                : `+${span(stamp.at - (known[index - 1]?.at ?? stamp.at))}`}
            </span>
          </li>
        ))}
        <li className="stamps-all">
          <span className="muted">{t("trade.whole")}</span>
          <strong>{span(last - first)}</strong>
        </li>
      </ol>
    </div>
  );
}
