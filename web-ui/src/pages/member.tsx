import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/client";
import type { MemberDetail } from "../api/shapes";
import { LinkStatus, MemberSwitch, RemoveLink } from "../copying/parts";
import { SettingsTable } from "../copying/settings";
import { useSpeech } from "../i18n";
import { useAsOf, useBoard, useReadOnly } from "../live/hooks";
import { Link } from "../shell/link";
import { Card, Head, Stat, Warnings } from "../ui/bits";
import { Icon } from "../ui/icons";
import { Failed, Skeleton } from "../ui/states";
import { useToast } from "../ui/toast";
import { span } from "../util/format";

/** One link: what is in force, where it comes from, and how long its orders take. */
export default function MemberPage({ params }: { params: Record<string, string> }) {
  const { master = "", slave = "" } = params;
  const { t, code } = useSpeech();
  const asOf = useAsOf();
  const client = useQueryClient();
  const toast = useToast();
  const readOnly = useReadOnly();
  const live = useBoard((board) => board.members.get(`${master}/${slave}`));
  const [removing, setRemoving] = useState(false);
  const key = ["member", master, slave, asOf.as_of ?? live?.version ?? "now"];
  const one = useQuery({
    queryKey: key,
    queryFn: async () =>
      (await ask("GET /api/trade-groups/{master}/members/{slave}", {
        path: { master, slave },
        query: asOf,
      })) as unknown as MemberDetail,
    placeholderData: (before) => before,
  });
  const fields = useQuery({
    queryKey: ["copy-settings"],
    queryFn: () => ask("GET /api/copy-settings"),
    staleTime: 60_000,
  });
  if (one.error) return <Failed error={one.error} retry={() => void one.refetch()} />;
  if (!one.data || !fields.data) return <Skeleton rows={8} />;
  const member = live ? { ...one.data, ...live } : one.data;
  const save = async (own: Record<string, unknown>) => {
    try {
      await ask("PUT /api/trade-groups/{master}/members/{slave}", {
        path: { master, slave },
        body: { slave_settings: own, version: member.version },
        seen: member.version,
      });
      toast.good(t("setting.saved"));
      await client.invalidateQueries({ queryKey: ["member", master, slave] });
    } catch (error) {
      toast.bad(error);
      throw error;
    }
  };
  return (
    <div className="page">
      <Head
        title={
          <span className="link-ends">
            <Link to={`/accounts/master/${master}`}>{master}</Link>
            <Icon name="right" />
            <Link to={`/accounts/slave/${slave}`}>{slave}</Link>
          </span>
        }
      >
        <LinkStatus member={member} />
        <MemberSwitch member={member} />
        <button
          type="button"
          className="button danger"
          disabled={readOnly !== null}
          onClick={() => setRemoving(true)}
        >
          <Icon name="trash" /> {t("link.remove")}
        </button>
      </Head>
      <Warnings codes={member.warning_codes} />
      <dl className="stats">
        <Stat label={t("link.copies")}>{member.open_copies}</Stat>
        <Stat label={t("link.orders")}>{member.orders_open}</Stat>
        {(one.data.latency?.stages ?? []).map((stage) => (
          <Stat
            key={stage.stage}
            label={code("stage", stage.stage)}
            hint={t("link.p50", {
              p50: stage.p50 == null ? "–" : span(stage.p50),
              count: stage.count,
            })}
          >
            {stage.p99 == null ? "–" : span(stage.p99)}
          </Stat>
        ))}
      </dl>
      <Card title={t("setting.title")} tools={<span className="hint">{t("setting.lead")}</span>}>
        <SettingsTable
          fields={fields.data.fields}
          effective={one.data.effective}
          own={member.slave_settings}
          layer="link"
          readOnly={readOnly !== null}
          onSave={save}
        />
      </Card>
      {removing && <RemoveLink member={member} onClose={() => setRemoving(false)} />}
    </div>
  );
}
